/** What a ledger has done since it was opened, for monitoring: additions to fields and nothing else. */

import type { LedgerEvent } from '../policy/ports/ledger.ts'
import type { Decided } from './decided.ts'
import type { Line } from './lines.ts'

export class LedgerTally {
  /** Messages that were counted. */
  counted = 0
  /** Their recipients. */
  recipients = 0
  /** Messages that a limit refused; also after DATA, because they had grown. */
  refused = 0
  /** Messages whose counts were given back. */
  givenBack = 0

  /** A message was judged at DATA or at its end. `before`: it was accepted at an earlier stage. */
  judged(
    { recipients, claims }: LedgerEvent,
    before: Decided | undefined,
    lines: readonly Line[],
    accepted: boolean,
  ): void {
    if (!accepted) {
      this.refused++
      if (before?.entries.some(({ amount }) => amount > 0)) this.givenBack++
    } else if (!before || before.entries.length === 0) {
      this.counted++
      this.recipients += Math.max(recipients, 1)
    } else {
      // More recipients than at DATA.
      const growth = lines[claims.findIndex(({ unit }) => unit === 'recipients')]?.growth ?? 0
      this.recipients += Math.max(growth, 0)
    }
  }

  /** A message without a request at its end was counted by its recipients. */
  ended(recipients: number): void {
    this.counted++
    this.recipients += recipients
  }
}
