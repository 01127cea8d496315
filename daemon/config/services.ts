/**
 * <Connection> and <SessionCache>: the services a configuration names.
 *
 * Nothing is connected here. A kind of service that this version does not have yet is told from
 * one that nobody knows: the original starts with the first, and so do we.
 */

import { describeError, LookupError } from '../policy/errors.ts'
import type { SqlConnection } from '../policy/ports.ts'
import { error, fatal, type Problem, warning } from '../policy/problem.ts'
import type { SessionCache } from '../policy/session.ts'
import { integer, optional, readSettings, type Section, text } from '../policy/setting.ts'

export interface ServiceOptions {
  /** Throws LookupError if the data source name cannot be understood. */
  openSql(dsn: string, user: string, password: string): SqlConnection
  memorySessions(expireSeconds: number, lockSeconds: number): SessionCache
}

export const sqlSettings = {
  dsn: text({ doc: 'Data source, e.g. dbi:SQLite:dbname=/path.' }),
  user: text({ doc: 'User.', fallback: '' }),
  password: text({ doc: 'Password.', fallback: '' }),
}

/** Kinds of connection there are besides Sql; nothing in this version uses them. */
const OTHER_CONNECTIONS = ['Memcached', 'Redis', 'Ldap']

export function readConnections(
  root: Section,
  options: ServiceOptions,
  problems: Problem[],
): ReadonlyMap<string, SqlConnection> {
  const connections = new Map<string, SqlConnection>()
  for (const block of root.blocks.filter(one => one.type === 'Connection')) {
    const heading = `<Connection${block.name === undefined ? '' : ` ${block.name}`}>`
    const module = block.options.find(option => option.name === 'module')
    if (block.name === undefined || module?.value === undefined) {
      const what = block.name === undefined ? 'a name' : '"module"'
      problems.push(fatal(block.place, `${heading} needs ${what}`))
    } else if (module.value === 'Sql') {
      const settings = readSettings(sqlSettings, block, problems)
      if (!settings) continue
      try {
        const { dsn, user, password } = settings
        connections.set(block.name, options.openSql(dsn, user, password))
      } catch (failure) {
        const place = block.options.find(option => option.name === 'dsn')?.valuePlace ?? block.place
        problems.push(error(place, `${heading}: ${describeError(failure)}`))
        connections.set(block.name, brokenConnection(describeError(failure)))
      }
    } else if (!OTHER_CONNECTIONS.includes(module.value)) {
      const message = `expected one of: Sql, ${OTHER_CONNECTIONS.join(', ')}, found "${module.value}"`
      problems.push(fatal(module.valuePlace, message))
      // Whoever names it has made no mistake of his own.
      connections.set(block.name, brokenConnection(message))
    }
  }
  return connections
}

/** One that is written down and cannot be had: the plugins that need it fail, the daemon starts. */
function brokenConnection(reason: string): SqlConnection {
  const fail = (): never => {
    throw new LookupError(reason)
  }
  return { dialect: 'sqlite', query: fail, execute: fail }
}

export const sessionSettings = {
  expire: integer({ doc: 'Seconds a session is kept.', fallback: 300 }, { min: 1 }),
  lock_timeout: integer({ doc: 'Seconds to wait for a session in use.', fallback: 10 }, { min: 1 }),
  lock_wait: optional(integer({ doc: 'Without meaning here.', fallback: 0 })),
  lock_max_retry: optional(integer({ doc: 'Without meaning here.', fallback: 0 })),
  memcached: optional(text({ doc: 'Name of a connection.' })),
  redis: optional(text({ doc: 'Name of a connection.' })),
}

export function readSessions(
  root: Section,
  options: ServiceOptions,
  problems: Problem[],
): SessionCache | undefined {
  const block = root.blocks.find(one => one.type === 'SessionCache')
  if (!block) return undefined
  const module = block.options.find(option => option.name === 'module')
  if (module?.value === 'None') return undefined
  const settings = readSettings(sessionSettings, block, problems)
  if (module?.value !== undefined && ['Memcached', 'Redis'].includes(module.value)) {
    const message = `sessions in ${module.value} are not in this version: they are kept in memory`
    problems.push(warning(module.valuePlace, message))
  } else if (module?.value !== 'Memory') {
    const message = '<SessionCache>: expected module = None, Memory, Memcached or Redis'
    problems.push(error(module?.valuePlace ?? block.place, message))
  }
  return options.memorySessions(settings?.expire ?? 300, settings?.lock_timeout ?? 10)
}
