/** A line for each claim of an event: where its message counts, how much, and what that changes. */

import type { Claim, LedgerEvent, Standing } from '../policy/ports/ledger.ts'
import type { Decided, Entry } from './decided.ts'
import { amountOf, entryOf, limitOf, stays } from './decision-table.ts'
import { BUCKETS, bucketAt, type CountingPeriod, type Periods } from './period.ts'
import type { LedgerStore } from './store.ts'

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
}

/** What the message counts for a claim: `amount` when the line is counted; and where the claim stands then. */
export interface Line extends Change, Entry, Standing {
  accepted: boolean
  used: number
}

/** The lines of an event at DATA or END-OF-MESSAGE. `before`: how the message was accepted before. */
export function linesOf(event: LedgerEvent, before: Decided | undefined, periods: Periods): Line[] {
  return event.claims.map(claim => lineOf(event, claim, before, periods))
}

function lineOf(
  event: LedgerEvent,
  claim: Claim,
  before: Decided | undefined,
  periods: Periods,
): Line {
  const entry = before && entryOf(before, claim)
  const amount = amountOf(event, claim.unit)
  if (!before || !entry) return newLine(event, claim, amount, periods)
  const { period, bucket, subject } = placeOf(entry, claim, event.now, periods)
  const growth = stays(entry, before.stage, event.stage, amount) ? 0 : amount - entry.amount
  // What does not grow is not refused, however low the limit has become.
  const limit = growth > 0 ? limitOf(claim) : Number.POSITIVE_INFINITY
  if (isInWindow(entry.period, entry.bucket, event.now)) {
    return lineWith(period, bucket, subject, entry.amount + growth, growth, limit)
  }
  // What was counted is not in the window any more; only what is new is.
  if (growth <= 0) {
    return lineWith(entry.period, entry.bucket, entry.subject, entry.amount, 0, limit)
  }
  return newLine(event, claim, growth, periods)
}

/** What counts now, and for the first time. */
function newLine({ now }: LedgerEvent, claim: Claim, amount: number, periods: Periods): Line {
  const { counter, window, subject } = claim
  const period = periods.of(counter, window)
  const bucket = bucketAt(period, now)
  return lineWith(period, bucket, subject, amount, amount, limitOf(claim))
}

function lineWith(
  period: CountingPeriod,
  bucket: number,
  subject: string,
  amount: number,
  growth: number,
  limit: number,
): Line {
  return { period, bucket, subject, amount, growth, limit, used: 0, accepted: true }
}

/** Where a claim counts: where the message was counted already, or now. */
export function placeOf(
  entry: Entry | undefined,
  { counter, window, subject }: Claim,
  now: number,
  periods: Periods,
): Pick<Entry, 'period' | 'bucket' | 'subject'> {
  if (entry && entry.amount > 0) return entry
  const period = periods.of(counter, window)
  return { period, bucket: bucketAt(period, now), subject }
}

/** Does a bucket still count? One that is in the future counts, too: the clock has been set back. */
export function isInWindow(period: CountingPeriod, bucket: number, now: number): boolean {
  return period.bucketMilliseconds === 0 || bucket >= bucketAt(period, now) - BUCKETS
}

/** What takes back everything that was counted. */
export function givingBack(entries: readonly Entry[]): Change[] {
  const changes: Change[] = []
  for (const { period, bucket, subject, amount } of entries) {
    if (amount === 0) continue
    changes.push({ period, bucket, subject, growth: -amount, limit: Infinity, used: 0 })
  }
  return changes
}

/**
 * Makes all changes, or none: the number of the first that its limit does not allow, or -1. Throws
 * LookupError, with nothing changed.
 */
export function changeAll(store: LedgerStore, changes: readonly Change[], now: number): number {
  let done = 0
  try {
    for (; done < changes.length; done++) {
      const change = changes[done]
      if (change && !changeOne(store, change, now)) break
    }
  } catch (error) {
    undo(store, changes, done, now)
    throw error
  }
  if (done === changes.length) return -1
  undo(store, changes, done, now)
  return done
}

/** False, with nothing changed, if the limit does not allow it. */
function changeOne(store: LedgerStore, change: Change, now: number): boolean {
  const { period, bucket, subject, growth, limit } = change
  if (growth === 0) {
    change.used = store.used(period, subject, now)
    return change.used <= limit
  }
  const used = store.addWithin(period, subject, bucket, growth, limit, now)
  if (used === undefined) return false
  change.used = used
  return true
}

/** Takes the first `count` changes back. Their sums are in memory, so nothing can fail. */
function undo(store: LedgerStore, changes: readonly Change[], count: number, now: number): void {
  for (const { period, bucket, subject, growth } of changes.slice(0, count)) {
    if (growth !== 0) store.addWithin(period, subject, bucket, -growth, Infinity, now)
  }
}

/** Where each claim stands; the one with the number `refused` refuses. */
export function standingsOf(lines: readonly Line[], refused: number): readonly Standing[] {
  const line = lines[refused]
  if (line) line.accepted = false
  return lines
}
