/**
 * From the tree of a configuration to virtual hosts that answer.
 *
 * Collects every mistake instead of stopping at the first. What the original refuses at start is
 * `fatal` here too; what it starts with is an `error`: the daemon runs, and the affected part counts
 * as failed. Knows no plugin and no technology: both are passed in.
 */

import type { AccountLimit } from '../policy/account-limit.ts'
import { type ChainOptions, type Enclosure, makeChain } from '../policy/chain.ts'
import type { Chain, ChainContext } from '../policy/chain-context.ts'
import { type FactNames, factNames } from '../policy/facts.ts'
import { type Link, newTally } from '../policy/link.ts'
import { observing } from '../policy/observing-ledger.ts'
import type { Check, MaybePromise, Plugin, Surroundings } from '../policy/plugin.ts'
import type { Ledger } from '../policy/ports/ledger.ts'
import type { Connections, Outside } from '../policy/ports/outside.ts'
import { error, fatal, nearestName, type Place, type Problem, warning } from '../policy/problem.ts'
import { readPluginSettings } from '../policy/read-settings.ts'
import type { SessionCache } from '../policy/session.ts'
import type { Section } from '../policy/setting.ts'
import type { VirtualHost } from '../policy/virtual-hosts.ts'
import type { Clock } from '../system/clock.ts'
import { describeError, LookupError } from '../system/errors.ts'
import { excerpt } from '../text/excerpt.ts'
import { type Globals, readGlobals } from './globals.ts'
import { checkReferences, type UsedPlugin } from './references.ts'
import { readConnections, readSessions, type ServiceOptions } from './services.ts'

export interface LoadOptions extends ServiceOptions {
  readonly plugins: readonly Plugin[]
  readonly clock: Clock
  readonly ledger: Ledger
  readonly outside: Outside
  /** Those of `plugins` that are the operator's own. */
  readonly ownPlugins?: readonly Plugin[]
  note(level: number, message: () => string): void
  /** A plugin has failed; see ChainOptions. */
  report: ChainOptions['report']
  /** A plugin was left out; see ChainOptions. */
  skipped?: ChainOptions['skipped']
  /** Nothing outside may notice: plugins with an effect are not run. The ports given must not write. */
  readonly isRehearsal?: boolean
}

/** Something a plugin does apart from requests. */
export interface Work {
  readonly path: string
  run(): MaybePromise<void>
}

export interface LoadedLink {
  readonly host: string
  readonly path: string
  readonly link: Link
  readonly block: Section
}

export interface Loaded {
  readonly globals: Globals
  readonly hosts: readonly VirtualHost[]
  readonly links: readonly LoadedLink[]
  readonly sessions: SessionCache | undefined
  /** What plugins do once, before the first request. */
  readonly starts: readonly Work[]
  /** What plugins do on request, by the name of the task: `hourly`. */
  readonly tasks: readonly (Work & { readonly task: string })[]
  /** The facts a log line may have, of all plugins there are. */
  readonly factNames: FactNames
  /** Where plugins count; undefined: none does. */
  readonly ledger: Ledger | undefined
  /** In the order of the file. */
  readonly limits: readonly AccountLimit[]
  /** The first `default_domain` of a block: accounts are written with or without it. Empty: there is none. */
  readonly defaultDomain: string
  /** The first `language` of a block; empty: none has one. */
  readonly language: string
}

const TOP_BLOCKS = ['VirtualHost', 'Connection', 'SessionCache']

function unknownBlock(type: string): string {
  if (type === 'Plugin') return '<Plugin> has no effect here; expected it within a <VirtualHost>'
  const near = nearestName(type, TOP_BLOCKS)
  return `unknown block <${type}>${near ? `; did you mean <${near}>?` : ''}`
}

export function loadConfig(root: Section, options: LoadOptions, problems: Problem[]): Loaded {
  const globals = readGlobals(root, problems)
  const timezone = readTimezone(globals, problems)
  for (const block of root.blocks) {
    if (!TOP_BLOCKS.includes(block.type)) {
      problems.push(warning(block.place, unknownBlock(block.type)))
    }
  }
  const connections = readConnections(root, options, problems)
  const loader = new Loader(globals, timezone, connections, options, problems)
  const hosts = root.blocks
    .filter(block => block.type === 'VirtualHost')
    .flatMap(block => loader.host(block))
  if (!root.blocks.some(block => block.type === 'VirtualHost')) {
    problems.push(fatal(root.place, 'no <VirtualHost> in this configuration'))
  }
  checkReferences(loader.used, one => options.ownPlugins?.includes(one) ?? false, problems)
  if (!globals.vhost_by_policy_context) refuseRepeatedHosts(root, problems)
  return {
    globals,
    hosts,
    links: loader.links,
    starts: loader.starts,
    tasks: loader.tasks,
    sessions: readSessions(root, connections, options, problems),
    factNames: factNames(options.plugins),
    ledger: loader.usesLedger ? options.ledger : undefined,
    limits: loader.limits,
    defaultDomain: loader.firstOf('default_domain'),
    language: loader.firstOf('language'),
  }
}

