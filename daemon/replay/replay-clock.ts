/**
 * A clock that follows records: it shows the time of the last one. Nobody waits on it: timers run as soon as a
 * later record is reached, and a sleep is over at once.
 */

import type { Cancel, Clock } from '../system/clock.ts'

interface Timer {
  readonly due: number
  readonly run: () => void
}

/** Its functions may be called without it. */
export class ReplayClock implements Clock {
  #now = 0
  #elapsed = 0
  #isStarted = false
  readonly #timers = new Set<Timer>()

  readonly now = (): number => this.#now
  readonly elapsed = (): number => this.#elapsed

  readonly after = (milliseconds: number, run: () => void): Cancel => {
    const timer = { due: this.#elapsed + Math.max(0, milliseconds), run }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  readonly sleep = async (_milliseconds: number, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
  }

  /** A record of this time, milliseconds since 1970, is reached. An earlier one sets the wall clock back. */
  moveTo(at: number): void {
    if (this.#isStarted && at > this.#now) this.#elapsed += at - this.#now
    this.#isStarted = true
    this.#now = at
    if (this.#timers.size > 0) this.#runDue()
  }

  #runDue(): void {
    const due = [...this.#timers].filter(timer => timer.due <= this.#elapsed)
    for (const timer of due.toSorted((a, b) => a.due - b.due)) {
      if (this.#timers.delete(timer)) timer.run()
    }
  }
}
