/** What is in the ledger's SQLite file: periods, pages of sums, services, and up to where the journal is folded. */

import { closeSync, openSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { LookupError } from '../system/errors.ts'
import { asLookupError, type SqliteDatabase } from '../system/sqlite.ts'
import { copyOpenFile } from './backup.ts'
import type { PackedCounts } from './counts.ts'
import type { JournalPlace } from './journal-files.ts'
import { DamagedLedger, type Durability, openLocked, setSynchronous } from './schema.ts'

export const PAGES = 256

export interface Period {
  readonly id: number
  /** As in CountingPeriod. */
  readonly counter: string
  readonly name: string
}

/** A period, and the last day on which something was counted in it. */
export interface Written {
  readonly id: number
  readonly written: string
}

/** A page as it is written. */
export interface PackedPage {
  readonly period: number
  readonly number: number
  readonly sums: Buffer
  /** Undefined if those in the file are still valid. */
  readonly names: Buffer | undefined
}

/** All methods throw LookupError. */
export interface LedgerFile {
  readonly seed: number
  folded(): JournalPlace
  /** Undefined if it was never written. */
  findPeriod(counter: string, name: string): Written | undefined
  /** Its id; `written`: the day, `2026-11-20`. */
  addPeriod(counter: string, name: string, written: string): number
  /** The last day on which something was counted in it. */
  noteWritten(period: number, day: string): void
  periods(): readonly Period[]
  readPage(period: number, number: number): PackedCounts | undefined
  /** One transaction; each page is written before the next is taken from `pages`. `folded` is read after the last one. */
  writePages(pages: Iterable<PackedPage>, folded: () => JournalPlace | undefined): void
  /** Deletes some pages of periods that were not written since `day`; true if there may be more. */
  forgetBefore(day: string): boolean
  services(): readonly (readonly [name: string, asksAtEnd: boolean])[]
  putService(name: string, asksAtEnd: boolean): void
  /** From the next transaction on. */
  setDurability(durability: Durability): void
  /** True if the file, or its write-ahead log, was deleted or replaced. */
  isDetached(): boolean
  /**
   * Writes a copy in small steps; nothing may be written to the file meanwhile. Rejects with
   * LookupError, leaving an earlier copy as it was.
   */
  backUp(copy: string): Promise<void>
  close(): void
}

/** Pages of an old period that are deleted in one step. */
const FORGOTTEN_PAGES = 4

/** Throws LookupError: unreadable, another daemon's, or of another version. */
export function openLedgerFile(path: string, durability: Durability): LedgerFile {
  const db = openLocked(path, durability)
  try {
    return new SqliteFile(db, path)
  } catch (error) {
    db.close()
    throw error instanceof LookupError ? error : asLookupError(path, error)
  }
}

class SqliteFile implements LedgerFile {
  readonly seed: number
  readonly #db: SqliteDatabase
  readonly #path: string
  readonly #statements: ReturnType<typeof prepare>
  readonly #inode: number | undefined
  #walInode: number | undefined
  /** A descriptor of our own, for backups. */
  readonly #fd: number | undefined

  constructor(db: SqliteDatabase, path: string) {
    this.#db = db
    this.#path = path
    this.#statements = prepare(db)
    const seed = db.prepare<[], number>('SELECT seed FROM seed').pluck().get()
    // With any other one no account would be found.
    if (seed === undefined) throw new DamagedLedger(`${path} has no seed`)
    this.seed = seed
    this.#inode = inodeOf(path)
    this.#walInode = inodeOf(`${path}-wal`)
    this.#fd = path === ':memory:' ? undefined : openSync(path, 'r')
  }

  folded(): JournalPlace {
    return this.#guarded(({ selectFolded }) => selectFolded.get()) ?? { file: 0, offset: 0 }
  }

  findPeriod(counter: string, name: string): Written | undefined {
    return this.#guarded(({ selectPeriod }) => selectPeriod.get(name, counter))
  }

  addPeriod(counter: string, name: string, written: string): number {
    const { lastInsertRowid } = this.#guarded(({ insertPeriod }) =>
      insertPeriod.run(name, counter, written),
    )
    return Number(lastInsertRowid)
  }

  noteWritten(period: number, day: string): void {
    this.#guarded(({ setWritten }) => setWritten.run(day, period))
  }

  periods(): readonly Period[] {
    return this.#guarded(({ selectPeriods }) => selectPeriods.all())
  }

  readPage(period: number, number: number): PackedCounts | undefined {
    return this.#guarded(({ selectSums, selectNames }) => {
      const page = period * PAGES + number
      const [sums, names] = [selectSums.get(page), selectNames.get(page)]
      if (!sums && !names) return undefined
      // One without the other is not a page, and is rejected when it is unpacked.
      return { sums: sums ?? Buffer.alloc(0), names: names ?? Buffer.alloc(0) }
    })
  }

  writePages(pages: Iterable<PackedPage>, folded: () => JournalPlace | undefined): void {
    this.#guarded(({ putSums, putNames, setFolded }) => {
      const write = this.#db.transaction(() => {
        for (const { period, number, sums, names } of pages) {
          const page = period * PAGES + number
          putSums.run(page, sums)
          if (names) putNames.run(page, names)
        }
        const place = folded()
        if (place) setFolded.run(place.file, place.offset)
      })
      write()
    })
  }

  forgetBefore(day: string): boolean {
    return this.#guarded(statements => {
      const period = statements.selectOld.get(day)
      if (period === undefined) return false
      const forget = this.#db.transaction(() => {
        const pages = statements.selectOldPages.all(period * PAGES, (period + 1) * PAGES)
        for (const page of pages) {
          statements.deleteSums.run(page)
          statements.deleteNames.run(page)
        }
        if (pages.length === 0) statements.deletePeriod.run(period)
      })
      forget()
      return true
    })
  }

  services(): readonly (readonly [name: string, asksAtEnd: boolean])[] {
    const all = this.#guarded(() =>
      this.#db.prepare<[], [string, number]>('SELECT * FROM service').raw().all(),
    )
    return all.map(([name, asksAtEnd]) => [name, asksAtEnd === 1])
  }

  putService(name: string, asksAtEnd: boolean): void {
    this.#guarded(({ putService }) => putService.run(name, asksAtEnd ? 1 : 0))
  }

  setDurability(durability: Durability): void {
    this.#guarded(() => setSynchronous(this.#db, durability))
  }

  isDetached(): boolean {
    if (this.#path === ':memory:') return false
    const wal = inodeOf(`${this.#path}-wal`)
    // It is created by the first write and remains until the file is closed.
    this.#walInode ??= wal
    return inodeOf(this.#path) !== this.#inode || wal !== this.#walInode
  }

  async backUp(copy: string): Promise<void> {
    const fresh = `${copy}.new`
    try {
      // After this the file itself is complete, and does not change until something is written.
      this.#db.pragma('wal_checkpoint(TRUNCATE)')
      await copyOpenFile(this.#fd, fresh)
      // Its descriptor may be another file's by now.
      if (!this.#db.open) throw new Error('the ledger was closed during the backup')
      await rename(fresh, copy)
    } catch (error) {
      throw asLookupError(copy, error)
    } finally {
      await rm(fresh, { force: true })
    }
  }

  close(): void {
    this.#db.close()
    // Not before: closing any descriptor of a file releases all locks on it.
    if (this.#fd !== undefined) closeSync(this.#fd)
  }

  #guarded<T>(work: (statements: ReturnType<typeof prepare>) => T): T {
    try {
      return work(this.#statements)
    } catch (error) {
      throw asLookupError(this.#path, error)
    }
  }
}

function prepare(db: SqliteDatabase) {
  return {
    selectFolded: db.prepare<[], JournalPlace>('SELECT file, "offset" FROM folded'),
    selectPeriods: db.prepare<[], Period>('SELECT id, counter, name FROM period'),
    selectPeriod: db.prepare<[string, string], Written>(
      'SELECT id, written FROM period WHERE name = ? AND counter = ?',
    ),
    insertPeriod: db.prepare<[string, string, string]>(
      'INSERT INTO period (name, counter, written) VALUES (?, ?, ?)',
    ),
    setWritten: db.prepare<[string, number]>('UPDATE period SET written = ? WHERE id = ?'),
    selectSums: db.prepare<[number], Buffer>('SELECT sums FROM sums WHERE page = ?').pluck(),
    selectNames: db.prepare<[number], Buffer>('SELECT names FROM names WHERE page = ?').pluck(),
    // Replaced by the same number of bytes, a blob is written in place, and only where it differs.
    putSums: db.prepare<[number, Buffer]>('INSERT OR REPLACE INTO sums VALUES (?, ?)'),
    putNames: db.prepare<[number, Buffer]>('INSERT OR REPLACE INTO names VALUES (?, ?)'),
    setFolded: db.prepare<[number, number]>('UPDATE folded SET file = ?, "offset" = ?'),
    selectOld: db
      .prepare<[string], number>('SELECT id FROM period WHERE written < ? ORDER BY written LIMIT 1')
      .pluck(),
    selectOldPages: db
      .prepare<[number, number], number>(
        `SELECT page FROM sums WHERE page >= ? AND page < ? LIMIT ${FORGOTTEN_PAGES}`,
      )
      .pluck(),
    deleteSums: db.prepare<[number]>('DELETE FROM sums WHERE page = ?'),
    deleteNames: db.prepare<[number]>('DELETE FROM names WHERE page = ?'),
    deletePeriod: db.prepare<[number]>('DELETE FROM period WHERE id = ?'),
    putService: db.prepare<[string, number]>('INSERT OR REPLACE INTO service VALUES (?, ?)'),
  }
}

function inodeOf(path: string): number | undefined {
  // Not a file of the working directory, which the daemon's user may not be allowed to enter.
  if (path.startsWith(':memory:')) return undefined
  return statSync(path, { throwIfNoEntry: false })?.ino
}
