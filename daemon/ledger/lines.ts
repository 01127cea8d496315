/** A line for each claim of an event: where its message counts, how much, and what that changes. */

import type { Claim, LedgerEvent, Standing } from '../policy/ports/ledger.ts'
import type { Change } from './change.ts'
import type { Decided, Entry } from './decided.ts'
import { amountOf, entryOf, limitOf, stays } from './decision-table.ts'
import { BUCKETS, bucketAt, type CountingPeriod, type Periods } from './period.ts'

/** What the message counts for a claim: `amount` when the line is counted. */
export interface Line extends Change, Entry {}

/** The lines of an event at DATA or END-OF-MESSAGE. `before`: how the message was accepted before. */
export function linesOf(event: LedgerEvent, before: Decided | undefined, periods: Periods): Line[] {
  const { claims } = event
  if (before) return claims.map(claim => lineOf(event, claim, before, periods))
  const lines: Line[] = []
  for (let i = 0; i < claims.length; i++) {
    const claim = claims[i]
    if (claim) lines.push(newLine(event, claim, amountOf(event, claim.unit), periods))
  }
  return lines
}

function lineOf(event: LedgerEvent, claim: Claim, before: Decided, periods: Periods): Line {
  const entry = entryOf(before, claim)
  const amount = amountOf(event, claim.unit)
  if (!entry) return newLine(event, claim, amount, periods)
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
  return { period, bucket, subject, amount, growth, limit, used: 0, inBucket: 0 }
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
    changes.push({
      period,
      bucket,
      subject,
      growth: -amount,
      limit: Infinity,
      used: 0,
      inBucket: 0,
    })
  }
  return changes
}

/** Where each claim stands; the one with the number `refused` refuses. */
export function standingsOf(lines: readonly Line[], refused: number): readonly Standing[] {
  const standings: Standing[] = []
  for (let i = 0; i < lines.length; i++) {
    standings.push({ accepted: i !== refused, used: lines[i]?.used ?? 0 })
  }
  return standings
}
