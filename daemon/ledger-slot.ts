/**
 * The ledger as plugins see it, before and after the state directory is open.
 *
 * A configuration is checked and loaded without opening anything; the ledger comes when the file
 * that uses it is put to work, and stays over reloads. A state file that cannot be used is no reason
 * to stop: a damaged one is set aside, and where nothing can be written the counts live in memory,
 * so that the limit holds; `problem` says so. Only a file that is another daemon's, or a newer
 * program's, is refused.
 */

import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { describeError, LookupError } from './policy/errors.ts'
import { type Ledger, openLedger, REMEMBERED_MILLISECONDS } from './policy/ledger.ts'
import {
  type Durability,
  ForeignLedger,
  isDamaged,
  openSqliteLedger,
  type SqliteLedgerStore,
} from './store/sqlite-ledger.ts'

export interface LedgerSlot {
  readonly ledger: Ledger
  readonly isOpen: boolean
  /** What keeps the counts from being durable, or what happened to them; undefined if all is well. */
  readonly problem: string | undefined
  /** Throws ForeignLedger. Does nothing if it is open. */
  open(path: string, durability: Durability, now: number): void
  /** A small step of forgetting what is old; true if there is more. */
  forget(day: string, now: number): boolean
  close(): void
}

export function ledgerSlot(): LedgerSlot {
  let store: SqliteLedgerStore | undefined
  let current: Ledger | undefined
  let problem: string | undefined
  let unsettled: string | undefined

  function need(): Ledger {
    if (!current) throw new LookupError('the ledger is not open')
    return current
  }

  function openStore(path: string, durability: Durability, now: number): SqliteLedgerStore {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
      return openSqliteLedger(path, durability)
    } catch (error) {
      if (error instanceof ForeignLedger) throw error
      problem = `counts are in memory only: ${describeError(error)}`
      if (!isDamaged(error)) return openSqliteLedger(':memory:', durability)
    }
    try {
      problem = `the counts before ${new Date(now).toISOString()} were damaged: ${setAside(path, now)}`
      return openSqliteLedger(path, durability)
    } catch (error) {
      problem = `counts are in memory only: ${describeError(error)}`
      return openSqliteLedger(':memory:', durability)
    }
  }

  return {
    ledger: {
      judge: event => need().judge(event),
      settle() {
        try {
          const settled = current?.settle()
          unsettled = undefined
          return settled
        } catch (error) {
          unsettled = `counts are in memory only: ${describeError(error)}`
          throw error
        }
      },
      disconnect: connection => current?.disconnect(connection),
      expire: now => current?.expire(now),
      used: (scope, account, day) => need().used(scope, account, day),
      recipientOnlyServices: () => current?.recipientOnlyServices() ?? [],
    },
    get isOpen() {
      return current !== undefined
    },
    get problem() {
      return unsettled ?? problem
    },
    open(path, durability, now) {
      if (current) return
      problem = undefined
      store = openStore(path, durability, now)
      current = openLedger(store, now)
    },
    forget: (day, now) => store?.forget(day, now - REMEMBERED_MILLISECONDS) ?? false,
    close() {
      try {
        store?.close()
      } finally {
        store = undefined
        current = undefined
      }
    },
  }
}

/** The new name of the damaged file. Its companions mean nothing without it. */
function setAside(path: string, now: number): string {
  const aside = `${path}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '')}`
  renameSync(path, aside)
  for (const companion of ['-wal', '-shm']) rmSync(`${path}${companion}`, { force: true })
  return aside
}
