/**
 * The outside as a replay has it: nothing outside of this process is read or changed by a request.
 *
 * What plugins store between requests, sessions, tickets and tables, is kept in memory and begins empty. What only
 * somebody else could answer now, such as DNS, is not known any more: such a plugin is skipped. Local
 * files that the configuration names, and country databases, are read as usual.
 */

import type { SqlConnection } from '../policy/ports/sql.ts'
import { NotRehearsed } from '../policy/rehearsal.ts'
import { memoryStore } from '../remote/memory-store.ts'
import { sqliteConnection } from '../remote/sqlite-connection.ts'
import type { Clock } from '../system/clock.ts'
import type { OpenOutside } from './outside.ts'

/** Types of tables that are files; postmap could query a server for any other one. */
const FILE_TABLE = /^(?:(?:hash|btree|cdb|texthash):|[^:]*$)/i

export function scratchOutside(outside: OpenOutside, clock: Clock): OpenOutside {
  const refuse = (what: string) => (): Promise<never> => Promise.reject(new NotRehearsed(what))
  const closers: (() => void)[] = []
  const { services } = outside
  return {
    ...outside,
    dns: {
      // The port promises not to throw, but then the chain could not tell that the answer is not known.
      ask() {
        throw new NotRehearsed('a DNS query')
      },
      noListing: () => undefined,
    },
    spf: () => ({ check: refuse('a DNS query'), expand: refuse('a DNS query') }),
    openTable: name =>
      FILE_TABLE.test(name)
        ? outside.openTable(name)
        : { get: refuse(`a lookup in ${name}`), problem: () => undefined },
    policyService: () => ({ ask: refuse('querying another policy service') }),
    jailer: () => ({ ban: refuse('a ban') }),
    httpPost: refuse('an HTTP request'),
    probeRecipient: refuse('querying another mail server'),
    services: {
      openSql() {
        const connection = sqliteConnection(':memory:')
        closers.push(() => connection.close())
        return scratchTables(connection)
      },
      openMemcached: () => memoryStore(clock),
      openRedis: () => memoryStore(clock),
      openDirectory: () => ({ search: refuse('a search in a directory') }),
      memorySessions: services.memorySessions,
      storedSessions: (_store, expireSeconds, lockSeconds) =>
        services.memorySessions(expireSeconds, lockSeconds),
    },
    close() {
      for (const close of closers) close()
      outside.close()
    },
  }
}

/** Tables that plugins make themselves work; a query of anything else has no answer here. */
function scratchTables(connection: SqlConnection): SqlConnection {
  const known = <T>(work: () => T): T => {
    try {
      return work()
    } catch {
      throw new NotRehearsed('a query of a database')
    }
  }
  return {
    dialect: connection.dialect,
    query: (sql, values, most) => known(() => connection.query(sql, values, most)),
    execute: (sql, values) => known(() => connection.execute(sql, values)),
  }
}
