/**
 * Some of the verdicts, for consoles: a few a second, however many there are. The others are only counted: to
 * pass on each of them costs the thread that answers a good part of a request's time.
 */

import { Broadcast } from '../control/broadcast.ts'
import type { SampledVerdict } from '../control/control.ts'
import { type VerdictRecord, verdictFields } from '../policy/verdict-record.ts'

/** More than anybody can read. */
const MOST_PER_SECOND = 20

export class SampledVerdicts {
  readonly #broadcast = new Broadcast<SampledVerdict>()
  /** Seconds since 1970. */
  #second = 0
  #published = 0
  #leftOut = 0

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
      this.#leftOut++
      return
    }
    this.#published++
    this.#broadcast.publish({ verdict: verdictFields(record), leftOut: this.#leftOut })
    this.#leftOut = 0
  }

  /** Throws where there are too many readers. */
  subscribe(signal: AbortSignal): AsyncIterable<SampledVerdict> {
    return this.#broadcast.subscribe(signal)
  }
}
