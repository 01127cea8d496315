/**
 * The ledger's SQLite file: its tables, and who may have it.
 *
 * The file is locked exclusively as long as it is open, so a second daemon on the same state
 * directory is refused at start; nobody touches the journal without that lock. WAL with
 * synchronous=NORMAL survives the death of the process; `full` also a power cut.
 */

import { chmodSync, closeSync, openSync, read, statSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { promisify } from 'node:util'
import { LookupError } from '../policy/errors.ts'
import type { PackedAccounts } from './account-page.ts'
import type { JournalPlace } from './journal.ts'
import { asLookupError, openSqlite, type SqliteDatabase } from './sqlite.ts'

/** Raised with every change of the tables; an older program refuses a newer file. */
const SCHEMA_VERSION = 3

/**
 * A period is a counter's day, a page one of 256 parts of its accounts; `page` is the period's id
 * times 256 and the page's number. `folded` is up to where the journal is of no more use. `seed` is
 * of the hash that says in which page an account is.
 */
const SCHEMA = `
CREATE TABLE period (
  id INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, scope TEXT NOT NULL,
  UNIQUE (day, scope)
);
CREATE TABLE sums (page INTEGER PRIMARY KEY, sums BLOB NOT NULL);
CREATE TABLE names (page INTEGER PRIMARY KEY, names BLOB NOT NULL);
CREATE TABLE folded (file INTEGER NOT NULL, "offset" INTEGER NOT NULL);
INSERT INTO folded VALUES (0, 0);
CREATE TABLE seed (seed INTEGER NOT NULL);
CREATE TABLE service (
  name TEXT PRIMARY KEY, asks_at_end INTEGER NOT NULL
) WITHOUT ROWID;
`

export const PAGES = 256

export type Durability = 'normal' | 'full'

/** The file is well, and it is not ours: another daemon's, or a newer program's. We must not count beside it. */
export class ForeignLedger extends LookupError {}

/** Neither SQLite nor we can make sense of it. */
export class DamagedLedger extends LookupError {}

export interface Period {
  readonly id: number
  readonly day: string
  readonly scope: string
}

/** A page as it is written. */
export interface PackedPage {
  readonly period: number
  readonly number: number
  readonly sums: Buffer
  /** Undefined: those of before. */
  readonly names: Buffer | undefined
}

/** All methods throw LookupError. */
export interface LedgerFile {
  readonly seed: number
  folded(): JournalPlace
  /** Undefined if nothing of it has been written. */
  findPeriod(scope: string, day: string): number | undefined
  addPeriod(scope: string, day: string): number
  periods(): readonly Period[]
  readPage(period: number, number: number): PackedAccounts | undefined
  /** One transaction; each page is written before the next is asked for. `folded` goes with the last ones. */
  writePages(pages: Iterable<PackedPage>, folded: () => JournalPlace | undefined): void
  /** Removes some pages of days before `day`; true if there may be more. */
  forgetBefore(day: string): boolean
  services(): readonly (readonly [name: string, asksAtEnd: boolean])[]
  putService(name: string, asksAtEnd: boolean): void
  /** From the next transaction on. */
  setDurability(durability: Durability): void
  /** Has somebody deleted or replaced the file, or its write-ahead log? */
  isDetached(): boolean
  /**
   * Writes a copy, a little between other work; nothing may be written to the file meanwhile. Rejects
   * with LookupError; the copy of before stays then.
   */
  backUp(copy: string): Promise<void>
  close(): void
}

/** Of SQLite. Of a million accounts our pages have 31 KB of sums each: with 4 KiB folding takes a third longer. */
const SQLITE_PAGE_BYTES = 16 * 1024
/**
 * A checkpoint waits for the disk, within the transaction that hits this mark: many small ones hold
 * nobody up for long.
 */
const CHECKPOINT_BYTES = 2 * 1024 * 1024
const readOpen = promisify(read)
/** Bytes that a backup reads at once. */
const BACKUP_BYTES = 256 * 1024
/** Pages of an old day that are removed at once. */
const FORGOTTEN_PAGES = 4

/** Throws LookupError: unreadable, another daemon's, or of another version. */
export function openLedgerFile(path: string, durability: Durability): LedgerFile {
  const db = openLocked(path, durability)
  try {
    return ledgerFileOf(db, path)
  } catch (error) {
    db.close()
    throw error instanceof LookupError ? error : asLookupError(path, error)
  }
}

function ledgerFileOf(db: SqliteDatabase, path: string): LedgerFile {
  function guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw asLookupError(path, error)
    }
  }

  const selectPeriod = db
    .prepare<[string, string], number>('SELECT id FROM period WHERE day = ? AND scope = ?')
    .pluck()
  const insertPeriod = db.prepare<[string, string]>('INSERT INTO period (day, scope) VALUES (?, ?)')
  const selectSums = db.prepare<[number], Buffer>('SELECT sums FROM sums WHERE page = ?').pluck()
  const selectNames = db.prepare<[number], Buffer>('SELECT names FROM names WHERE page = ?').pluck()
  // Replaced by as many bytes they are written in place, and only where they differ.
  const putSums = db.prepare<[number, Buffer]>('INSERT OR REPLACE INTO sums VALUES (?, ?)')
  const putNames = db.prepare<[number, Buffer]>('INSERT OR REPLACE INTO names VALUES (?, ?)')
  const setFolded = db.prepare<[number, number]>('UPDATE folded SET file = ?, "offset" = ?')
  const selectOld = db
    .prepare<[string], number>('SELECT id FROM period WHERE day < ? ORDER BY day LIMIT 1')
    .pluck()
  const selectOldPages = db
    .prepare<[number, number], number>(
      `SELECT page FROM sums WHERE page >= ? AND page < ? LIMIT ${FORGOTTEN_PAGES}`,
    )
    .pluck()
  const deleteSums = db.prepare<[number]>('DELETE FROM sums WHERE page = ?')
  const deleteNames = db.prepare<[number]>('DELETE FROM names WHERE page = ?')
  const deletePeriod = db.prepare<[number]>('DELETE FROM period WHERE id = ?')
  const putService = db.prepare<[string, number]>('INSERT OR REPLACE INTO service VALUES (?, ?)')

  const seed = db.prepare<[], number>('SELECT seed FROM seed').pluck().get()
  // With another one nobody would be found.
  if (seed === undefined) throw new DamagedLedger(`${path} has no seed`)
  const inode = inodeOf(path)
  let walInode = inodeOf(`${path}-wal`)
  const own = path === ':memory:' ? undefined : openSync(path, 'r')

  const writePages = db.transaction(
    (pages: Iterable<PackedPage>, folded: () => JournalPlace | undefined) => {
      for (const { period, number, sums, names } of pages) {
        const page = period * PAGES + number
        putSums.run(page, sums)
        if (names) putNames.run(page, names)
      }
      const place = folded()
      if (place) setFolded.run(place.file, place.offset)
    },
  )

  /** Some pages of a period, or the period if it has none. */
  const forgetSome = db.transaction((period: number) => {
    const pages = selectOldPages.all(period * PAGES, (period + 1) * PAGES)
    for (const page of pages) {
      deleteSums.run(page)
      deleteNames.run(page)
    }
    if (pages.length === 0) deletePeriod.run(period)
  })

  return {
    seed,

    folded() {
      const select = db.prepare<[], JournalPlace>('SELECT file, "offset" FROM folded')
      return guarded(() => select.get()) ?? { file: 0, offset: 0 }
    },

    findPeriod: (scope, day) => guarded(() => selectPeriod.get(day, scope)),

    addPeriod: (scope, day) => guarded(() => Number(insertPeriod.run(day, scope).lastInsertRowid)),

    periods: () => guarded(() => db.prepare<[], Period>('SELECT id, day, scope FROM period').all()),

    readPage: (period, number) =>
      guarded(() => {
        const page = period * PAGES + number
        const [sums, names] = [selectSums.get(page), selectNames.get(page)]
        if (!sums && !names) return undefined
        // One without the other is no page, and will not pass for one.
        return { sums: sums ?? Buffer.alloc(0), names: names ?? Buffer.alloc(0) }
      }),

    writePages: (pages, folded) => guarded(() => writePages(pages, folded)),

    forgetBefore: day =>
      guarded(() => {
        const period = selectOld.get(day)
        if (period === undefined) return false
        forgetSome(period)
        return true
      }),

    services: () =>
      guarded(() => db.prepare<[], [string, number]>('SELECT * FROM service').raw().all()).map(
        ([name, asksAtEnd]) => [name, asksAtEnd === 1] as const,
      ),

    putService: (name, asksAtEnd) => void guarded(() => putService.run(name, asksAtEnd ? 1 : 0)),

    setDurability: durability => guarded(() => setSynchronous(db, durability)),

    isDetached() {
      if (path === ':memory:') return false
      const wal = inodeOf(`${path}-wal`)
      // It is made with the first write and stays until the end.
      walInode ??= wal
      return inodeOf(path) !== inode || wal !== walInode
    },

    async backUp(copy) {
      const fresh = `${copy}.new`
      try {
        // After that the file itself has everything, and stays as it is until something is written.
        db.pragma('wal_checkpoint(TRUNCATE)')
        await copyOpenFile(own, fresh)
        // Its number may have been another file's in the meantime.
        if (!db.open) throw new Error('the ledger was closed meanwhile')
        await rename(fresh, copy)
      } catch (error) {
        throw asLookupError(copy, error)
      } finally {
        await rm(fresh, { force: true })
      }
    },

    close() {
      db.close()
      // Not before: a file's locks go with the first of its descriptors that is closed.
      if (own !== undefined) closeSync(own)
    },
  }
}

