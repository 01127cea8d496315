/**
 * Opening the ledger: the file, or what can be used in its place.
 *
 * A damaged file is set aside and replaced by the backup; one that can only be read is copied; else
 * counting continues in memory. Only a file that is another daemon's, or a newer version's, is refused.
 */

import { describeError } from '../system/errors.ts'
import type { Sum } from './account-pages.ts'
import type { LedgerDisk } from './disk.ts'
import type { InMemory, Notice, OnCopy, OnFile, OpenFooting } from './footing.ts'
import { keysOf } from './merge.ts'
import { ForeignLedger, isDamaged, type SqliteLedger } from './sqlite-ledger.ts'

/** What an opening needs. */
export interface Opening {
  readonly disk: LedgerDisk
  readonly now: number
  /** Throws if the store cannot be used after all. */
  readonly check: (store: SqliteLedger) => void
  /** Sums that are newer than the file's. */
  readonly newest: readonly Sum[]
  readonly replacedAt: number
}

/** At the start. `check` is called with each store before it is settled on. Throws ForeignLedger. */
export function openFooting(
  disk: LedgerDisk,
  now: number,
  check: (store: SqliteLedger) => void,
): OpenFooting {
  const opening = { disk, now, check, newest: [], replacedAt: Number.NEGATIVE_INFINITY }
  const inherited = disk.openInheritedCopy()
  if (inherited) {
    try {
      prepare(inherited, opening)
      const cause = 'the last run could not write its counts back'
      return onCopy(inherited, opening, cause, true)
    } catch {
      // What can be used without it, is.
    }
  }
  return openFile(opening)
}

/** The store, ready to be counted in; closed if it cannot be. */
export function prepare(store: SqliteLedger, { check, newest }: Opening): SqliteLedger {
  try {
    check(store)
    if (newest.length > 0) store.absorb(newest)
    return store
  } catch (error) {
    store.abandon()
    throw error
  }
}

export function onFile(
  store: SqliteLedger,
  { replacedAt }: Opening,
  notice: Notice | undefined,
): OnFile {
  const loss = store.loss === undefined ? undefined : ({ kind: 'loss', what: store.loss } as const)
  return { kind: 'file', store, health: 'sound', notice: notice ?? loss, replacedAt }
}

export function onCopy(
  store: SqliteLedger,
  { replacedAt }: Opening,
  cause: string,
  isInherited: boolean,
): OnCopy {
  return { kind: 'copy', store, health: 'sound', cause, isInherited, replacedAt }
}

export function inMemory(opening: Opening, why: unknown, owesBackup = false): InMemory {
  return {
    kind: 'memory',
    store: prepare(opening.disk.openMemory(), opening),
    cause: describeError(why),
    whole: keysOf(opening.newest),
    owesBackup,
    replacedAt: opening.replacedAt,
  }
}

/** The file, or what can be used in its place. Throws ForeignLedger. */
export function openFile(opening: Opening): OpenFooting {
  const { disk } = opening
  try {
    const store = prepare(disk.open(), opening)
    disk.dropCopy()
    return onFile(store, opening, undefined)
  } catch (error) {
    if (error instanceof ForeignLedger) throw error
    return isDamaged(error) ? openReplacement(opening) : copyOrMemory(opening, error)
  }
}

/** A file that cannot be written: a copy of it, or else memory. Throws ForeignLedger. */
function copyOrMemory(opening: Opening, why: unknown): OpenFooting {
  const { disk } = opening
  try {
    return onCopy(prepare(disk.makeCopy(), opening), opening, describeError(why), false)
  } catch (error) {
    if (error instanceof ForeignLedger) throw error
    disk.dropCopy()
    return inMemory(opening, why)
  }
}

/** The damaged file is set aside; the backup, or else an empty file, takes its place. Throws ForeignLedger. */
export function openReplacement(before: Opening): OnFile | InMemory {
  const opening = { ...before, replacedAt: before.now }
  const { disk, now: at } = opening
  // Until it could be copied, the backup is still to be restored.
  let owesBackup = false
  try {
    const aside = disk.setAside(at)
    owesBackup = true
    const backup = disk.restoreBackup()
    owesBackup = false
    const store = prepare(disk.open(), opening)
    return onFile(store, opening, { kind: 'damaged', at, aside, backup })
  } catch (error) {
    if (error instanceof ForeignLedger) throw error
    if (owesBackup || !isDamaged(error)) return inMemory(opening, error, owesBackup)
  }
  try {
    const aside = disk.setAside(at)
    const store = prepare(disk.open(), opening)
    return onFile(store, opening, { kind: 'damaged', at, aside, backup: 'damaged' })
  } catch (error) {
    return inMemory(opening, error)
  }
}
