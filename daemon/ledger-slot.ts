/**
 * The ledger as plugins see it, before and after the state directory is open.
 *
 * A configuration is checked and loaded without opening anything; the ledger comes when the file
 * that uses it is put to work, and stays over reloads. A state file that cannot be used is no reason
 * to stop: a damaged one is set aside and the last backup takes its place, and where nothing can be
 * written the counts live in memory until it can; `problem` says so. Only a file that is another
 * daemon's, or a newer program's, is refused.
 */

import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describeError, LookupError } from './policy/errors.ts'
import { type Ledger, type LedgerStore, openLedger, type StoredLedger } from './policy/ledger.ts'
import { copyLedger, copyPath, isCopied } from './store/ledger-copy.ts'
import {
  type Durability,
  ForeignLedger,
  isDamaged,
  openSqliteLedger,
  type SqliteLedgerStore,
  type Sum,
} from './store/sqlite-ledger.ts'

export interface LedgerSlot {
  readonly ledger: Ledger
  readonly isOpen: boolean
  /** What keeps the counts from being durable, or what happened to them; undefined if all is well. */
  readonly problem: string | undefined
  /** Should `forget` be called without waiting for its time? */
  readonly isFull: boolean
  /** Throws ForeignLedger. Does nothing if it is open. */
  open(path: string, durability: Durability, now: number): void
  /** Of what is counted from now on, also in a file that is opened later in the place of this one. */
  setDurability(durability: Durability): void
  /**
   * Replaces a file that was found damaged, writes one anew that was deleted, or goes from memory
   * to one that can be used again. True if it did anything. Rejects with LookupError.
   */
  mend(now: number): Promise<boolean>
  /** Copies the file beside it. Rejects with LookupError. */
  backUp(): Promise<void>
  /** A small step of forgetting what is old; true if there is more. */
  forget(day: string): boolean
  close(): void
}

/** A file that breaks again within this time was put there by a backup that is broken, too. */
const BACKUP_IS_SUSPECT_MILLISECONDS = 3_600_000
/** Today, and the day before: of a mail that was asked about before midnight. */
const DAYS_THAT_CHANGE = 2

interface Place {
  readonly path: string
  readonly durability: Durability
}