class Loader {
  readonly links: LoadedLink[] = []
  readonly starts: Work[] = []
  readonly tasks: (Work & { readonly task: string })[] = []
  readonly limits: AccountLimit[] = []
  usesLedger = false
  /** All of them, in the order of the file. */
  readonly used: UsedPlugin[] = []
  readonly #timezone: string | undefined
  readonly #connections: Connections
  readonly #options: LoadOptions
  readonly #problems: Problem[]
  readonly #chain: ChainOptions

  constructor(
    globals: Globals,
    timezone: string | undefined,
    connections: Connections,
    options: LoadOptions,
    problems: Problem[],
  ) {
    this.#timezone = timezone
    this.#connections = connections
    this.#options = options
    this.#problems = problems
    this.#chain = {
      onFailure: globals.on_failure,
      observe: globals.mode === 'observe',
      runsEffects: globals.mode !== 'observe' && !options.isRehearsal,
      refusesUnknownActions: globals.unknown_action === 'fail',
      elapsed: options.clock.elapsed,
      report: options.report,
      skipped: options.skipped,
    }
  }

  /** The value of this option in the first block that has it, if its plugin knows the option. */
  firstOf(name: string): string {
    for (const { plugin, block } of this.used) {
      const option = block.options.find(one => one.name === name)
      if (option?.value && name in plugin.settings) return option.value
    }
    return ''
  }

  host(block: Section): VirtualHost[] {
    const heading = `<VirtualHost${block.name === undefined ? '' : ` ${block.name}`}>`
    const name = block.options.find(option => option.name === 'name')?.value
    if (block.name === undefined) {
      this.#problems.push(fatal(block.place, '<VirtualHost> needs a port or the path of a socket'))
      return []
    }
    if (name === undefined) {
      this.#problems.push(fatal(block.place, `${heading} needs "name"`))
    }
    for (const option of block.options) {
      if (option.name === 'name') continue
      this.#problems.push(warning(option.place, `unknown option "${option.name}" in ${heading}`))
    }
    const plugins = this.#pluginBlocks(block, heading)
    if (plugins.length === 0) {
      this.#problems.push(fatal(block.place, `${heading} needs at least one <Plugin>`))
    }
    const hostName = name ?? block.name
    const run = makeChain(this.#makeLinks(plugins, hostName, hostName), this.#chain)
    return [{ name: hostName, key: block.name, run }]
  }

  #pluginBlocks(block: Section, heading: string, others: readonly string[] = []): Section[] {
    for (const inner of block.blocks) {
      if (inner.type === 'Plugin' || others.includes(inner.type)) continue
      const near = nearestName(inner.type, ['Plugin', ...others])
      const hint = near ? `; did you mean <${near}>?` : ''
      this.#problems.push(
        warning(inner.place, `unknown block <${inner.type}> in ${heading}${hint}`),
      )
    }
    return block.blocks.filter(inner => inner.type === 'Plugin')
  }

  #makeLinks(
    blocks: readonly Section[],
    host: string,
    path: string,
    enclosure?: Enclosure,
  ): Link[] {
    return blocks.flatMap(block => {
      const link = this.#makeLink(block, host, path, enclosure)
      return link ? [link] : []
    })
  }

  #makeLink(
    block: Section,
    host: string,
    outer: string,
    enclosure: Enclosure | undefined,
  ): Link | undefined {
    const own = (name: string): string | undefined =>
      block.options.find(option => option.name === name)?.value
    if (block.name === undefined) {
      this.#problems.push(fatal(block.place, '<Plugin> needs a name: <Plugin NAME>'))
      return undefined
    }
    const name = own('name') ?? block.name
    const heading = `<Plugin ${block.name}>`
    const plugin = this.#findPlugin(block, heading)
    if (!plugin) return undefined
    this.used.push({ plugin, name, block, host })
    if (plugin.isLimit && enclosure?.keepsAction) {
      const message = `${heading} is a limit: what it refuses is refused, and not kept by the block around it`
      this.#problems.push(warning(block.place, message))
    }

    const path = `${outer}/${name}`
    const inner = this.#pluginBlocks(block, heading, plugin.blocks)
    if (inner.length > 0 && !plugin.nests) {
      const place = inner[0]?.place ?? block.place
      const message = `${plugin.name} does not run nested plugins; <Plugin ${inner[0]?.name}> is ignored`
      this.#problems.push(warning(place, message))
    }
    const within: Enclosure = {
      outermost: enclosure?.outermost ?? name,
      keepsAction: enclosure?.keepsAction || plugin.keepsAction === true,
    }
    const nestedLinks = plugin.nests ? this.#makeLinks(inner, host, path, within) : []
    const nested = makeChain(nestedLinks, this.#chain, within)
    const settings = readPluginSettings(plugin.settings, block, this.#problems)
    if (!settings) return undefined
    const { own: values, common } = settings

    let ahead: Link['ahead']
    const surroundings = this.#surroundings(
      block,
      name,
      path,
      common.log_level,
      inner.length > 0 ? nested : undefined,
      ask => {
        ahead = ask
      },
    )
    if (plugin.isLimit) this.usesLedger = true
    const check = this.#create(plugin, values, surroundings)
    const link: Link = {
      name,
      module: plugin.name,
      place: block.place,
      check,
      ahead,
      onError: common.on_error,
      hasEffects: plugin.hasEffects ?? false,
      isLimit: plugin.isLimit ?? false,
      tally: newTally(),
    }
    this.links.push({ host, path, link, block })
    return link
  }

  #findPlugin(block: Section, heading: string): Plugin | undefined {
    const module = block.options.find(option => option.name === 'module')
    if (module?.value === undefined) {
      this.#problems.push(fatal(block.place, `${heading} needs "module"`))
      return undefined
    }
    const plugin = this.#options.plugins.find(one => one.name === module.value)
    if (!plugin) {
      const near = nearestName(
        module.value,
        this.#options.plugins.map(one => one.name),
      )
      const hint = near ? `; did you mean "${near}"?` : ''
      this.#problems.push(
        fatal(module.valuePlace, `there is no plugin "${excerpt(module.value)}"${hint}`),
      )
    }
    return plugin
  }

  #create(
    plugin: Plugin,
    settings: Parameters<Plugin['create']>[0],
    surroundings: Surroundings,
  ): Check {
    try {
      return plugin.create(settings, surroundings)
    } catch (failure) {
      surroundings.fail(describeError(failure))
      return () => {
        throw new LookupError(describeError(failure), { cause: failure })
      }
    }
  }

  #surroundings(
    block: Section,
    name: string,
    path: string,
    noteLevel: number,
    nested: Chain | undefined,
    ahead: Surroundings['ahead'],
  ): Surroundings {
    const problems = this.#problems
    const options = this.#options
    const placeOf = (option: string | undefined): Place =>
      block.options.find(one => one.name === option)?.valuePlace ?? block.place
    const text = (message: string, option: string | undefined): string =>
      `${option === undefined ? '' : `"${option}" in `}<Plugin ${block.name}>: ${message}`
    return {
      ...options.outside,
      ...this.#connections,
      name,
      path,
      section: block,
      clock: options.clock,
      ledger: this.#chain.observe ? observing(options.ledger) : options.ledger,
      ahead,
      nested:
        nested &&
        ((request, context) => {
          // A plugin passes on the context that it was given by its chain.
          const decision = nested(request, context as ChainContext)
          return decision instanceof Promise
            ? decision.then(decided => decided?.action)
            : decision?.action
        }),
      timezone: this.#timezone,
      declareLimit: limit => this.limits.push(limit),
      note: message => options.note(noteLevel, () => `${path}: ${message()}`),
      atStart: run => this.starts.push({ path, run }),
      atTask: (task, run) => this.tasks.push({ task, path, run }),
      problems,
      warn: (message, option) => problems.push(warning(placeOf(option), text(message, option))),
      fail: (message, option) => problems.push(error(placeOf(option), text(message, option))),
      refuse: (message, option) => problems.push(fatal(placeOf(option), text(message, option))),
    }
  }
}

/** Only policy_context can tell two virtual hosts of one port apart. */
function refuseRepeatedHosts(root: Section, problems: Problem[]): void {
  const seen = new Map<string, Place>()
  for (const block of root.blocks) {
    if (block.type !== 'VirtualHost' || block.name === undefined) continue
    const first = seen.get(block.name)
    if (first) {
      const where = `${first.file}:${first.line}`
      const message = `<VirtualHost ${block.name}> occurs more than once (first at ${where})`
      problems.push(fatal(block.place, message))
    } else seen.set(block.name, block.place)
  }
}

/** Undefined: the host's time zone, also if the configured one is unknown, which is reported. */
function readTimezone({ timezone, placeOf }: Globals, problems: Problem[]): string | undefined {
  if (timezone === undefined || timezone === '') return undefined
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
    return timezone
  } catch {
    const message = `"timezone": expected a name such as Europe/Berlin, found "${excerpt(timezone)}"`
    problems.push(fatal(placeOf('timezone'), message))
    return undefined
  }
}
