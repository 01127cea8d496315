/**
 * A configuration at work, without sockets: text through the real parser and loader, every real
 * plugin, a clock that the test turns, a small GeoIP database, and a ledger and SQL databases that
 * live in memory.
 *
 *   const world = await makeWorld(chain('<Plugin a>...'))
 *   await world.ask({ sender: 'a@example.org' })   // 'dunno'
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openOutside } from '../../daemon/assembly/outside.ts'
import { withoutEffects } from '../../daemon/assembly/rehearsed-outside.ts'
import { type Loaded, loadConfig } from '../../daemon/config/load.ts'
import { parseConfig } from '../../daemon/config/parser.ts'
import { openLedger } from '../../daemon/ledger/ledger.ts'
import { openSqliteLedger } from '../../daemon/ledger/sqlite-ledger.ts'
import { countryPool } from '../../daemon/lookup/country-pool.ts'
import { type CountryDatabase, openCountryDatabase } from '../../daemon/lookup/geoip.ts'
import { type CountryRange, writeMmdb } from '../../daemon/lookup/mmdb-writer.ts'
import { plugins } from '../../daemon/plugins/index.ts'
import type { Plugin } from '../../daemon/policy/plugin.ts'
import type { Resolver } from '../../daemon/policy/ports/dns.ts'
import type { KeyValueStore } from '../../daemon/policy/ports/key-value.ts'
import type { Ledger } from '../../daemon/policy/ports/ledger.ts'
import type { Fields, Log } from '../../daemon/policy/ports/log.ts'
import type { Measures } from '../../daemon/policy/ports/measures.ts'
import type { Outside } from '../../daemon/policy/ports/outside.ts'
import { formatProblem, type Problem } from '../../daemon/policy/problem.ts'
import { previewing, readingOnly } from '../../daemon/policy/rehearsal.ts'
import { type Connection, PolicyRequest } from '../../daemon/policy/request.ts'
import { type VerdictSink, verdictFields } from '../../daemon/policy/verdict-record.ts'
import { sqlConnection } from '../../daemon/remote/dsn.ts'
import type { ClosableSqlConnection } from '../../daemon/remote/sqlite-connection.ts'
import { makeEngine } from '../../daemon/run/engine.ts'
import { type Clock, systemClock } from '../../daemon/system/clock.ts'
import { plainText } from '../../daemon/text/plain-text.ts'

/** Noon in UTC, 13:00 in Berlin. */
export const NOON = Date.UTC(2026, 10, 20, 12)
export const PORT = '12345'

/** Where the addresses of the examples are, in this world. */
export const GERMAN = '198.51.100.7'
export const CHINESE = '203.0.113.7'
export const GERMAN_IPV6 = '2001:db8:1::7'
export const CHINESE_IPV6 = '2001:db8:2::7'
/** The database has a code for it that is no country. */
export const EUROPEAN = '192.0.2.7'
export const UNKNOWN = '192.0.2.200'

const RANGES: readonly CountryRange[] = [
  { first: '192.0.2.0', last: '192.0.2.127', code: 'EU' },
  { first: '198.51.100.0', last: '198.51.100.255', code: 'DE' },
  { first: '203.0.113.0', last: '203.0.113.255', code: 'CN' },
  { first: '2001:db8:1::', last: '2001:db8:1:ffff:ffff:ffff:ffff:ffff', code: 'DE' },
  { first: '2001:db8:2::', last: '2001:db8:2:ffff:ffff:ffff:ffff:ffff', code: 'CN' },
]

export interface WorldOptions {
  /** Plugins besides the real ones. */
  readonly plugins?: readonly Plugin[]
  /** Files a plugin reads at load. */
  readonly files?: Readonly<Record<string, string>>
  /** How long a second of `request_timeout` lasts. */
  readonly secondMilliseconds?: number
  /** Instead of the system's timers and `World.now`. */
  readonly clock?: Clock
  /** Instead of one that works. */
  readonly ledger?: Ledger
  /** Rehearse with the counts and databases of this one (`daemon/policy/rehearsal.ts`). */
  readonly rehearses?: World
  readonly measures?: Measures
  readonly dns?: Resolver
  /** Told of each verdict. */
  readonly sinks?: readonly VerdictSink[]
  /** Mail that we have sent ourselves. */
  readonly isOwn?: (request: PolicyRequest) => boolean
  /** Instead of the real ones. */
  readonly outside?: Partial<Outside>
  /** What every Memcached and Redis connection is, instead of the real ones. */
  readonly keyValue?: KeyValueStore
}

export interface World {
  /** What is wrong with the configuration, as the operator reads it. */
  readonly messages: readonly string[]
  readonly problems: readonly Problem[]
  readonly loaded: Loaded
  /** The wall clock; tests set it. */
  now: number
  /** The action; undefined: the connection is closed without an answer. */
  ask(attributes: Readonly<Record<string, string>>, on?: Connection): Promise<string | undefined>
  /** The SQL connection opened for a data source name. */
  sql(dsn: string, user?: string, password?: string): ClosableSqlConnection
  /** `mtpolicyd --cron TASK`. */
  runTask(task: string): Promise<void>
  readonly ledger: Ledger
  readonly verdicts: readonly Fields[]
  /** Everything loud. */
  readonly errors: readonly string[]
  readonly notes: readonly string[]
  close(): void
}

