/** The time a request has. Its timer exists only once something waits. */

import type { Clock } from '../system/clock.ts'

export const LATE = Symbol('late')

export class Deadline {
  readonly #clock: Clock
  #controller: AbortController | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Aborted when the time is up, before `race` resolves. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  get isOver(): boolean {
    return this.#controller?.signal.aborted ?? false
  }

  /**
   * The work's result, or LATE after `milliseconds` + `grace`. The signal is aborted at `milliseconds`;
   * 0: unlimited.
   */
  race<T>(work: Promise<T>, milliseconds: number, grace: number): Promise<T | typeof LATE> {
    if (milliseconds === 0) return work
    return new Promise((resolve, reject) => {
      let cancel = this.#clock.after(milliseconds, () => {
        if (grace > 0) cancel = this.#clock.after(grace, () => resolve(LATE))
        else resolve(LATE)
        // Also where nobody has asked for the signal yet: the chain looks at it before the next plugin.
        this.#controller ??= new AbortController()
        this.#controller.abort()
      })
      work.then(resolve, reject).finally(() => cancel())
    })
  }
}
