/**
 * The tables of the ledger's SQLite file, and its lock.
 *
 * The file is locked exclusively as long as it is open, so a second daemon with the same state
 * directory is refused at start; the journal is touched only while holding that lock. WAL with
 * synchronous=NORMAL survives a crash of the process; `full` also a power cut.
 */

import { chmodSync } from 'node:fs'
import { LookupError } from '../system/errors.ts'
import { asLookupError, openSqlite, type SqliteDatabase } from '../system/sqlite.ts'

/** Raised with every change of the tables; an older program refuses a newer file. */
const SCHEMA_VERSION = 4

/**
 * A period is a counter's day, week or month, or its rolling window; `written` is the last day on which
 * something was counted in it, in UTC. A page holds one of 256 parts of its accounts. The column `page` is
 * the period's id times 256 plus the page's number. `folded` is the place in the journal up to which its
 * records are no longer needed. `seed` seeds the hash that assigns accounts to pages.
 */
const SCHEMA = `
CREATE TABLE period (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, counter TEXT NOT NULL,
  written TEXT NOT NULL, UNIQUE (name, counter)
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

/** From version 3, which had days only. */
const MIGRATION = `
ALTER TABLE period RENAME COLUMN day TO name;
ALTER TABLE period RENAME COLUMN scope TO counter;
ALTER TABLE period ADD COLUMN written TEXT NOT NULL DEFAULT '';
UPDATE period SET written = name;
`

/** SQLite's page size. With a million accounts each of our pages holds 31 KB; 4 KiB pages make folding a third slower. */
const SQLITE_PAGE_BYTES = 16 * 1024
/**
 * A checkpoint waits for the disk within the transaction that exceeds this size; small ones delay
 * answers less.
 */
const CHECKPOINT_BYTES = 2 * 1024 * 1024

export type Durability = 'normal' | 'full'

/** The file is sound, but another daemon's or a newer version's. Counting beside it would be wrong. */
export class ForeignLedger extends LookupError {}

/** Neither SQLite nor this program can read it. */
export class DamagedLedger extends LookupError {}

/** Throws LookupError: unreadable, another daemon's, or of another version. */
export function openLocked(path: string, durability: Durability): SqliteDatabase {
  const db = openSqlite(path, 0)
  try {
    // The write-ahead log inherits the file's mode.
    if (path !== ':memory:') chmodSync(path, 0o600)
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma(`page_size = ${SQLITE_PAGE_BYTES}`)
    db.pragma('journal_mode = WAL')
    // Pages are cached by us; SQLite's own 2 MB would be wasted.
    db.pragma('cache_size = -500')
    // An existing file keeps the page size it was created with.
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
      if (version === 3) {
        requireTables(db, path)
        db.exec(MIGRATION)
        db.pragma(`user_version = ${SCHEMA_VERSION}`)
        return
      }
      // Written by a version that was never released: treated as damaged.
      if (version !== 0) {
        throw new DamagedLedger(`${path} has schema ${version}`)
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
    // A daemon's lock prevents reading. A program that does not will be finished sooner or later.
    if (canBeRead(path)) {
      throw new LookupError(`${path} is in use by another program`, { cause: error })
    }
    throw new ForeignLedger(`${path} is in use by another daemon`, { cause: error })
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY'
}

function canBeRead(path: string): boolean {
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

export function setSynchronous(db: SqliteDatabase, durability: Durability): void {
  db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
}

function requireTables(db: SqliteDatabase, path: string): void {
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'")
  const there = new Set(tables.pluck().all())
  for (const [, table = ''] of SCHEMA.matchAll(/^CREATE TABLE (\w+)/gm)) {
    if (!there.has(table)) throw new DamagedLedger(`${path} has no table "${table}"`)
  }
}
