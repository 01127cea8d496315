/**
 * memcached as a key-value store.
 *
 * Each of several servers has its share of the keys, chosen by the key's CRC-32 as Perl's
 * Cache::Memcached does, so that what it stored is found. A server that does not answer is not
 * replaced by another: its keys fail, and no old values come back when it returns.
 *
 * A key that memcached does not accept (more than 250 bytes with the namespace, spaces, control
 * characters) is stored under its SHA-256 instead.
 */

import { crc32 } from 'node:zlib'
import { type Clock, systemClock } from '../system/clock.ts'
import { LookupError } from '../system/errors.ts'
import { MemcachedConnection } from './memcached-connection.ts'
import { type ClosableKeyValueStore, checkSize } from './server-limits.ts'

export interface MemcachedOptions {
  /** HOST:PORT, or the path of a socket. */
  readonly servers: readonly string[]
  /** Put before every key. */
  readonly namespace: string
}

const MOST_KEY_BYTES = 250
/** memcached takes longer times for seconds since 1970. */
const LONGEST_RELATIVE_SECONDS = 30 * 24 * 60 * 60

/** Opens no connection yet. Throws LookupError if a server's name cannot be understood. */
export function memcachedStore(
  { servers, namespace }: MemcachedOptions,
  clock: Clock = systemClock,
): ClosableKeyValueStore {
  const connections = servers.map(server => new MemcachedConnection(server, clock))

  function connectionFor(key: string): MemcachedConnection {
    const share = ((crc32(key) >>> 16) & 0x7fff) % connections.length
    const connection = connections[share]
    if (!connection) throw new LookupError('memcached: no server is configured')
    return connection
  }

  /** Rejects if the answer is not one of those expected. */
  async function ask(key: string, command: string, expected: RegExp): Promise<string> {
    const { line } = await connectionFor(key).ask(command)
    if (!expected.test(line)) throw unexpected(line)
    return line
  }

  function store(verb: 'set' | 'add', key: string, value: string, seconds: number) {
    checkSize(value)
    const bytes = Buffer.byteLength(value)
    const command = `${verb} ${storedKey(key)} 0 ${expiry(seconds, clock.now())} ${bytes}\r\n${value}\r\n`
    return ask(key, command, /^(?:NOT_)?STORED$/)
  }

  function storedKey(key: string): string {
    const whole = namespace + key
    const fits = whole !== '' && Buffer.byteLength(whole) <= MOST_KEY_BYTES
    if (fits && !/[ \p{Cc}]/u.test(whole)) return whole
    const { createHash } = process.getBuiltinModule('node:crypto')
    return `univention-mtpolicyd-${createHash('sha256').update(whole).digest('hex')}`
  }

  return {
    async get(key) {
      const { line, value } = await connectionFor(key).ask(`get ${storedKey(key)}\r\n`)
      if (value !== undefined && line.split(' ')[1] === storedKey(key)) return value
      if (line === 'END') return undefined
      throw unexpected(line)
    },
    async set(key, value, expireSeconds) {
      await store('set', key, value, expireSeconds)
    },
    async add(key, value, expireSeconds) {
      return (await store('add', key, value, expireSeconds)) === 'STORED'
    },
    async increment(key, expireSeconds) {
      const stored = storedKey(key)
      for (let attempt = 0; attempt < 3; attempt++) {
        const [sum] = await Promise.all([
          ask(key, `incr ${stored} 1\r\n`, /^(?:\d+|NOT_FOUND)$/),
          ask(
            key,
            `touch ${stored} ${expiry(expireSeconds, clock.now())}\r\n`,
            /^(?:TOUCHED|NOT_FOUND)$/,
          ),
        ])
        if (sum !== 'NOT_FOUND') return Number(sum)
        if ((await store('add', key, '1', expireSeconds)) === 'STORED') return 1
        // Another client added it between the two commands.
      }
      throw new LookupError(`memcached: other clients keep deleting ${stored}`)
    },
    async delete(key) {
      await ask(key, `delete ${storedKey(key)}\r\n`, /^(?:DELETED|NOT_FOUND)$/)
    },
    close() {
      for (const connection of connections) connection.close()
    },
  }
}

function unexpected(line: string): LookupError {
  return new LookupError(`memcached: unexpected answer "${line}"`)
}

function expiry(seconds: number, now: number): number {
  const whole = Math.max(1, Math.ceil(seconds))
  return whole <= LONGEST_RELATIVE_SECONDS ? whole : Math.floor(now / 1000) + whole
}
