/** What the ledger's footing does with files: opens, copies, restores and replaces them. */

import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { LookupError } from '../system/errors.ts'
import { backupOf, restore, setAside } from './backup.ts'
import { copyLedger, copyPath, isCopied } from './copy.ts'
import { Periods } from './period.ts'
import {
  type Durability,
  ForeignLedger,
  openSqliteLedger,
  type SqliteLedger,
} from './sqlite-ledger.ts'

/** Methods throw LookupError or the system's errors. */
export interface LedgerDisk {
  readonly path: string
  /** Opens the file, which is created if there is none. Throws ForeignLedger, too. */
  open(): SqliteLedger
  openMemory(): SqliteLedger
  /** The copy in which an earlier run counted, if its original has not changed since. Throws ForeignLedger. */
  openInheritedCopy(): SqliteLedger | undefined
  /** Copies a file that can be read but not written. Throws ForeignLedger if a running daemon counts there. */
  makeCopy(): SqliteLedger
  /** Never throws. */
  dropCopy(): void
  /** Renames a damaged file; its new name. */
  setAside(now: number): string
  /** Puts the backup into the file's place. When it was made; undefined if there is none. */
  restoreBackup(): string | undefined
  dropBackup(): void
  /** Writes an open file, which lost its name, under that name again. */
  rewrite(store: SqliteLedger): Promise<void>
  /** Removes the write-ahead log of a file that was replaced: it does not belong to the new one. */
  dropLog(): void
}

export class LedgerFiles implements LedgerDisk {
  readonly path: string
  #durability: Durability
  readonly #copyFolder: string | undefined
  /** Shared by all stores: what one has decided is passed on to the next. */
  readonly #periods = new Periods()

  /**
   * `copyFolder`: where to keep a writable copy when the state directory is read-only, created on
   * demand and usually in a tmpfs. Without it, counting starts from zero in memory.
   */
  constructor(path: string, durability: Durability, copyFolder: string | undefined) {
    this.path = path
    this.#durability = durability
    this.#copyFolder = copyFolder
  }

  /** For files that are opened from now on. */
  setDurability(durability: Durability): void {
    this.#durability = durability
  }

  open(): SqliteLedger {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o750 })
    return openSqliteLedger(this.path, this.#durability, { periods: this.#periods })
  }

  openMemory(): SqliteLedger {
    return openSqliteLedger(':memory:', this.#durability, { periods: this.#periods })
  }

  openInheritedCopy(): SqliteLedger | undefined {
    const folder = this.#copyFolder
    if (folder === undefined || !isCopied(this.path, folder)) return undefined
    try {
      return this.#openCopy(folder)
    } catch (error) {
      if (error instanceof ForeignLedger) throw error
      return undefined
    }
  }

  makeCopy(): SqliteLedger {
    const folder = this.#copyFolder
    if (folder === undefined) throw new LookupError('there is no folder for a copy')
    try {
      // A running daemon's copy must not be deleted.
      if (existsSync(folder)) this.#openCopy(folder).abandon()
    } catch (error) {
      if (error instanceof ForeignLedger) throw error
    }
    copyLedger(this.path, folder)
    return this.#openCopy(folder)
  }

  dropCopy(): void {
    if (this.#copyFolder === undefined) return
    try {
      rmSync(this.#copyFolder, { recursive: true, force: true })
    } catch {
      // It was made by this user, below /run. If it stays all the same, the counts are in the file.
    }
  }

  setAside(now: number): string {
    return setAside(this.path, now)
  }

  restoreBackup(): string | undefined {
    return restore(this.path)
  }

  dropBackup(): void {
    rmSync(backupOf(this.path), { force: true })
  }

  async rewrite(store: SqliteLedger): Promise<void> {
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o750 })
    await store.backUp(this.path)
  }

  dropLog(): void {
    rmSync(`${this.path}-wal`, { force: true })
  }

  /** Changed sums stay in memory until they can be written to the original. */
  #openCopy(folder: string): SqliteLedger {
    return openSqliteLedger(copyPath(this.path, folder), this.#durability, {
      mostBytes: Number.POSITIVE_INFINITY,
      periods: this.#periods,
    })
  }
}

/** Closes a store that another one succeeds. */
export function retire(store: SqliteLedger): void {
  try {
    store.settle()
  } catch {
    // Its successor gets the sums.
  }
  store.abandon()
}
