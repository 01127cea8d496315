/**
 * What an event of a message means, given what was decided about the message before. The table in
 * daemon/ledger.md, as functions; test/ledger/decision-table.test.ts checks every cell.
 */

import type { Claim, LedgerEvent, Unit } from '../policy/ports/ledger.ts'
import type { Decided, Entry } from './decided.ts'

export type Decision =
  /** Reserve the recipient, unless it is reserved already. */
  | 'reserve'
  /** The same verdict again; nothing is counted. */
  | 'repeat'
  /** Count the message for the first time. */
  | 'commit'
  /** New amounts replace those that were counted at DATA, and claims that are new are counted. */
  | 'adjust'

type Stage = LedgerEvent['stage']
type Asked = Pick<LedgerEvent, 'stage' | 'recipients' | 'bytes' | 'claims'>
type Known = Pick<Decided, 'accepted' | 'refusedBy' | 'stage' | 'entries'>

export function decide(before: Known | undefined, event: Asked): Decision {
  const { stage, claims } = event
  // A message that was refused is judged once more where the limit that refused it is none.
  const isKnown = before !== undefined && (before.accepted || isRefusal(before, claims))
  if (stage === 'RCPT') return isKnown ? 'repeat' : 'reserve'
  if (!isKnown) return 'commit'
  if (!before.accepted) return 'repeat'
  const isNews = (claim: Claim): boolean => {
    const entry = entryOf(before, claim)
    return !entry || !stays(entry, before.stage, stage, amountOf(event, claim.unit))
  }
  return claims.some(isNews) ? 'adjust' : 'repeat'
}

function isRefusal({ refusedBy }: Known, claims: readonly Claim[]): boolean {
  return claims.some(({ counter, enforce }) => counter === refusedBy && enforce !== false)
}

/** What a message has counted for a claim. */
export function entryOf({ entries }: Pick<Decided, 'entries'>, claim: Claim): Entry | undefined {
  return entries.find(({ period }) => period.counter === claim.counter)
}

/** True if what was counted for a claim at stage `counted` is not replaced by the amount of this event. */
export function stays(entry: Entry, counted: Stage, stage: Stage, amount: number): boolean {
  // A size is known at the end only, which another host may have judged first.
  if (entry.amount === 0 && amount > 0) return false
  // DATA refused by a later rule leaves the message open: more RCPT and another DATA may follow.
  return counted === 'END-OF-MESSAGE' || (stage === 'DATA' && amount <= entry.amount)
}

/** What an event counts in a unit, at DATA or END-OF-MESSAGE. */
export function amountOf(
  { recipients, bytes }: Pick<LedgerEvent, 'recipients' | 'bytes'>,
  unit: Unit,
): number {
  if (unit === 'messages') return 1
  return unit === 'recipients' ? Math.max(1, recipients) : Math.max(0, bytes)
}

/** Throws RangeError: a sum that is not a number would stay one. */
export function checkAmounts({
  recipients,
  bytes,
}: Pick<LedgerEvent, 'recipients' | 'bytes'>): void {
  if (!Number.isSafeInteger(recipients)) {
    throw new RangeError(`${recipients} is not a number of recipients`)
  }
  if (!Number.isSafeInteger(bytes)) throw new RangeError(`${bytes} is not a number of bytes`)
}

/** The limit in effect. */
export function limitOf({ limit, enforce }: Pick<Claim, 'limit' | 'enforce'>): number {
  return enforce === false ? Number.POSITIVE_INFINITY : limit
}
