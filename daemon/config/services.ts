/**
 * <Connection> and <SessionCache>: the services a configuration names.
 *
 * Nothing is connected here. A service that cannot be set up is an error at its place and fails
 * whenever it is used; the daemon starts all the same, as the original does.
 */

import type { Directory } from '../policy/ports/directory.ts'
import type { KeyValueStore } from '../policy/ports/key-value.ts'
import type { Connections } from '../policy/ports/outside.ts'
import type { SqlConnection } from '../policy/ports/sql.ts'
import { error, fatal, type Problem } from '../policy/problem.ts'
import { readSettings } from '../policy/read-settings.ts'
import type { SessionCache } from '../policy/session.ts'
import {
  boolean,
  didYouMean,
  integer,
  LONGEST_SECONDS,
  list,
  optional,
  type Section,
  type Settings,
  type SettingValues,
  seconds,
  text,
} from '../policy/setting.ts'
import { describeError, LookupError } from '../system/errors.ts'
import { excerpt } from '../text/excerpt.ts'

export interface ServiceOptions {
  /** Throws LookupError if the data source name cannot be understood. */
  openSql(settings: SqlSettings): SqlConnection
  openMemcached(settings: MemcachedSettings): KeyValueStore
  openRedis(settings: RedisSettings): KeyValueStore
  openDirectory(settings: LdapSettings): Directory
  memorySessions(expireSeconds: number, lockSeconds: number): SessionCache
  storedSessions(store: KeyValueStore, expireSeconds: number, lockSeconds: number): SessionCache
}

export const sqlSettings = {
  dsn: text({
    doc: 'Data source name, such as dbi:SQLite:dbname=/path, dbi:Pg:dbname=mail;host=db.',
  }),
  user: text({ doc: 'User.', fallback: '' }),
  password: text({ doc: 'Password.', fallback: '' }),
}

export const memcachedSettings = {
  servers: list({ doc: 'HOST:PORT, several separated by commas.', fallback: ['127.0.0.1:11211'] }),
  namespace: text({ doc: 'Prefix of every key.', fallback: '' }),
  debug: boolean({ doc: 'Accepted for compatibility; has no effect.', fallback: false }),
}

export const redisSettings = {
  server: text({ doc: 'HOST:PORT.', fallback: '127.0.0.1:6379' }),
  sock: optional(text({ doc: 'Path of a socket, instead of server.' })),
  sentinels: list({
    doc: 'Sentinels, HOST:PORT separated by commas, instead of server.',
    fallback: [],
  }),
  service: optional(text({ doc: 'Name of the service in Sentinel.' })),
  password: optional(text({ doc: 'Password.' })),
  db: integer({ doc: 'Database number.', fallback: 0 }, { min: 0 }),
  debug: boolean({ doc: 'Accepted for compatibility; has no effect.', fallback: false }),
}

export const ldapSettings = {
  host: text({ doc: 'Host name, address, or ldaps:// or ldapi:// URL.', fallback: 'localhost' }),
  port: integer({ doc: 'Port.', fallback: 389 }, { min: 1, max: 65_535 }),
  keepalive: boolean({ doc: 'Keep the connection open.', fallback: true }),
  timeout: seconds({ doc: 'Time to wait for the server.', fallback: 120 }, { min: 1 }),
  binddn: optional(text({ doc: 'Bind DN; without one, the bind is anonymous.' })),
  password: optional(text({ doc: 'Password.' })),
  starttls: boolean({ doc: 'Use TLS and verify the certificate.', fallback: true }),
  connection_class: optional(text({ doc: 'Accepted for compatibility; has no effect.' })),
}

export type SqlSettings = SettingValues<typeof sqlSettings>
export type MemcachedSettings = SettingValues<typeof memcachedSettings>
export type RedisSettings = SettingValues<typeof redisSettings>
export type LdapSettings = SettingValues<typeof ldapSettings>

/** What the <Connection> blocks of a file have opened, by name. */
interface Opened {
  readonly databases: Map<string, SqlConnection>
  readonly stores: Map<string, KeyValueStore>
  readonly directories: Map<string, Directory>
}

/** Reads a block's settings and opens what it names. */
type Kind = (
  name: string,
  block: Section,
  options: ServiceOptions,
  opened: Opened,
  problems: Problem[],
) => void

function kind<S extends Settings, C>(
  settings: S,
  map: (opened: Opened) => Map<string, C>,
  open: (options: ServiceOptions, values: SettingValues<S>) => C,
): Kind {
  return (name, block, options, opened, problems) => {
    const values = readSettings(settings, block, problems)
    if (values) map(opened).set(name, open(options, values))
  }
}

