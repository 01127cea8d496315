/** Memcached and Redis as policy sees them. */

/**
 * Texts under keys, for a time. Every method rejects with LookupError if the server does not
 * answer. Any text is a key; an implementation encodes those that its server cannot take.
 */
export interface KeyValueStore {
  get(key: string): Promise<string | undefined>
  /** @param expireSeconds from now, at least 1. */
  set(key: string, value: string, expireSeconds: number): Promise<void>
  /** Only where there is nothing yet: was there nothing? */
  add(key: string, value: string, expireSeconds: number): Promise<boolean>
  /** Adds 1 (nothing is 0), renews the expiry, returns the sum. */
  increment(key: string, expireSeconds: number): Promise<number>
  delete(key: string): Promise<void>
}
