/** Texts under keys in this process's memory, instead of Memcached or Redis; for a replay. */

import type { KeyValueStore } from '../policy/ports/key-value.ts'
import type { Clock } from '../system/clock.ts'

/** Beyond that, the key that was written first is dropped. */
const MOST_KEYS = 200_000

interface Entry {
  readonly value: string
  /** Milliseconds since 1970. */
  readonly until: number
}

export function memoryStore({ now }: Pick<Clock, 'now'>): KeyValueStore {
  const entries = new Map<string, Entry>()

  function find(key: string): string | undefined {
    const entry = entries.get(key)
    if (!entry || entry.until > now()) return entry?.value
    entries.delete(key)
    return undefined
  }

  function put(key: string, value: string, expireSeconds: number): void {
    // The newest last.
    entries.delete(key)
    entries.set(key, { value, until: now() + expireSeconds * 1000 })
    if (entries.size <= MOST_KEYS) return
    const [oldest] = entries.keys()
    if (oldest !== undefined) entries.delete(oldest)
  }

  return {
    get: async key => find(key),
    set: async (key, value, expireSeconds) => put(key, value, expireSeconds),
    async add(key, value, expireSeconds) {
      if (find(key) !== undefined) return false
      put(key, value, expireSeconds)
      return true
    },
    async increment(key, expireSeconds) {
      const sum = (Number(find(key)) || 0) + 1
      put(key, String(sum), expireSeconds)
      return sum
    },
    delete: async key => void entries.delete(key),
  }
}