const KINDS: Readonly<Record<string, Kind>> = {
  Sql: kind(
    sqlSettings,
    ({ databases }) => databases,
    (options, values) => options.openSql(values),
  ),
  Memcached: kind(
    memcachedSettings,
    ({ stores }) => stores,
    (options, values) => options.openMemcached(values),
  ),
  Redis: kind(
    redisSettings,
    ({ stores }) => stores,
    (options, values) => options.openRedis(values),
  ),
  Ldap: kind(
    ldapSettings,
    ({ directories }) => directories,
    (options, values) => options.openDirectory(values),
  ),
}

export function readConnections(
  root: Section,
  options: ServiceOptions,
  problems: Problem[],
): Connections {
  const opened: Opened = { databases: new Map(), stores: new Map(), directories: new Map() }
  for (const block of root.blocks.filter(one => one.type === 'Connection')) {
    readConnection(block, options, opened, problems)
  }
  return {
    sql: name => opened.databases.get(name),
    keyValue: name => opened.stores.get(name),
    directory: name => opened.directories.get(name),
  }
}

function readConnection(
  block: Section,
  options: ServiceOptions,
  opened: Opened,
  problems: Problem[],
): void {
  const { name } = block
  const heading = `<Connection${name === undefined ? '' : ` ${name}`}>`
  const module = block.options.find(option => option.name === 'module')
  if (name === undefined || module?.value === undefined) {
    const what = name === undefined ? 'a name' : '"module"'
    problems.push(fatal(block.place, `${heading} needs ${what}`))
    return
  }
  const open = Object.hasOwn(KINDS, module.value) ? KINDS[module.value] : undefined
  if (!open) {
    const words = Object.keys(KINDS)
    const hint = didYouMean(module.value, words)
    const message = `expected one of: ${words.join(', ')}, found "${excerpt(module.value)}"${hint}`
    problems.push(fatal(module.valuePlace, message))
    breakAll(name, message, opened)
    return
  }
  try {
    open(name, block, options, opened, problems)
  } catch (failure) {
    const place = block.options.find(option => option.name === 'dsn')?.valuePlace ?? block.place
    problems.push(error(place, `${heading}: ${describeError(failure)}`))
    breakAll(name, describeError(failure), opened)
  }
}

/** A plugin that names a connection which cannot be opened is not itself mistaken: it fails when it runs. */
function breakAll(name: string, reason: string, opened: Opened): void {
  const fail = (): never => {
    throw new LookupError(reason)
  }
  opened.databases.set(name, { dialect: 'sqlite', query: fail, execute: fail })
  opened.stores.set(name, { get: fail, set: fail, add: fail, increment: fail, delete: fail })
  opened.directories.set(name, { search: fail })
}

export const sessionSettings = {
  expire: seconds(
    { doc: 'How long a session is kept.', fallback: 300 },
    { min: 1, max: LONGEST_SECONDS },
  ),
  lock_timeout: seconds(
    { doc: 'Time to wait for a session that another request uses.', fallback: 10 },
    { min: 1 },
  ),
  lock_wait: optional(integer({ doc: 'Accepted for compatibility; has no effect.', fallback: 0 })),
  lock_max_retry: optional(
    integer({ doc: 'Accepted for compatibility; has no effect.', fallback: 0 }),
  ),
  memcached: text({ doc: 'Name of the Memcached connection.', fallback: 'memcached' }),
  redis: text({ doc: 'Name of the Redis connection.', fallback: 'redis' }),
}

/** Undefined: every request begins with an empty session. */
export function readSessions(
  root: Section,
  connections: Connections,
  options: ServiceOptions,
  problems: Problem[],
): SessionCache | undefined {
  const block = root.blocks.find(one => one.type === 'SessionCache')
  if (!block) return undefined
  const module = block.options.find(option => option.name === 'module')
  const kind = module?.value
  if (kind === 'None') return undefined
  const settings = readSettings(sessionSettings, block, problems)
  const { expire, lock_timeout } = settings ?? { expire: 300, lock_timeout: 10 }
  const place = module?.valuePlace ?? block.place
  if (kind === 'Memcached' || kind === 'Redis') {
    const name = (kind === 'Redis' ? settings?.redis : settings?.memcached) ?? kind.toLowerCase()
    const store = connections.keyValue(name)
    if (store) return options.storedSessions(store, expire, lock_timeout)
    const message = `<SessionCache>: there is no <Connection ${name}>; sessions are kept in memory`
    problems.push(error(place, message))
  } else if (kind !== 'Memory') {
    const words = ['None', 'Memory', 'Memcached', 'Redis']
    const found = kind === undefined ? 'none' : `"${excerpt(kind)}"${didYouMean(kind, words)}`
    const message = `<SessionCache>: expected one of: ${words.join(', ')} as "module", found ${found}; sessions are kept in memory`
    problems.push(error(place, message))
  }
  return options.memorySessions(expire, lock_timeout)
}
