/** What reading the journal passes on, whichever version wrote it. */

import type { Decided } from './decided.ts'
import type { CountingPeriod, Periods } from './period.ts'

/** Receives the entries of a record. */
export interface RecordReader {
  /** Those that periods are of. */
  readonly periods: Periods
  /** `now`: when it was counted, or earlier by no more than the turn of a record. */
  sum?(period: CountingPeriod, bucket: number, subject: Uint8Array, used: number, now: number): void
  decision?(message: Uint8Array, decided: Decided): void
}