function openLocked(path: string, durability: Durability): SqliteDatabase {
  const db = openSqlite(path, 0)
  try {
    // The write-ahead log gets the file's mode.
    if (path !== ':memory:') chmodSync(path, 0o600)
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma(`page_size = ${SQLITE_PAGE_BYTES}`)
    db.pragma('journal_mode = WAL')
    // What is read is kept by us; SQLite's own 2 MB would be for nothing.
    db.pragma('cache_size = -500')
    // A file that is there keeps the size it was made with.
    const pageBytes = Number(db.pragma('page_size', { simple: true }))
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_BYTES / pageBytes}`)
    setSynchronous(db, durability)
    db.transaction(() => {
      const version = Number(db.pragma('user_version', { simple: true }))
      if (version === SCHEMA_VERSION) {
        requireTables(db, path)
        return
      }
      if (version > SCHEMA_VERSION) {
        throw new ForeignLedger(
          `${path} was written by a newer version (schema ${version}, this program knows ${SCHEMA_VERSION})`,
        )
      }
      // Of a version that was never released: as good as damaged.
      if (version !== 0) {
        throw new DamagedLedger(`${path} has the form of schema ${version}`)
      }
      db.exec(SCHEMA)
      const { randomInt } = process.getBuiltinModule('node:crypto')
      db.prepare('INSERT INTO seed VALUES (?)').run(randomInt(2 ** 32))
      db.pragma(`user_version = ${SCHEMA_VERSION}`)
    }).immediate()
    return db
  } catch (error) {
    db.close()
    if (error instanceof LookupError) throw error
    if (!isBusy(error)) throw asLookupError(path, error)
    // A daemon lets nobody read; whoever lets us is no daemon, and will be gone sooner or later.
    if (isReadable(path)) {
      throw new LookupError(`${path} is in use by another program`, { cause: error })
    }
    throw new ForeignLedger(`${path} is in use by another daemon`, { cause: error })
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY'
}

function isReadable(path: string): boolean {
  const db = openSqlite(path, 0)
  try {
    db.pragma('user_version')
    return true
  } catch {
    return false
  } finally {
    db.close()
  }
}

function setSynchronous(db: SqliteDatabase, durability: Durability): void {
  db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
}

function requireTables(db: SqliteDatabase, path: string): void {
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'")
  const there = new Set(tables.pluck().all())
  for (const [, table = ''] of SCHEMA.matchAll(/^CREATE TABLE (\w+)/gm)) {
    if (!there.has(table)) throw new DamagedLedger(`${path} has no table "${table}"`)
  }
}

/**
 * SQLite's own backup waits for the disk at its end, and everybody with it: a quarter of a second
 * for 400 MB.
 */
async function copyOpenFile(fd: number | undefined, copy: string): Promise<void> {
  if (fd === undefined) throw new Error('there is no file')
  await rm(copy, { force: true })
  const target = await open(copy, 'wx', 0o600)
  try {
    const buffer = Buffer.allocUnsafe(BACKUP_BYTES)
    for (let at = 0; ; ) {
      const { bytesRead } = await readOpen(fd, buffer, 0, buffer.length, at)
      if (bytesRead === 0) break
      await target.appendFile(buffer.subarray(0, bytesRead))
      at += bytesRead
    }
    await target.sync()
  } finally {
    await target.close()
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}
