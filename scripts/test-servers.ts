/**
 * The servers that tests talk to, started from Debian's packages.
 *
 *   const skip = serverMissing('redis')     // false, or why not; throws where CI promised one
 *   const server = await startServer('redis')
 *   t.teardown(() => server.remove())
 *   server.port, await server.stop(), await server.start()
 */

import { fail2ban } from './servers/fail2ban.ts'
import { mariadb } from './servers/mariadb.ts'
import { memcached } from './servers/memcached.ts'
import { postgresql } from './servers/postgresql.ts'
import { redis } from './servers/redis.ts'
import { redisSentinel } from './servers/redis-sentinel.ts'
import {
  missingPrograms,
  runServer,
  type ServerKind,
  type ServerOptions,
  type TestServer,
} from './servers/server.ts'
import { slapd } from './servers/slapd.ts'

const KINDS = {
  fail2ban,
  mariadb,
  memcached,
  postgresql,
  redis,
  'redis-sentinel': redisSentinel,
  slapd,
} as const satisfies Record<string, ServerKind>

export type ServerName = keyof typeof KINDS

/**
 * Why no such server can be started here, or false. With CI set that is a failure instead of a
 * skip.
 */
export function serverMissing(name: ServerName): string | false {
  const missing = missingPrograms(KINDS[name].programs)
  if (missing.length === 0) return false
  const reason = `a real ${name} needs ${missing.join(', ')} (package ${KINDS[name].package})`
  if (process.env.CI) throw new Error(reason)
  return reason
}

/** Resolves when the server accepts connections. */
export function startServer(name: ServerName, options: ServerOptions = {}): Promise<TestServer> {
  return runServer(KINDS[name], options)
}
