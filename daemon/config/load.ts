/**
 * From the tree of a configuration to virtual hosts that answer.
 *
 * Collects every mistake instead of stopping at the first. What the original refuses at start is
 * `fatal` here too; what it starts with is an `error`: the daemon runs, and the part it concerns
 * counts as failed. Knows no plugin and no technology: both are given.
 */

import type { VirtualHost } from '../policy/answer.ts'
import { type ChainOptions, type Link, makeChain, newTally } from '../policy/chain.ts'
import type { Clock } from '../policy/clock.ts'
import { describeError, LookupError } from '../policy/errors.ts'
import { excerpt } from '../policy/excerpt.ts'
import type { Ledger } from '../policy/ledger.ts'
import type { Connections, Outside } from '../policy/outside.ts'
import type { Check, MaybePromise, Plugin, Surroundings } from '../policy/plugin.ts'
import { error, fatal, nearestName, type Place, type Problem, warning } from '../policy/problem.ts'
import type { SessionCache } from '../policy/session.ts'
import { integer, readSettings, type Section } from '../policy/setting.ts'
import { type Globals, readGlobals } from './globals.ts'
import { readConnections, readSessions, type ServiceOptions } from './services.ts'

export interface LoadOptions extends ServiceOptions {
  readonly plugins: readonly Plugin[]
  readonly clock: Clock
  readonly ledger: Ledger
  readonly outside: Outside
  note(level: number, message: () => string): void
  /** A plugin has failed; see ChainOptions. */
  report: ChainOptions['report']
}

/** Something a plugin does apart from requests. */
export interface Work {
  readonly path: string
  run(): MaybePromise<void>
}

export interface Loaded {
  readonly globals: Globals
  readonly hosts: readonly VirtualHost[]
  readonly links: readonly { readonly host: string; readonly path: string; readonly link: Link }[]
  readonly sessions: SessionCache | undefined
  /** What plugins do once, before the first request. */
  readonly starts: readonly Work[]
  /** What plugins do when they are told to, by name: `hourly`. */
  readonly tasks: readonly (Work & { readonly task: string })[]
  /** Does any plugin count in the ledger? */
  readonly usesLedger: boolean
}

const TOP_BLOCKS = ['VirtualHost', 'Connection', 'SessionCache']

export function loadConfig(root: Section, options: LoadOptions, problems: Problem[]): Loaded {
  const globals = readGlobals(root, problems)
  const timezone = readTimezone(globals, problems)
  for (const block of root.blocks) {
    if (!TOP_BLOCKS.includes(block.type)) {
      const near = nearestName(block.type, TOP_BLOCKS)
      const hint = near ? `; did you mean <${near}>?` : ''
      problems.push(warning(block.place, `unknown block <${block.type}>${hint}`))
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
  if (!globals.vhost_by_policy_context) refuseRepeatedHosts(root, problems)
  return {
    globals,
    hosts,
    links: loader.links,
    starts: loader.starts,
    tasks: loader.tasks,
    sessions: readSessions(root, connections, options, problems),
    usesLedger: loader.usesLedger,
  }
}

class Loader {
  readonly links: { host: string; path: string; link: Link }[] = []
  readonly starts: Work[] = []
  readonly tasks: (Work & { readonly task: string })[] = []
  usesLedger = false
  readonly #timezone: string | undefined
  readonly #observe: boolean
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
    this.#observe = globals.mode === 'observe'
    this.#connections = connections
    this.#options = options
    this.#problems = problems
    this.#chain = {
      onFailure: globals.on_failure,
      elapsed: options.clock.elapsed,
      report: options.report,
    }
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

  #makeLinks(blocks: readonly Section[], host: string, path: string): Link[] {
    return blocks.flatMap(block => {
      const link = this.#makeLink(block, host, path)
      return link ? [link] : []
    })
  }

  #makeLink(block: Section, host: string, outer: string): Link | undefined {
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

    const path = `${outer}/${name}`
    const inner = this.#pluginBlocks(block, heading, plugin.blocks)
    if (inner.length > 0 && !plugin.nests) {
      const place = inner[0]?.place ?? block.place
      const message = `${plugin.name} runs no blocks inside it: <Plugin ${inner[0]?.name}> is dead`
      this.#problems.push(warning(place, message))
    }
    const nestedLinks = plugin.nests ? this.#makeLinks(inner, host, path) : []
    const settings = readSettings(plugin.settings, block, this.#problems)
    const noteLevel = this.#commonLevel(block)
    if (!settings) return undefined

    let ahead: Link['ahead']
    const surroundings = this.#surroundings(block, name, path, noteLevel, nestedLinks, ask => {
      ahead = ask
    })
    if (plugin.usesLedger) this.usesLedger = true
    const check = this.#create(plugin, settings, surroundings)
    const link: Link = {
      name,
      module: plugin.name,
      check,
      ahead,
      onError: own('on_error') === 'continue' ? 'continue' : 'fail',
      tally: newTally(),
    }
    this.links.push({ host, path, link })
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

  /** The level of the plugin's own notes. A wrong one is refused, as the original does. */
  #commonLevel(block: Section): number {
    const common = { log_level: integer({ doc: 'Level of its notes.', fallback: 4 }) }
    const options = block.options.filter(option => option.name === 'log_level')
    // log_level is an option of every plugin, which readSettings passes over for that reason.
    const parsed = options[0] && common.log_level.parse(options[0].value)
    if (options[0] && !parsed) {
      this.#problems.push(
        fatal(options[0].valuePlace, `"log_level": expected ${common.log_level.expected}`),
      )
    }
    return parsed ? parsed.value : 4
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
    nestedLinks: readonly Link[],
    ahead: Surroundings['ahead'],
  ): Surroundings {
    const problems = this.#problems
    const options = this.#options
    const chain = makeChain(nestedLinks, this.#chain)
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
      ledger: options.ledger,
      ahead,
      nested:
        nestedLinks.length === 0
          ? undefined
          : (request, context) => {
              const decision = chain(request, context)
              return decision instanceof Promise
                ? decision.then(decided => decided?.action)
                : decision?.action
            },
      timezone: this.#timezone,
      observe: this.#observe,
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

/** Two virtual hosts of one port can only be told apart by policy_context. */
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

/** Undefined: the host's, also where what is written is none, which has been said then. */
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
