/**
 * <Connection> and <SessionCache>: the services a configuration names.
 *
 * Nothing is connected here. A service that cannot be had is an error at its place and fails
 * whenever it is asked; the daemon starts all the same, as the original does.
 */

import type { Directory } from '../policy/directory.ts'
import { describeError, LookupError } from '../policy/errors.ts'
import { excerpt } from '../policy/excerpt.ts'
import type { KeyValueStore } from '../policy/key-value.ts'
import type { Connections } from '../policy/outside.ts'
import type { SqlConnection } from '../policy/ports.ts'
import { error, fatal, type Problem } from '../policy/problem.ts'
import type { SessionCache } from '../policy/session.ts'
import {
  boolean,
  integer,
  list,
  optional,
  readSettings,
  type Section,
  type SettingValues,
  text,
} from '../policy/setting.ts'

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
  dsn: text({ doc: 'Data source, e.g. dbi:SQLite:dbname=/path, dbi:Pg:dbname=mail;host=db.' }),
  user: text({ doc: 'User.', fallback: '' }),
  password: text({ doc: 'Password.', fallback: '' }),
}

export const memcachedSettings = {
  servers: list({ doc: 'HOST:PORT, several with commas.', fallback: ['127.0.0.1:11211'] }),
  namespace: text({ doc: 'Put before every key.', fallback: '' }),
  debug: boolean({ doc: 'Without meaning here.', fallback: false }),
}

export const redisSettings = {
  server: text({ doc: 'HOST:PORT.', fallback: '127.0.0.1:6379' }),
  sock: optional(text({ doc: 'Path of a socket, instead of server.' })),
  sentinels: list({ doc: 'Sentinels, HOST:PORT with commas, instead of server.', fallback: [] }),
  service: optional(text({ doc: 'The name Sentinel knows the servers by.' })),
  password: optional(text({ doc: 'Password.' })),
  db: integer({ doc: 'Number of the database.', fallback: 0 }, { min: 0 }),
  debug: boolean({ doc: 'Without meaning here.', fallback: false }),
}

export const ldapSettings = {
  host: text({ doc: 'Host name, address, or ldaps:// or ldapi:// URL.', fallback: 'localhost' }),
  port: integer({ doc: 'Port.', fallback: 389 }, { min: 1, max: 65_535 }),
  keepalive: boolean({ doc: 'Keep the connection open.', fallback: true }),
  timeout: integer({ doc: 'Seconds to wait for the server.', fallback: 120 }, { min: 1 }),
  binddn: optional(text({ doc: 'Who we are; nobody: anonymous.' })),
  password: optional(text({ doc: 'Password.' })),
  starttls: boolean({ doc: 'Encrypt, and check the certificate.', fallback: true }),
  connection_class: optional(text({ doc: 'Without meaning here.' })),
}

export type SqlSettings = SettingValues<typeof sqlSettings>
export type MemcachedSettings = SettingValues<typeof memcachedSettings>
export type RedisSettings = SettingValues<typeof redisSettings>
export type LdapSettings = SettingValues<typeof ldapSettings>

const KINDS = ['Sql', 'Memcached', 'Redis', 'Ldap']

export function readConnections(
  root: Section,
  options: ServiceOptions,
  problems: Problem[],
): Connections {
  const databases = new Map<string, SqlConnection>()
  const stores = new Map<string, KeyValueStore>()
  const directories = new Map<string, Directory>()

  for (const block of root.blocks.filter(one => one.type === 'Connection')) {
    const heading = `<Connection${block.name === undefined ? '' : ` ${block.name}`}>`
    const module = block.options.find(option => option.name === 'module')
    const { name } = block
    if (name === undefined || module?.value === undefined) {
      const what = name === undefined ? 'a name' : '"module"'
      problems.push(fatal(block.place, `${heading} needs ${what}`))
      continue
    }
    const open = (kind: string): void => {
      if (kind === 'Sql') {
        const settings = readSettings(sqlSettings, block, problems)
        if (settings) databases.set(name, options.openSql(settings))
      } else if (kind === 'Memcached') {
        const settings = readSettings(memcachedSettings, block, problems)
        if (settings) stores.set(name, options.openMemcached(settings))
      } else if (kind === 'Redis') {
        const settings = readSettings(redisSettings, block, problems)
        if (settings) stores.set(name, options.openRedis(settings))
      } else if (kind === 'Ldap') {
        const settings = readSettings(ldapSettings, block, problems)
        if (settings) directories.set(name, options.openDirectory(settings))
      } else {
        const message = `expected one of: ${KINDS.join(', ')}, found "${excerpt(kind)}"`
        problems.push(fatal(module.valuePlace, message))
        breakAll(name, message)
      }
    }
    try {
      open(module.value)
    } catch (failure) {
      const place = block.options.find(option => option.name === 'dsn')?.valuePlace ?? block.place
      problems.push(error(place, `${heading}: ${describeError(failure)}`))
      breakAll(name, describeError(failure))
    }
  }

  /** Whoever names it has made no mistake of his own. */
  function breakAll(name: string, reason: string): void {
    const fail = (): never => {
      throw new LookupError(reason)
    }
    databases.set(name, { dialect: 'sqlite', query: fail, execute: fail })
    stores.set(name, { get: fail, set: fail, add: fail, increment: fail, delete: fail })
    directories.set(name, { search: fail })
  }

  return {
    sql: name => databases.get(name),
    keyValue: name => stores.get(name),
    directory: name => directories.get(name),
  }
}

export const sessionSettings = {
  expire: integer({ doc: 'Seconds a session is kept.', fallback: 300 }, { min: 1 }),
  lock_timeout: integer({ doc: 'Seconds to wait for a session in use.', fallback: 10 }, { min: 1 }),
  lock_wait: optional(integer({ doc: 'Without meaning here.', fallback: 0 })),
  lock_max_retry: optional(integer({ doc: 'Without meaning here.', fallback: 0 })),
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
    const message = '<SessionCache>: expected module = None, Memory, Memcached or Redis'
    problems.push(error(place, message))
  }
  return options.memorySessions(expire, lock_timeout)
}
