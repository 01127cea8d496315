/**
 * The ledger as plugins see it, before and after the state directory is open.
 *
 * A configuration is checked and loaded without opening anything; the ledger comes when the file
 * that uses it is put to work, and stays over reloads. Without one every question is a failure of
 * the plugin that asks, which costs the count and not the mail.
 */

import { LookupError } from './policy/errors.ts'
import { type Ledger, openLedger, REMEMBERED_MILLISECONDS } from './policy/ledger.ts'
import { type Durability, openSqliteLedger, type SqliteLedgerStore } from './store/sqlite-ledger.ts'

export interface LedgerSlot {
  readonly ledger: Ledger
  readonly isOpen: boolean
  /** Throws LookupError. Does nothing if it is open. */
  open(path: string, durability: Durability, now: number): void
  /** A small step of forgetting what is old; true if there is more. */
  forget(day: string, now: number): boolean
  close(): void
}

export function ledgerSlot(): LedgerSlot {
  let store: SqliteLedgerStore | undefined
  let current: Ledger | undefined

  function need(): Ledger {
    if (!current) throw new LookupError('the ledger is not open')
    return current
  }

  return {
    ledger: {
      judge: event => need().judge(event),
      settle: () => current?.settle(),
      disconnect: connection => current?.disconnect(connection),
      expire: now => current?.expire(now),
      used: (scope, account, day) => need().used(scope, account, day),
      recipientOnlyServices: () => current?.recipientOnlyServices() ?? [],
    },
    get isOpen() {
      return current !== undefined
    },
    open(path, durability, now) {
      if (current) return
      store = openSqliteLedger(path, durability)
      current = openLedger(store, now)
    },
    forget: (day, now) => store?.forget(day, now - REMEMBERED_MILLISECONDS) ?? false,
    close() {
      store?.close()
      store = undefined
      current = undefined
    },
  }
}
