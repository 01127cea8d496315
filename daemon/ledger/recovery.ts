/**
 * Recovery: back to the ledger's file, as soon and as completely as possible.
 *
 * A daemon at work continues to count, whatever happens to its file: where the start refuses another
 * daemon's file, recovery counts in memory.
 */

import { describeError } from '../system/errors.ts'
import { type LedgerDisk, retire } from './disk.ts'
import type { Footing, InMemory, OnCopy, OnFile, OpenFooting } from './footing.ts'
import { type Interim, sumsToWrite } from './merge.ts'
import { inMemory, type Opening, onFile, openFile, openReplacement, prepare } from './opening.ts'
import { isDamaged } from './sqlite-ledger.ts'

/** A file that breaks again within this time was restored from a backup that is broken, too. */
const BACKUP_IS_SUSPECT_MILLISECONDS = 3_600_000

/** True if `disk.rewrite` must write the file again before `recover`. */
export function needsRewrite(footing: Footing): boolean {
  return footing.kind === 'file' && footing.health === 'sound' && footing.store.isDetached()
}

/**
 * Goes to a better footing if there is one: a file that was found damaged is replaced, one that was
 * written again is opened, and what was counted elsewhere goes into a file that can be used again. The
 * same store in the result means that nothing could, or had to, be done. The former store is closed when
 * this returns. Throws, with nothing changed, if a damaged file cannot be replaced yet.
 */
export function recover(footing: Footing, disk: LedgerDisk, now: number): Footing {
  switch (footing.kind) {
    case 'closed':
      return footing
    case 'copy':
    case 'memory':
      return leaveInterim(footing, disk, now)
    case 'file':
      if (footing.health === 'damaged') return replaceDamaged(footing, disk, now)
      return needsRewrite(footing) ? openRewritten(footing, disk, now) : footing
  }
}

/** As at the start, but if the file became another daemon's, counting continues in memory. */
function reopen(opening: Opening, open: (opening: Opening) => OpenFooting): OpenFooting {
  try {
    return open(opening)
  } catch (error) {
    return inMemory(opening, error)
  }
}

const noCheck = (): void => undefined

/** What the damaged file's store has in memory is newer than any backup. */
function replaceDamaged(footing: OnFile, disk: LedgerDisk, now: number): OpenFooting {
  // If it cannot be removed, nothing has been given up yet.
  if (now - footing.replacedAt < BACKUP_IS_SUSPECT_MILLISECONDS) disk.dropBackup()
  const newest = [...footing.store.sumsInMemory()]
  retire(footing.store)
  const opening = { disk, now, check: noCheck, newest, replacedAt: now }
  return reopen(opening, openReplacement)
}

/** The former file still has everything, but no name; `disk.rewrite` has copied it. */
function openRewritten({ store, replacedAt }: OnFile, disk: LedgerDisk, now: number): OpenFooting {
  const newest = [...store.sumsInMemory()]
  retire(store)
  const next = reopen({ disk, now, check: noCheck, newest, replacedAt }, opening => {
    disk.dropLog()
    return openFile(opening)
  })
  if (next.kind !== 'file' || next.notice?.kind === 'damaged') return next
  return { ...next, notice: { kind: 'rewritten', at: now, path: disk.path } }
}

/**
 * Back to the file: what was counted meanwhile is added to it, or takes the place of its sums. If that
 * is not possible yet, the same footing, with the cause of this moment.
 */
export function leaveInterim(
  footing: OnCopy | InMemory,
  disk: LedgerDisk,
  now: number,
): OpenFooting {
  const { replacedAt } = footing
  let owesBackup = footing.kind === 'memory' && footing.owesBackup
  let next: OnFile | InMemory
  try {
    if (owesBackup) disk.restoreBackup()
    owesBackup = false
    next = openAndMerge(footing, { disk, now, check: noCheck, newest: [], replacedAt })
  } catch (error) {
    return stay(footing, disk, now, describeError(error), owesBackup)
  }
  if (next.kind === 'memory') {
    next.store.abandon()
    return stay(footing, disk, now, next.cause, next.owesBackup)
  }
  footing.store.abandon()
  disk.dropCopy()
  return next
}

/** Memory if the file is damaged and cannot be replaced. Throws if it cannot be used for another reason. */
function openAndMerge(from: OnCopy | InMemory, opening: Opening): OnFile | InMemory {
  const merging = (interim: Interim): Opening => ({
    ...opening,
    check: store => store.absorb(sumsToWrite(interim, store)),
  })
  try {
    const store = prepare(opening.disk.open(), merging(from))
    return onFile(store, opening, undefined)
  } catch (error) {
    if (!isDamaged(error)) throw error
  }
  // A backup is older than a copy in all accounts, as if an earlier run had counted there.
  return openReplacement(merging(from.kind === 'copy' ? { ...from, isInherited: true } : from))
}

function stay(
  footing: OnCopy | InMemory,
  disk: LedgerDisk,
  now: number,
  cause: string,
  owesBackup: boolean,
): OnCopy | InMemory {
  if (footing.kind === 'memory') return { ...footing, cause, owesBackup }
  if (footing.health === 'sound') return { ...footing, cause }
  // A damaged copy cannot be counted in, either. What changed since it was made is in memory.
  const newest = [...footing.store.sumsInMemory()]
  retire(footing.store)
  disk.dropCopy()
  const { replacedAt } = footing
  return inMemory({ disk, now, check: noCheck, newest, replacedAt }, cause, owesBackup)
}
