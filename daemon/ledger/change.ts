/** Changes of sums that belong together: all of them are made, or none. */

import type { CountingPeriod } from './period.ts'

/** What is counted, or given back, in one place. */
export interface Change {
  readonly period: CountingPeriod
  readonly bucket: number
  readonly subject: string
  readonly growth: number
  /** In effect for this growth. */
  readonly limit: number
  /** Used in the window; with the growth, once it is counted. */
  used: number
  /** What is in the bucket, for a store's own use. */
  inBucket: number
}

/** As in LedgerStore. */
interface Sums {
  used(period: CountingPeriod, subject: string, now: number): number
  addWithin(
    period: CountingPeriod,
    subject: string,
    bucket: number,
    count: number,
    limit: number,
    now: number,
  ): number | undefined
}

/** As `changeAll` in LedgerStore, one after the other. The first `done` changes have been made already. */
export function changeOneByOne(
  sums: Sums,
  changes: readonly Change[],
  now: number,
  done = 0,
): number {
  let next = done
  try {
    for (; next < changes.length; next++) {
      const change = changes[next]
      if (change && !changeOne(sums, change, now)) break
    }
  } catch (error) {
    undo(sums, changes, next, now)
    throw error
  }
  if (next === changes.length) return -1
  undo(sums, changes, next, now)
  return next
}

/** False, with nothing changed, if the limit does not allow it. */
function changeOne(sums: Sums, change: Change, now: number): boolean {
  const { period, bucket, subject, growth, limit } = change
  if (growth === 0) {
    change.used = sums.used(period, subject, now)
    return change.used <= limit
  }
  const used = sums.addWithin(period, subject, bucket, growth, limit, now)
  if (used === undefined) return false
  change.used = used
  return true
}

/** Takes the first `count` changes back. Their sums are in memory, so nothing can fail. */
function undo(sums: Sums, changes: readonly Change[], count: number, now: number): void {
  for (const { period, bucket, subject, growth } of changes.slice(0, count)) {
    if (growth !== 0) sums.addWithin(period, subject, bucket, -growth, Infinity, now)
  }
}
