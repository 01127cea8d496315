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
import { type Loaded, loadConfig } from '../../daemon/config/load.ts'
import { parseConfig } from '../../daemon/config/parser.ts'
import { countryPool } from '../../daemon/lookup/country-pool.ts'
import { type CountryDatabase, openCountryDatabase } from '../../daemon/lookup/geoip.ts'
import { openOutside } from '../../daemon/outside.ts'
import { plugins } from '../../daemon/plugins/index.ts'
import { makeAnswer, newAnswerTally } from '../../daemon/policy/answer.ts'
import type { Resolver } from '../../daemon/policy/dns.ts'
import type { KeyValueStore } from '../../daemon/policy/key-value.ts'
import { type Ledger, openLedger } from '../../daemon/policy/ledger.ts'
import type { Fields, Log } from '../../daemon/policy/log.ts'
import type { Outside } from '../../daemon/policy/outside.ts'
import type { Plugin } from '../../daemon/policy/plugin.ts'
import { formatProblem, type Problem } from '../../daemon/policy/problem.ts'
import { type Connection, PolicyRequest } from '../../daemon/policy/request.ts'
import { sqlConnection } from '../../daemon/store/dsn.ts'
import type { ClosableSqlConnection } from '../../daemon/store/sqlite-connection.ts'
import { openSqliteLedger } from '../../daemon/store/sqlite-ledger.ts'
import { type CountryRange, writeMmdb } from '../../scripts/mmdb-writer.ts'

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
  /** Instead of one that works. */
  readonly ledger?: Ledger
  readonly dns?: Resolver
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

const emptyDns: Resolver = { ask: () => ({ outcome: 'empty', records: [], exists: false }) }

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
  const clock = { now: () => world.now, elapsed: () => performance.now() }
  const store = openSqliteLedger(':memory:', 'normal')
  const ledger = options.ledger ?? openLedger(store)

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
  const outside = openOutside({ clock, dns, countries: pool, countryFile: '' })
  const loaded = loadConfig(
    parsed.root,
    {
      plugins: [...plugins, ...(options.plugins ?? [])],
      clock,
      ledger,
      outside: {
        ...outside,
        countries: countryFixture(),
        openCountries: path =>
          openCountryDatabase({ path, log: () => undefined, pollMilliseconds: 0 }),
        readFile: read,
        ...options.outside,
      },
      ...outside.services,
      ...(keyValue && { openMemcached: () => keyValue, openRedis: () => keyValue }),
      openSql: ({ dsn, user, password }) => world.sql(dsn, user, password),
      note: (_level, message) => void notes.push(message()),
      report: (name, message) => void errors.push(`plugin ${name} failed: ${message}`),
    },
    problems,
  )
  for (const { path, run } of loaded.starts) {
    try {
      await run()
    } catch (error) {
      errors.push(`plugin ${path} failed at start: ${error}`)
    }
  }

  const { globals } = loaded
  const answer = makeAnswer({
    hosts: loaded.hosts,
    retiredKeys: new Set(),
    byPolicyContext: globals.vhost_by_policy_context,
    onFailure: globals.on_failure,
    deadlineMilliseconds: globals.request_timeout * secondMilliseconds,
    refusesUnknownActions: globals.unknown_action === 'fail',
    observe: globals.mode === 'observe',
    sessions: loaded.sessions,
    log: recordingLog(errors, verdicts),
    clock,
    tally: newAnswerTally(),
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
      const verdict = await answer(new PolicyRequest(new Map(Object.entries(attributes)), on))
      await ledger.settle()
      return verdict.silent ? undefined : verdict.action
    },
  })
}

function recordingLog(errors: string[], verdicts: Fields[]): Log {
  const silent = (): undefined => undefined
  return {
    debug: 4,
    error: message => void errors.push(message),
    warning: message => void errors.push(message),
    verdict: fields => void verdicts.push(fields),
    notice: silent,
    connection: silent,
    trace: silent,
  }
}
