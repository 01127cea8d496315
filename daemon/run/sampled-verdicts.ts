/**
 * Some of the verdicts, for consoles: a few a second, however many there are. The others are only counted: to
 * pass on each of them costs the thread that answers a good part of a request's time.
 */

import { Broadcast } from '../control/broadcast.ts'
import type { SampledVerdict } from '../control/control.ts'
import { type VerdictRecord, verdictFields } from '../policy/verdict-record.ts'
import type { Clock } from '../system/clock.ts'

/** More than anybody can read. */
const MOST_PER_SECOND = 20
const TELL_MILLISECONDS = 1000

export class SampledVerdicts {
  readonly #broadcast = new Broadcast<SampledVerdict>()
  readonly #clock: Pick<Clock, 'after'>
  /** Seconds since 1970. */
  #second = 0
  #published = 0
  #leftOut = 0

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  readonly note = (record: VerdictRecord): void => {
    if (!this.#broadcast.isHeard) {
      this.#leftOut = 0
      return
    }
    const second = Math.floor(record.at / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#published = 0
    }
    if (this.#published >= MOST_PER_SECOND) {
      // Told with the next verdict; there may be none for a while.
      if (this.#leftOut++ === 0) this.#clock.after(TELL_MILLISECONDS, () => this.#tell())
      return
    }
    this.#published++
    this.#broadcast.publish({ verdict: verdictFields(record), leftOut: this.#leftOut })
    this.#leftOut = 0
  }

  #tell(): void {
    if (this.#leftOut === 0) return
    this.#broadcast.publish({ verdict: undefined, leftOut: this.#leftOut })
    this.#leftOut = 0
  }

  /** Throws where there are too many readers. */
  subscribe(signal: AbortSignal): AsyncIterable<SampledVerdict> {
    return this.#broadcast.subscribe(signal)
  }
}
