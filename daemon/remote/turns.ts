/** One at a time per key: the others wait in line, for a bounded time. */

import type { Clock } from '../system/clock.ts'
import { LookupError } from '../system/errors.ts'
import { Gate } from '../system/gate.ts'
import { type MaybePromise, whenReady } from '../system/maybe-promise.ts'
import { seconds } from '../system/refused.ts'

/** Requests of one message: a client that sends more at once gains nothing by it. */
const MOST_WAITING = 1000

export class Turns {
  readonly #clock: Clock
  /** Keys that are in use; a gate where others wait, or have waited. */
  readonly #inUse = new Map<string, Gate | undefined>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** At once if nobody has it, else a promise, which rejects with LookupError after the time. */
  take(key: string, milliseconds: number): MaybePromise<void> {
    if (!this.#inUse.has(key)) {
      this.#inUse.set(key, undefined)
      return
    }
    return whenReady(this.#gate(key).pass(milliseconds), refused => {
      if (!refused) return
      throw new LookupError(
        refused.why === 'late'
          ? `another request of the same message has not ended within ${seconds(milliseconds)}`
          : 'too many requests of the same message',
      )
    })
  }

  /** To the next in line. */
  pass(key: string): void {
    const gate = this.#inUse.get(key)
    gate?.leave()
    if (!gate?.inUse) this.#inUse.delete(key)
  }

  #gate(key: string): Gate {
    const known = this.#inUse.get(key)
    if (known) return known
    const gate = new Gate({ clock: this.#clock, slots: 1, waiting: MOST_WAITING })
    // For the one whose turn it is.
    void gate.pass(0)
    this.#inUse.set(key, gate)
    return gate
  }
}
