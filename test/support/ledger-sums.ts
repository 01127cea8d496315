/** What a ledger has counted. The daemon must have ended. */

import { openSqliteLedger } from '../../daemon/store/sqlite-ledger.ts'

/** Recipients by account, over all days and counters. */
export function ledgerSums(path: string): Map<string, number> {
  const store = openSqliteLedger(path, 'normal')
  try {
    const sums = new Map<string, number>()
    for (const [, , account, used] of store.sums()) {
      sums.set(account, (sums.get(account) ?? 0) + used)
    }
    return sums
  } finally {
    store.close()
  }
}
