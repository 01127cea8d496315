/**
 * Logins that have failed, by where they came from. A token has 256 random bits, so nobody finds one by
 * trying; what this keeps short is the log.
 */

import { clientNetwork } from './client-network.ts'

const MOST_FAILURES = 10
const WINDOW_MILLISECONDS = 60_000
/** Addresses remembered; beyond that the oldest is deleted. */
const MOST_ADDRESSES = 1000

export class Attempts {
  readonly #now: () => number
  readonly #failures = new Map<string, { count: number; readonly since: number }>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** How many seconds this address has to wait; 0: it may fail. */
  wait(address: string): number {
    const key = clientNetwork(address)
    const known = this.#failures.get(key)
    if (!known) return 0
    const left = known.since + WINDOW_MILLISECONDS - this.#now()
    if (left > 0 && left <= WINDOW_MILLISECONDS) {
      return known.count >= MOST_FAILURES ? Math.ceil(left / 1000) : 0
    }
    this.#failures.delete(key)
    return 0
  }

  failed(address: string): void {
    const key = clientNetwork(address)
    const known = this.#failures.get(key)
    if (known) {
      known.count++
      return
    }
    if (this.#failures.size >= MOST_ADDRESSES) {
      const [oldest = ''] = this.#failures.keys()
      this.#failures.delete(oldest)
    }
    this.#failures.set(key, { count: 1, since: this.#now() })
  }
}
