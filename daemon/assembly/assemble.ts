/**
 * Turns a configuration file into what answers requests. The daemon, its reload and `mtpolicyctl check` all
 * go through here, so they cannot disagree about what is a mistake.
 *
 * Opens what the file names (databases are opened lazily), but never the state directory: the ledger is an
 * argument. `close` closes what was opened.
 */

import { existsSync } from 'node:fs'
import { configFiles } from '../config/files.ts'
import type { ConfigIo } from '../config/include.ts'
import { type Loaded, loadConfig } from '../config/load.ts'
import { parseConfig } from '../config/parser.ts'
import { findOption } from '../config/tree.ts'
import type { CountryPool } from '../lookup/country-pool.ts'
import type { CountryDatabase } from '../lookup/geoip.ts'
import { type Endpoint, parseEndpoints } from '../net/endpoint.ts'
import { plugins } from '../plugins/index.ts'
import type { Plugin } from '../policy/plugin.ts'
import type { Resolver } from '../policy/ports/dns.ts'
import type { Ledger } from '../policy/ports/ledger.ts'
import type { Log } from '../policy/ports/log.ts'
import { error, fatal, type Problem } from '../policy/problem.ts'
import { previewing } from '../policy/rehearsal.ts'
import type { Clock } from '../system/clock.ts'
import { RateLimiter } from '../system/rate-limited.ts'
import { checkExposure, readClients } from './clients.ts'
import { openOutside } from './outside.ts'
import { loadOwnPlugins } from './own-plugins.ts'
import type { Paths } from './paths.ts'
import { withoutEffects } from './rehearsed-outside.ts'
import { scratchOutside } from './scratch-outside.ts'

export interface Assembly {
  readonly file: string
  readonly loaded: Loaded
  readonly endpoints: readonly Endpoint[]
  /** May this address connect? */
  admits(address: string): boolean
  readonly problems: readonly Problem[]
  /** May the daemon start with it? */
  readonly isUsable: boolean
  readonly countries: CountryDatabase
  close(): void
}

export interface AssemblyOptions {
  readonly file: string
  /** Read instead of the file: a staged file's text, or one with the environment applied. */
  readonly text?: string | undefined
  /** Where it and its includes are read; the file system by default. */
  readonly files?: ConfigIo
  readonly paths: Paths
  readonly clock: Clock
  readonly ledger: Ledger
  readonly dns: Resolver
  readonly countries: CountryPool
  /** A function, because the file decides about the log, which exists only after that. */
  readonly log: () => Log
  /** Change, send and count nothing (`policy/rehearsal.ts`). */
  readonly isRehearsal?: boolean
  /**
   * Requests of the past (`replay/`): nothing outside is changed, sent or queried, and the ledger given is a
   * scratch one, which counts. Told of each plugin that is skipped, and why.
   */
  readonly skipped?: (plugin: string, why: string) => void
}

export async function assemble(options: AssemblyOptions): Promise<Assembly> {
  const { file, text, paths, clock, ledger, dns, countries, log, skipped } = options
  const { files = configFiles, isRehearsal = false } = options
  const isReplay = skipped !== undefined
  const read = (path: string): string =>
    text !== undefined && path === file ? text : files.read(path)
  const parsed = parseConfig(
    file,
    { ...files, read },
    {
      repeatableOptions: ['regex'],
      repeatableBlocks: ['VirtualHost'],
    },
  )
  const builtInNames = plugins.map(({ name }) => name)
  const own = await loadOwnPlugins(paths.plugins, builtInNames)
  const ownPlugins = isRehearsal || isReplay ? own.plugins.map(asStranger) : own.plugins
  const problems: Problem[] = [...parsed.problems, ...own.problems]
  const database = findOption(parsed.root, 'geoip_database')
  const builtIn = paths.countries.find(path => existsSync(path)) ?? paths.countries[0] ?? ''
  const outside = openOutside({ clock, dns, countries, countryFile: database?.value || builtIn })
  const reached = isReplay
    ? scratchOutside(outside, clock)
    : isRehearsal
      ? withoutEffects(outside)
      : outside
  const standard = outside.countries
  const report = failureReporter(log, clock)

  if (database?.value && standard.state.status === 'absent') {
    const message = `"geoip_database": ${standard.state.problem ?? 'it cannot be read'}`
    problems.push(error(database.valuePlace, message))
  }

  const loaded = loadConfig(
    parsed.root,
    {
      plugins: [...plugins, ...ownPlugins],
      ownPlugins,
      clock,
      ledger: isRehearsal ? previewing(ledger) : ledger,
      outside: reached,
      ...reached.services,
      isRehearsal: isRehearsal || isReplay,
      skipped,
      note(level, message) {
        const to = log()
        if (to.debug >= level) to.trace(message())
      },
      report,
    },
    problems,
  )

  const endpoints = parseEndpoints(loaded.globals.port, loaded.globals.host)
  if ('mistake' in endpoints) {
    problems.push(fatal(loaded.globals.placeOf('port'), `"port": ${endpoints.mistake}`))
  }
  const bound = 'mistake' in endpoints ? [] : endpoints
  const admits = readClients(loaded.globals, problems)
  checkExposure(loaded.globals, bound, problems)

  return {
    file,
    loaded,
    endpoints: bound,
    admits,
    problems: inOrder(problems),
    isUsable: !problems.some(problem => problem.severity === 'fatal'),
    countries: standard,
    close: () => reached.close(),
  }
}

/** What a plugin of the operator's own does is its own affair: rehearsed only if it says it has no effects. */
const asStranger = (plugin: Plugin): Plugin => ({
  ...plugin,
  hasEffects: plugin.hasEffects ?? true,
})

/** By file in the order of inclusion, then by line: the order in which an operator fixes them. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map(({ place }) => place.file))]
  return problems.toSorted(
    (a, b) =>
      files.indexOf(a.place.file) - files.indexOf(b.place.file) ||
      a.place.line - b.place.line ||
      a.place.column - b.place.column,
  )
}

/** Logs a plugin's failure at once, and the same failure once a minute with a count. */
function failureReporter(log: () => Log, clock: Clock) {
  const limiter = new RateLimiter(clock)
  return (plugin: string, message: string, stack: string | undefined): void => {
    const leftOut = limiter.admit(`${plugin}\n${message}`)
    if (leftOut === undefined) return
    log().error(`plugin ${plugin} failed: ${message}`, { repeated: leftOut || undefined, stack })
  }
}
