/** Messages that the event in hand ends: what a preview has to add and leave out, as if they were over. */

import type { Claim } from '../policy/ports/ledger.ts'
import { isInWindow } from './lines.ts'
import type { Hold, OpenMessages } from './open-messages.ts'
import { bucketAt, type CountingPeriod } from './period.ts'
import type { Services } from './services.ts'

interface EndedHold {
  readonly hold: Hold
  /** Does it count, because its service sends no request at the end of a message? */
  readonly isCounted: boolean
}

export type Ended = readonly EndedHold[]

export const NOTHING_ENDED: Ended = []

export function endedOf(keys: readonly string[], open: OpenMessages, services: Services): Ended {
  const missed = new Map<string, number>()
  return keys.flatMap(key => {
    const message = open.get(key)
    if (!message) return []
    const nth = (missed.get(message.service) ?? 0) + 1
    missed.set(message.service, nth)
    const isCounted = services.countsMissedEnd(message.service, nth)
    return message.holds.map(hold => ({ hold, isCounted }))
  })
}

/** Reservations for a claim's subject that are released. */
export function releasedFor(ended: Ended, { counter, subject }: Claim): number {
  let released = 0
  for (const { hold } of ended) {
    if (hold.counter === counter && hold.subject === subject) released += hold.amount
  }
  return released
}

/** What is counted for a subject in the window that ends at `now`. */
export function countedIn(
  ended: Ended,
  period: CountingPeriod,
  subject: string,
  now: number,
): number {
  let counted = 0
  for (const { hold, isCounted } of ended) {
    if (!isCounted || hold.period !== period || hold.subject !== subject) continue
    if (isInWindow(period, bucketAt(period, hold.at), now)) counted += hold.amount
  }
  return counted
}
