/**
 * Where the ledger keeps sums and decisions. Synchronous: all calls between two `settle` are one
 * transaction. Every method throws LookupError if the store does not work.
 */

import type { Change } from './change.ts'
import type { Decided } from './decided.ts'
import type { CountingPeriod, Periods } from './period.ts'

export interface LedgerStore {
  /** The periods that `recall` passes on are of these, as should be those that are passed to it. */
  readonly periods: Periods
  /** What a subject has used in a period; in a rolling one, in the window that ends at `now`. */
  used(period: CountingPeriod, subject: string, now: number): number
  /**
   * Adds `count`, which may be negative, to a bucket (`bucketAt`; 0 in a calendar period) if what is used
   * in the period at `now` stays within `limit`. What is used then, or undefined if it would not stay
   * within it. A bucket never goes below 0; one that has left the window is changed without effect.
   */
  addWithin(
    period: CountingPeriod,
    subject: string,
    bucket: number,
    count: number,
    limit: number,
    now: number,
  ): number | undefined
  /** Nothing is used in the period any more, nor in the window of a rolling one that ends at `now` or later. */
  clear(period: CountingPeriod, subject: string, now: number): void
  /**
   * Makes all changes, or none: the number of the first that its limit does not allow, or -1. Throws with
   * nothing changed. What is passed to `remember` next may be the same array.
   */
  changeAll(changes: readonly Change[], now: number): number
  /**
   * In a rolling period: when `count` would be within `limit` if nothing else is added, milliseconds since
   * 1970; undefined if never.
   */
  fitsAt(
    period: CountingPeriod,
    subject: string,
    count: number,
    limit: number,
    now: number,
  ): number | undefined
  /** `message`: its key (`messageKey`). `isNew`: it was not judged before. */
  remember(message: string, decided: Decided, isNew: boolean): void
  /**
   * Passes on the newest `REMEMBERED` messages, oldest first, and how they were judged. A message is
   * its key in UTF-8; the bytes do not change afterwards.
   */
  recall(tell: (message: Uint8Array, decided: Decided) => void): void
  /** Services that have sent requests at DATA or END-OF-MESSAGE, and those that sent them at RCPT only. */
  services(): Iterable<readonly [service: string, asksAtEnd: boolean]>
  rememberService(service: string, asksAtEnd: boolean): void
  /** Throws if nothing can be written; what was to be written is kept for the next call. */
  settle(): void
}
