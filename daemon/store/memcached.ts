/**
 * memcached as a key-value store.
 *
 * Of several servers each has its share of the keys, chosen by the key's CRC-32 as Perl's
 * Cache::Memcached does, so that what it stored is found. A server that does not answer is not
 * replaced by another: its keys fail, and nothing old comes back when it returns.
 *
 * A key that memcached cannot take (more than 250 bytes with the namespace, blanks, control
 * characters) is stored under its SHA-256 instead.
 */

import { crc32 } from 'node:zlib'
import { LookupError } from '../policy/errors.ts'
import { type MemcachedConnection, memcachedConnection } from './memcached-connection.ts'
import { type ClosableKeyValueStore, checkSize } from './server-limits.ts'

export interface MemcachedOptions {
  /** HOST:PORT, or the path of a socket. */
  readonly servers: readonly string[]
  /** Put before every key. */
  readonly namespace: string
}

const MOST_KEY_BYTES = 250
/** Longer times memcached takes for seconds since 1970. */
const LONGEST_RELATIVE_SECONDS = 30 * 24 * 60 * 60

/** Connects to nobody yet. Throws LookupError if a server's name cannot be understood. */
export function memcachedStore({ servers, namespace }: MemcachedOptions): ClosableKeyValueStore {
  const connections = servers.map(memcachedConnection)

  function connectionFor(key: string): MemcachedConnection {
    const share = ((crc32(key) >>> 16) & 0x7fff) % connections.length
    const connection = connections[share]
    if (!connection) throw new LookupError('memcached: no server is named')
    return connection
  }

  /** The answer, which has to be one of those expected. */
  async function ask(key: string, command: string, expected: RegExp): Promise<string> {
    const { line } = await connectionFor(key).ask(command)
    if (!expected.test(line)) throw new LookupError(`memcached: "${line}" is no answer to that`)
    return line
  }

  function store(verb: 'set' | 'add', key: string, value: string, seconds: number) {
    checkSize(value)
    const bytes = Buffer.byteLength(value)
    const command = `${verb} ${takeable(key)} 0 ${expiry(seconds)} ${bytes}\r\n${value}\r\n`
    return ask(key, command, /^(?:NOT_)?STORED$/)
  }

  function takeable(key: string): string {
    const whole = namespace + key
    const fits = whole !== '' && Buffer.byteLength(whole) <= MOST_KEY_BYTES
    if (fits && !/[ \p{Cc}]/u.test(whole)) return whole
    const { createHash } = process.getBuiltinModule('node:crypto')
    return `univention-mtpolicyd-${createHash('sha256').update(whole).digest('hex')}`
  }

  return {
    async get(key) {
      const { line, value } = await connectionFor(key).ask(`get ${takeable(key)}\r\n`)
      if (value !== undefined && line.split(' ')[1] === takeable(key)) return value
      if (line === 'END') return undefined
      throw new LookupError(`memcached: "${line}" is no answer to that`)
    },
    async set(key, value, expireSeconds) {
      await store('set', key, value, expireSeconds)
    },
    async add(key, value, expireSeconds) {
      return (await store('add', key, value, expireSeconds)) === 'STORED'
    },
    async increment(key, expireSeconds) {
      const stored = takeable(key)
      for (let attempt = 0; attempt < 3; attempt++) {
        const [sum] = await Promise.all([
          ask(key, `incr ${stored} 1\r\n`, /^(?:\d+|NOT_FOUND)$/),
          ask(key, `touch ${stored} ${expiry(expireSeconds)}\r\n`, /^(?:TOUCHED|NOT_FOUND)$/),
        ])
        if (sum !== 'NOT_FOUND') return Number(sum)
        if ((await store('add', key, '1', expireSeconds)) === 'STORED') return 1
        // Somebody else was first between the two questions.
      }
      throw new LookupError(`memcached: ${stored} comes and goes`)
    },
    async delete(key) {
      await ask(key, `delete ${takeable(key)}\r\n`, /^(?:DELETED|NOT_FOUND)$/)
    },
    close() {
      for (const connection of connections) connection.close()
    },
  }
}

function expiry(seconds: number): number {
  const whole = Math.max(1, Math.ceil(seconds))
  return whole <= LONGEST_RELATIVE_SECONDS ? whole : Math.floor(Date.now() / 1000) + whole
}
