/**
 * A configuration file made into what answers requests. The daemon, its reload and `mtpolicyctl
 * check` all go through here, so they cannot disagree about what is a mistake.
 *
 * Opens what the file names (databases are opened lazily) and never the state directory: the
 * ledger is given. What was opened is closed with `close`.
 */

import { existsSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { configFiles } from './config/files.ts'
import { type Loaded, loadConfig } from './config/load.ts'
import { parseConfig } from './config/parser.ts'
import { findOption } from './config/tree.ts'
import type { CountryPool } from './lookup/country-pool.ts'
import type { CountryDatabase } from './lookup/geoip.ts'
import { openOutside } from './outside.ts'
import { loadOwnPlugins } from './own-plugins.ts'
import type { Paths } from './paths.ts'
import { plugins } from './plugins/index.ts'
import type { Clock } from './policy/clock.ts'
import type { Resolver } from './policy/dns.ts'
import { excerpt } from './policy/excerpt.ts'
import type { Ledger } from './policy/ledger.ts'
import type { Log } from './policy/log.ts'
import { error, fatal, type Place, type Problem, warning } from './policy/problem.ts'
import { type Endpoint, parseEndpoints } from './wire/endpoint.ts'

export interface Assembly {
  readonly file: string
  readonly loaded: Loaded
  readonly endpoints: readonly Endpoint[]
  /** May this address connect? */
  admits(address: string): boolean
  readonly problems: readonly Problem[]
  /** Is anything so wrong that the daemon must not start with it? */
  readonly isUsable: boolean
  readonly countries: CountryDatabase
  close(): void
}

export interface AssemblyOptions {
  readonly file: string
  /** Text to read instead of the file's own: a staged file, or one with the environment on top. */
  readonly text?: string | undefined
  readonly paths: Paths
  readonly clock: Clock
  readonly ledger: Ledger
  readonly dns: Resolver
  readonly countries: CountryPool
  /** The log to be; it exists only once the file has said how it should look. */
  readonly log: () => Log
}

export async function assemble(options: AssemblyOptions): Promise<Assembly> {
  const { file, text, paths, clock, ledger, dns, countries, log } = options
  const read = (path: string): string =>
    text !== undefined && path === file ? text : configFiles.read(path)
  const parsed = parseConfig(
    file,
    { ...configFiles, read },
    {
      repeatableOptions: ['regex'],
      repeatableBlocks: ['VirtualHost'],
    },
  )
  const builtInNames = plugins.map(({ name }) => name)
  const own = await loadOwnPlugins(paths.plugins, builtInNames)
  const problems: Problem[] = [...parsed.problems, ...own.problems]
  const database = findOption(parsed.root, 'geoip_database')
  const builtIn = paths.countries.find(path => existsSync(path)) ?? paths.countries[0] ?? ''
  const outside = openOutside({ clock, dns, countries, countryFile: database?.value || builtIn })
  const standard = outside.countries
  const report = failureReporter(log, clock)

  if (database?.value && standard.state.status === 'absent') {
    const message = `"geoip_database": ${standard.state.problem ?? 'it cannot be read'}`
    problems.push(error(database.valuePlace, message))
  }

  const loaded = loadConfig(
    parsed.root,
    {
      plugins: [...plugins, ...own.plugins],
      clock,
      ledger,
      outside,
      ...outside.services,
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
  const admits = readClients(loaded.globals.clients, loaded.globals.placeOf('clients'), problems)
  checkExposure(loaded, bound, problems)

  return {
    file,
    loaded,
    endpoints: bound,
    admits,
    problems: inOrder(problems),
    isUsable: !problems.some(problem => problem.severity === 'fatal'),
    countries: standard,
    close: () => outside.close(),
  }
}

/** By file as it came up, then by line: the order in which an operator mends them. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map(({ place }) => place.file))]
  return problems.toSorted(
    (a, b) =>
      files.indexOf(a.place.file) - files.indexOf(b.place.file) ||
      a.place.line - b.place.line ||
      a.place.column - b.place.column,
  )
}

/** Loopback may always connect, and so may the unix sockets' clients. */
function readClients(
  clients: readonly string[],
  place: Place,
  problems: Problem[],
): (address: string) => boolean {
  const allowed = new BlockList()
  allowed.addSubnet('127.0.0.0', 8, 'ipv4')
  allowed.addAddress('::1', 'ipv6')
  for (const entry of clients) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    const most = family === 'ipv6' ? 128 : 32
    const length = bits === undefined ? most : Number(bits)
    if (isIP(address) === 0 || !/^\d*$/.test(bits ?? '') || length > most) {
      const message = `"clients": expected an address or ADDRESS/BITS, found "${excerpt(entry)}"`
      problems.push(fatal(place, message))
    } else allowed.addSubnet(address, length, family)
  }
  return address => {
    const plain = address.startsWith('::ffff:') ? address.slice(7) : address
    return allowed.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
  }
}

/** An open port without a list of clients answers nobody; that deserves a word. */
function checkExposure(loaded: Loaded, endpoints: readonly Endpoint[], problems: Problem[]): void {
  if (loaded.globals.clients.length > 0) return
  const open = endpoints.find(
    endpoint =>
      endpoint.kind === 'tcp' && endpoint.host !== '::1' && !endpoint.host.startsWith('127.'),
  )
  if (open?.kind === 'tcp') {
    const message = `listening on ${open.host}, but only this host may connect: name others in "clients"`
    problems.push(warning(loaded.globals.placeOf('port'), message))
  }
}

const REPEAT_MILLISECONDS = 60_000

/** Says a plugin's failure at once, and the same one again once a minute with a count. */
function failureReporter(log: () => Log, clock: Clock) {
  const said = new Map<string, { at: number; suppressed: number }>()
  return (plugin: string, message: string, stack: string | undefined): void => {
    const key = `${plugin}\n${message}`
    const now = clock.elapsed()
    const before = said.get(key)
    if (before && now - before.at < REPEAT_MILLISECONDS) {
      before.suppressed++
      return
    }
    if (said.size > 1000) said.clear()
    said.set(key, { at: now, suppressed: 0 })
    log().error(`plugin ${plugin} failed: ${message}`, {
      repeated: before?.suppressed || undefined,
      stack,
    })
  }
}