const emptyDns: Resolver = {
  ask: () => ({ outcome: 'empty', records: [], exists: false }),
  noListing: () => undefined,
}

/** A virtual host around plugins, with what stands before it. */
export function chain(blocks: string, globals = ''): string {
  return `${globals}\n<VirtualHost ${PORT}>\nname = v\n${blocks}\n</VirtualHost>\n`
}

/** One plugin block. */
export function plugin(module: string, lines = '', name = module.toLowerCase()): string {
  return `<Plugin ${name}>\nmodule = "${module}"\n${lines}\n</Plugin>\n`
}

export function countryFixture(): CountryDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'countries-'))
  const path = join(folder, 'country.mmdb')
  try {
    writeFileSync(path, writeMmdb(RANGES, { builtAt: new Date(NOON) }))
    return openCountryDatabase({ path, log: () => undefined, pollMilliseconds: 0 })
  } finally {
    // It has been read whole.
    rmSync(folder, { recursive: true })
  }
}

export async function makeWorld(text: string, options: WorldOptions = {}): Promise<World> {
  const { files = {}, secondMilliseconds = 1000, keyValue } = options
  const read = (path: string): string => {
    const content = path === 'test.conf' ? text : files[path]
    if (content === undefined) throw new Error(`${path}: no such file`)
    return content
  }
  const parsed = parseConfig(
    'test.conf',
    { read, list: () => [] },
    { repeatableOptions: ['regex'], repeatableBlocks: ['VirtualHost'] },
  )
  const problems = [...parsed.problems]
  const errors: string[] = []
  const notes: string[] = []
  const verdicts: Fields[] = []
  const databases = new Map<string, ClosableSqlConnection>()
  const clock = options.clock ?? { ...systemClock, now: () => world.now }
  const store = openSqliteLedger(':memory:', 'normal')
  const { rehearses } = options
  const ledger = rehearses ? previewing(rehearses.ledger) : (options.ledger ?? openLedger(store))

  const world = {
    now: NOON,
    ledger,
    errors,
    notes,
    verdicts,
    sql(dsn: string, user = '', password = ''): ClosableSqlConnection {
      const connection = databases.get(dsn) ?? sqlConnection({ dsn, user, password })
      databases.set(dsn, connection)
      return connection
    },
    close() {
      for (const connection of databases.values()) connection.close()
      store.close()
      outside.close()
    },
  }
  // A DNS that was not described knows no name, so that no test asks the world.
  const dns = options.dns ?? emptyDns
  const pool = countryPool(() => undefined)
  const opened = openOutside({ clock, dns, countries: pool, countryFile: '' })
  const outside = rehearses ? withoutEffects(opened) : opened
  const loaded = loadConfig(
    parsed.root,
    {
      plugins: [...plugins, ...(options.plugins ?? [])],
      ...(options.plugins && { ownPlugins: options.plugins }),
      clock,
      ledger,
      outside: {
        ...outside,
        countries: countryFixture(),
        openCountries: path =>
          openCountryDatabase({ path, log: () => undefined, pollMilliseconds: 0 }),
        readFile: path => plainText(read(path)),
        ...options.outside,
      },
      ...outside.services,
      ...(keyValue && { openMemcached: () => keyValue, openRedis: () => keyValue }),
      openSql({ dsn, user, password }) {
        if (rehearses) return readingOnly(rehearses.sql(dsn, user, password))
        return world.sql(dsn, user, password)
      },
      isRehearsal: rehearses !== undefined,
      note: (_level, message) => void notes.push(message()),
      report: (name, message) => void errors.push(`plugin ${name} failed: ${message}`),
    },
    problems,
  )
  for (const { path, run } of rehearses ? [] : loaded.starts) {
    try {
      await run()
    } catch (error) {
      errors.push(`plugin ${path} failed at start: ${error}`)
    }
  }

  const request_timeout = (loaded.globals.request_timeout * secondMilliseconds) / 1000
  const answer = makeEngine({
    loaded: { ...loaded, globals: { ...loaded.globals, request_timeout } },
    clock,
    ...(options.measures && { measures: options.measures }),
    isOwn: options.isOwn,
    log: recordingLog(errors),
    sinks: [record => void verdicts.push(verdictFields(record)), ...(options.sinks ?? [])],
  })

  return Object.assign(world, {
    problems,
    messages: problems.map(formatProblem),
    loaded,
    async runTask(task: string): Promise<void> {
      for (const { run } of loaded.tasks.filter(one => one.task === task)) await run()
    },
    async ask(
      attributes: Readonly<Record<string, string>>,
      on: Connection = { id: 1, endpoint: PORT },
    ): Promise<string | undefined> {
      const judged = await answer(new PolicyRequest(new Map(Object.entries(attributes)), on))
      await ledger.settle()
      judged.left(true)
      return judged.verdict.silent ? undefined : judged.verdict.action
    },
  })
}

function recordingLog(errors: string[]): Log {
  const silent = (): undefined => undefined
  return {
    debug: 4,
    error: message => void errors.push(message),
    warning: message => void errors.push(message),
    notice: silent,
    connection: silent,
    trace: silent,
  }
}
