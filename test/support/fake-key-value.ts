/** A key-value store in memory, with a clock that the test turns, and out of order when it says so. */

import type { KeyValueStore } from '../../daemon/policy/ports/key-value.ts'
import { LookupError } from '../../daemon/system/errors.ts'

export interface FakeKeyValueStore extends KeyValueStore {
  /** Milliseconds since 1970. */
  now: number
  isDown: boolean
  /** Milliseconds a `get` takes. */
  delay: number
  /** What is there and has not expired. */
  entries(): Readonly<Record<string, string>>
  /** Seconds a key has left. */
  secondsLeft(key: string): number | undefined
}

export function fakeKeyValueStore(now: number): FakeKeyValueStore {
  const kept = new Map<string, { value: string; until: number }>()

  function find(key: string): string | undefined {
    if (fake.isDown) throw new LookupError('the store is down')
    const entry = kept.get(key)
    return entry && entry.until > fake.now ? entry.value : undefined
  }

  const fake: FakeKeyValueStore = {
    now,
    isDown: false,
    delay: 0,
    entries: () =>
      Object.fromEntries(
        [...kept]
          .filter(([, { until }]) => until > fake.now)
          .map(([key, { value }]) => [key, value]),
      ),
    secondsLeft: key => {
      const entry = kept.get(key)
      return entry && (entry.until - fake.now) / 1000
    },
    async get(key) {
      if (fake.delay > 0) await new Promise(resolve => setTimeout(resolve, fake.delay))
      return find(key)
    },
    async set(key, value, expireSeconds) {
      find(key)
      kept.set(key, { value, until: fake.now + expireSeconds * 1000 })
    },
    async add(key, value, expireSeconds) {
      if (find(key) !== undefined) return false
      await fake.set(key, value, expireSeconds)
      return true
    },
    async increment(key, expireSeconds) {
      const sum = Number(find(key) ?? 0) + 1
      await fake.set(key, String(sum), expireSeconds)
      return sum
    },
    async delete(key) {
      find(key)
      kept.delete(key)
    },
  }
  return fake
}
