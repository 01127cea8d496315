/** An answer that several consoles ask for at the same time is made once, and is good for a while. */

import type { Clock } from '../system/clock.ts'

/** Different questions whose answers are remembered. */
const MOST_ANSWERS = 50

export class KeptAnswers<T> {
  readonly #clock: Pick<Clock, 'now'>
  readonly #milliseconds: number
  readonly #kept = new Map<string, { readonly at: number; readonly value: Promise<T> }>()

  constructor(clock: Pick<Clock, 'now'>, milliseconds: number) {
    this.#clock = clock
    this.#milliseconds = milliseconds
  }

  /** A failure is told to those who wait, and tried again by the next. */
  get(key: string, make: () => Promise<T>): Promise<T> {
    const now = this.#clock.now()
    const known = this.#kept.get(key)
    // A clock that was set back does not make it good for long.
    if (known && Math.abs(now - known.at) < this.#milliseconds) return known.value
    const value = make()
    this.#kept.delete(key)
    this.#kept.set(key, { at: now, value })
    value.catch(() => {
      if (this.#kept.get(key)?.value === value) this.#kept.delete(key)
    })
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > MOST_ANSWERS && oldest !== undefined) this.#kept.delete(oldest)
    return value
  }
}