/** `spare`: a folder, made at need, for the counts of a state directory that can only be read; without one they are not. */
export function ledgerSlot(spare?: string): LedgerSlot {
  let place: Place | undefined
  let store: SqliteLedgerStore | undefined
  let current: StoredLedger | undefined
  let problem: string | undefined
  let unsettled: string | undefined
  let isInMemory = false
  /** Is what is in memory a copy of the file, and one of a former life? */
  let isCopy = false
  let isContinued = false
  let isBroken = false
  /** Is a backup still to be put in the place of a damaged file? */
  let owesRestore = false
  let replacedAt = Number.NEGATIVE_INFINITY
  /** Of the sums in memory, those that have all of their day in them. */
  const whole = new Set<string>()

  function need<T>(what: T | undefined): T {
    if (what === undefined) throw new LookupError('the ledger is not open')
    return what
  }

  /** The store of now: the ledger keeps what it knows of messages when the file is another. */
  const whicheverStore: LedgerStore = {
    used: (scope, account, day) => need(store).used(scope, account, day),
    addWithin: (scope, account, day, count, limit) =>
      need(store).addWithin(scope, account, day, count, limit),
    remember: (message, decided, isNew) => need(store).remember(message, decided, isNew),
    recall: tell => need(store).recall(tell),
    services: () => need(store).services(),
    rememberService: (service, asksAtEnd) => need(store).rememberService(service, asksAtEnd),
    settle: () => need(store).settle(),
  }

  function noteDamage(error: unknown): void {
    if (isDamaged(error)) isBroken = true
  }

  function inMemory(durability: Durability, why: unknown): SqliteLedgerStore {
    problem = `counts are in memory only: ${describeError(why)}`
    isInMemory = true
    isCopy = false
    isContinued = false
    return openSqliteLedger(':memory:', durability)
  }

  /** What can be read, copied to where it can be written; most often that is a disk in memory. */
  function copied(at: Place, why: unknown): SqliteLedgerStore {
    if (spare === undefined) return inMemory(at.durability, why)
    try {
      // The copy of a daemon that lives is not to be deleted.
      if (existsSync(spare)) openCopy(at, spare, why).abandon()
    } catch (error) {
      if (error instanceof ForeignLedger) throw error
    }
    try {
      copyLedger(at.path, spare)
      return openCopy(at, spare, why)
    } catch {
      dropCopy()
      return inMemory(at.durability, why)
    }
  }

  function openCopy({ path, durability }: Place, folder: string, why: unknown): SqliteLedgerStore {
    // What changes is to be remembered until it can go back.
    const most = Number.POSITIVE_INFINITY
    const copy = openSqliteLedger(copyPath(path, folder), durability, most)
    problem = `counts are in memory only, with those of before: ${describeError(why)}`
    isInMemory = true
    isCopy = true
    return copy
  }

  /** The copy in which a former life has counted, if there is one. */
  function openContinued(at: Place): SqliteLedgerStore | undefined {
    if (spare === undefined || !isCopied(at.path, spare)) return undefined
    try {
      const copy = openCopy(at, spare, new LookupError('the last run could not give them back'))
      isContinued = true
      return copy
    } catch (error) {
      if (error instanceof ForeignLedger) throw error
      return undefined
    }
  }

  function dropCopy(): void {
    if (spare !== undefined) rmSync(spare, { recursive: true, force: true })
  }

  function openStore({ path, durability }: Place, now: number): SqliteLedgerStore {
    const continued = openContinued({ path, durability })
    if (continued) return continued
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
      const store = openSqliteLedger(path, durability)
      dropCopy()
      return store
    } catch (error) {
      if (error instanceof ForeignLedger) throw error
      if (!isDamaged(error)) return copied({ path, durability }, error)
    }
    return openAnew({ path, durability }, now)
  }

  /** The damaged file goes aside; the backup, or else an empty one, comes in its place. */
  function openAnew({ path, durability }: Place, now: number): SqliteLedgerStore {
    const when = new Date(now).toISOString()
    try {
      const aside = setAside(path, now)
      problem = `the counts before ${when} were damaged: ${aside}`
      // Until it could be copied, the backup must not be forgotten.
      owesRestore = true
      const backedUpAt = restore(path)
      owesRestore = false
      if (backedUpAt) problem += `; those of the backup of ${backedUpAt} are in force`
      return openSqliteLedger(path, durability)
    } catch (error) {
      if (error instanceof ForeignLedger || owesRestore || !isDamaged(error)) {
        return inMemory(durability, error)
      }
    }
    // A backup that is damaged as well.
    try {
      const aside = setAside(path, now)
      problem = `the counts before ${when} were damaged, and so was their backup: ${aside}`
      return openSqliteLedger(path, durability)
    } catch (error) {
      return inMemory(durability, error)
    }
  }

  /** What the broken file's store still has in memory is newer than any backup. */
  function replaceBroken(at: Place, now: number): void {
    const broken = need(store)
    // What breaks again so soon was in the backup, too. Where it cannot be removed, nothing is given up yet.
    if (now - replacedAt < BACKUP_IS_SUSPECT_MILLISECONDS) {
      rmSync(backupOf(at.path), { force: true })
    }
    replacedAt = now
    const newest = [...broken.remembered()]
    settleIfPossible(broken)
    broken.abandon()
    store = openAnew(at, now)
    takeOver(store, newest)
  }

  function takeOver(successor: SqliteLedgerStore, newest: readonly Sum[]): void {
    if (isInMemory) for (const sum of newest) whole.add(keyOf(sum))
    successor.absorb(newest)
  }

  /** To another store. A message that is known only here would count twice after a crash. */
  async function retell(now: number): Promise<void> {
    try {
      for (const _ of need(current).retell(now)) await setImmediate()
    } catch {
      // What cannot be written stays in memory, and is said with the next answer.
    }
  }

  /** At a start nobody waits for an answer yet. */
  function retellAtOnce(now: number): void {
    try {
      for (const _ of need(current).retell(now));
    } catch {
      // As above.
    }
  }

  /** The open file still has everything, under no name. */
  async function writeAnew({ path }: Place, now: number): Promise<void> {
    const detached = need(store)
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
    await detached.backUp(path)
    const newest = [...detached.remembered()]
    settleIfPossible(detached)
    detached.abandon()
    rmSync(`${path}-wal`, { force: true })
    // The durability may be another one by now.
    store = openStore(need(place), now)
    takeOver(store, newest)
    problem = `${path} or a file beside it was deleted or replaced while in use; it was written anew ${new Date(now).toISOString()}`
  }

  /** What was counted in memory comes on top of what the file has, or in its place. */
  function leaveMemory(at: Place): boolean {
    let file: SqliteLedgerStore | undefined
    try {
      mkdirSync(dirname(at.path), { recursive: true, mode: 0o750 })
      if (owesRestore) restore(at.path)
      owesRestore = false
      file = openSqliteLedger(at.path, at.durability)
      const memory = need(store)
      file.absorb(sumsFor(file, memory))
      memory.abandon()
    } catch (error) {
      // Not yet. What is wrong has been said.
      const what = isCopy ? 'memory only, with those of before' : 'memory only'
      problem = `counts are in ${what}: ${describeError(error)}`
      file?.abandon()
      return false
    }
    store = file
    isInMemory = false
    whole.clear()
    isCopy = false
    isContinued = false
    problem = file.loss
    dropCopy()
    return true
  }

  function sumsFor(file: SqliteLedgerStore, memory: SqliteLedgerStore): Iterable<Sum> {
    if (!isCopy) return onTopOf(file, memory.remembered())
    if (memory.seed !== file.seed) return onTopOf(file, memory.sums())
    // What a copy says of an account is all of it, if this is still its original.
    return isContinued ? memory.sums(DAYS_THAT_CHANGE) : memory.remembered()
  }

  function* onTopOf(file: SqliteLedgerStore, sums: Iterable<Sum>): Iterable<Sum> {
    for (const sum of sums) {
      const [scope, day, account, used] = sum
      const before = whole.has(keyOf(sum)) ? 0 : file.used(scope, account, day)
      yield [scope, day, account, before + used]
    }
  }

  return {
    ledger: {
      judge(event) {
        try {
          return need(current).judge(event)
        } catch (error) {
          noteDamage(error)
          throw error
        }
      },
      settle() {
        try {
          const settled = current?.settle()
          unsettled = undefined
          return settled
        } catch (error) {
          noteDamage(error)
          unsettled = `counts are in memory only: ${describeError(error)}`
          throw error
        }
      },
      disconnect(connection) {
        try {
          current?.disconnect(connection)
        } catch (error) {
          // Whoever hangs up hears nothing of it any more; it is mended, and said, by `mend`.
          noteDamage(error)
        }
      },
      expire: now => current?.expire(now),
      used: (scope, account, day) => need(current).used(scope, account, day),
      recipientOnlyServices: () => current?.recipientOnlyServices() ?? [],
    },
    get isOpen() {
      return current !== undefined
    },
    get problem() {
      return unsettled ?? problem
    },
    get isFull() {
      return store?.isFull ?? false
    },
    open(path, durability, now) {
      if (current) return
      problem = undefined
      place = { path, durability }
      store = openStore(place, now)
      problem ??= store.loss
      // A damaged file gives way to its backup, a damaged backup to an empty file, the rest to memory.
      for (let tries = 1; current === undefined; tries++) {
        try {
          current = openLedger(whicheverStore)
        } catch (error) {
          if (isInMemory) throw error
          if (isDamaged(error) && tries <= 2) replaceBroken(place, now)
          else {
            need(store).abandon()
            store = copied(place, error)
          }
        }
      }
      if (isContinued && leaveMemory(place)) retellAtOnce(now)
    },
    setDurability(durability) {
      if (!place || place.durability === durability) return
      place = { ...place, durability }
      store?.setDurability(durability)
    },
    async mend(now) {
      if (!place || !store) return false
      if (isInMemory) {
        if (!leaveMemory(place)) return false
        await retell(now)
        return true
      }
      if (isBroken) {
        isBroken = false
        replaceBroken(place, now)
        await retell(now)
        return true
      }
      if (!store.isDetached()) return false
      await writeAnew(place, now)
      await retell(now)
      return true
    },
    async backUp() {
      if (place && store && !isInMemory && !isBroken) await store.backUp(backupOf(place.path))
    },
    forget(day) {
      try {
        return store?.forget(day) ?? false
      } catch (error) {
        noteDamage(error)
        throw error
      }
    },
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

function backupOf(path: string): string {
  return `${path}.backup`
}

/** Puts the backup in place, whole or not at all; when it was made, or undefined if there is none. */
function restore(path: string): string | undefined {
  const made = statSync(backupOf(path), { throwIfNoEntry: false })?.mtime
  if (!made) return undefined
  const fresh = `${path}.new`
  copyFileSync(backupOf(path), fresh)
  const fd = openSync(fresh, 'r+')
  fsyncSync(fd)
  closeSync(fd)
  renameSync(fresh, path)
  return made.toISOString()
}

function settleIfPossible(store: SqliteLedgerStore): void {
  try {
    store.settle()
  } catch {
    // Its successor gets the sums.
  }
}

function keyOf([scope, day, account]: Sum): string {
  return `${scope}\n${day}\n${account}`
}

/** The new name of the damaged file. Its companions mean nothing without it. */
function setAside(path: string, now: number): string {
  const name = `${path}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '')}`
  let aside = name
  for (let more = 2; existsSync(aside); more++) aside = `${name}-${more}`
  renameSync(path, aside)
  for (const companion of ['-wal', '-shm']) rmSync(`${path}${companion}`, { force: true })
  return aside
}
