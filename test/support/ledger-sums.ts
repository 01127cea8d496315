/** What a ledger has counted. The daemon must have ended. */

import { openSqliteLedger } from '../../daemon/ledger/sqlite-ledger.ts'

/** What was counted by account, over all periods: of one counter, or of all. */
export function ledgerSums(path: string, counter?: string): Map<string, number> {
  const store = openSqliteLedger(path, 'normal')
  try {
    const sums = new Map<string, number>()
    for (const [period, account, , used] of store.sums()) {
      if (counter !== undefined && period.counter !== counter) continue
      sums.set(account, (sums.get(account) ?? 0) + used)
    }
    return sums
  } finally {
    store.close()
  }
}
