/**
 * The history's SQLite file: its tables, and the access to pages and rows. It is written by one connection, in
 * one transaction for each portion of the spool, and read by another, which sees whole portions only.
 *
 * `place` says how far the spool is in it, in how many portions, and has the seed of hash tables. What is deleted is overwritten with zeros (`secure_delete`).
 */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { LookupError } from '../system/errors.ts'
import { asLookupError, openSqlite, type SqliteDatabase } from '../system/sqlite.ts'

/** Raised with every change of the tables or of what is in their pages. */
const SCHEMA_VERSION = 1
/** Keys: see hour-page.ts, seen-page.ts and message-page.ts; of `head`: the first account, divided by 4,096. */
const SCHEMA = `
CREATE TABLE account (number INTEGER PRIMARY KEY, name BLOB NOT NULL);
CREATE TABLE head (key INTEGER PRIMARY KEY, page BLOB NOT NULL);
CREATE TABLE hour (key INTEGER PRIMARY KEY, page BLOB NOT NULL);
CREATE TABLE seen (key INTEGER PRIMARY KEY, page BLOB NOT NULL);
CREATE TABLE message (key INTEGER PRIMARY KEY, page BLOB NOT NULL);
CREATE TABLE portion (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE refusal (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, account INTEGER NOT NULL,
  code TEXT NOT NULL, queue TEXT NOT NULL, instance TEXT NOT NULL, record BLOB NOT NULL, steps BLOB
);
CREATE INDEX refusal_at ON refusal (at);
CREATE INDEX refusal_account ON refusal (account);
CREATE INDEX refusal_code ON refusal (code);
CREATE INDEX refusal_queue ON refusal (queue) WHERE queue <> '';
CREATE INDEX refusal_instance ON refusal (instance) WHERE instance <> '';
CREATE TABLE gap (number INTEGER PRIMARY KEY, "from" REAL NOT NULL, "to" REAL NOT NULL,
  missing INTEGER NOT NULL, why TEXT NOT NULL);
CREATE TABLE instance (portion INTEGER PRIMARY KEY, page BLOB NOT NULL);
CREATE TABLE place (
  file INTEGER NOT NULL, "offset" INTEGER NOT NULL, portion INTEGER NOT NULL, seed INTEGER NOT NULL
);
`
/** Added later: a file that lacks it has it from then on, and an older daemon does not mind it. */
const ADDED = `
CREATE TABLE IF NOT EXISTS country (hour INTEGER, country TEXT, messages INTEGER NOT NULL,
  recipients INTEGER NOT NULL, refused INTEGER NOT NULL, PRIMARY KEY (hour, country)) WITHOUT ROWID;
`
export const PAGE_TABLES = ['head', 'hour', 'seen', 'message'] as const
export type PageTable = (typeof PAGE_TABLES)[number]

const SQLITE_PAGE_BYTES = 8192
/** Then SQLite makes a checkpoint by itself, which waits for the disk. */
const CHECKPOINT_BYTES = 8 * 1024 * 1024
/** What stays of the write-ahead log after a large portion. */
const LARGEST_LOG_BYTES = 16 * 1024 * 1024
const LOCK_MILLISECONDS = 2000
/** Damaged files that are kept; the oldest are deleted. */
const MOST_SET_ASIDE = 3

/** Neither SQLite nor this program can read it, or a newer version has written it. */
export class UnusableHistory extends LookupError {}

/** To write. Throws UnusableHistory, or LookupError if the file cannot be opened. */
export function openToWrite(path: string): SqliteDatabase {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
  const db = openSqlite(path, LOCK_MILLISECONDS)
  try {
    chmodSync(path, 0o600)
    db.pragma(`page_size = ${SQLITE_PAGE_BYTES}`)
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = NORMAL')
    db.pragma('secure_delete = ON')
    db.pragma('cache_size = -16000')
    checkpointByItself(db)
    db.pragma(`journal_size_limit = ${LARGEST_LOG_BYTES}`)
    db.transaction(() => {
      const version = Number(db.pragma('user_version', { simple: true }))
      if (version === SCHEMA_VERSION) requireTables(db, path)
      else if (version !== 0) throw new UnusableHistory(`${path} has schema ${version}`)
      else {
        db.exec(SCHEMA)
        const { randomInt } = process.getBuiltinModule('node:crypto')
        db.prepare('INSERT INTO place VALUES (0, 0, 0, ?)').run(randomInt(2 ** 32))
        db.pragma(`user_version = ${SCHEMA_VERSION}`)
      }
      db.exec(ADDED)
    }).immediate()
    return db
  } catch (error) {
    db.close()
    throw error instanceof LookupError ? error : asLookupError(path, error)
  }
}

export function checkpointByItself(db: SqliteDatabase): void {
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_BYTES / SQLITE_PAGE_BYTES}`)
}

export function openToRead(path: string): SqliteDatabase {
  const db = openSqlite(path, LOCK_MILLISECONDS)
  db.pragma('query_only = ON')
  db.pragma('cache_size = -8000')
  return db
}

/** 0: there is no such file. */
export const inodeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.ino ?? 0

function requireTables(db: SqliteDatabase, path: string): void {
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'")
  const there = new Set(tables.pluck().all())
  for (const [, table = ''] of SCHEMA.matchAll(/^CREATE TABLE (\w+)/gm)) {
    if (!there.has(table)) throw new UnusableHistory(`${path} has no table "${table}"`)
  }
}

/** Is the file of no use any more? As opposed to a full disk, a lock or a read-only folder. */
export function isUnusable(error: unknown): boolean {
  if (error instanceof UnusableHistory) return true
  // What a page has is read by this program: a number that is cut off, a page of another kind.
  if (error instanceof RangeError) return true
  const cause = error instanceof LookupError ? error.cause : error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /^SQLITE_(?:CORRUPT|NOTADB|SCHEMA|MISMATCH|ERROR)/.test(code)
}

const asideOf = (path: string): string => `${path}.damaged-`

/** Renames a damaged file; its new name. Throws the system's errors. */
export function setAside(path: string, now: number): string {
  const name = `${asideOf(path)}${new Date(now).toISOString().replace(/[:.]/g, '')}`
  let aside = name
  for (let more = 2; existsSync(aside); more++) aside = `${name}-${more}`
  renameSync(path, aside)
  dropCompanions(path)
  dropAside(path, MOST_SET_ASIDE)
  return aside
}

/** The write-ahead log of a file that is gone would be applied to the next one. */
export function dropCompanions(path: string): void {
  for (const companion of ['-wal', '-shm']) rmSync(`${path}${companion}`, { force: true })
}

/** Deletes the damaged files that were set aside, except the newest ones. */
export function dropAside(path: string, most: number): void {
  const folder = dirname(path)
  const prefix = basename(asideOf(path))
  const names = readdirSync(folder).filter(name => name.startsWith(prefix))
  for (const name of names.toSorted().slice(0, Math.max(0, names.length - most))) {
    rmSync(join(folder, name), { force: true })
  }
}

/** Pages of a table by their keys. */
export class Pages {
  readonly get: (key: number) => Buffer | undefined
  readonly put: (key: number, page: Buffer | undefined) => void

  constructor(db: SqliteDatabase, table: PageTable) {
    const get = db.prepare<[number], Buffer>(`SELECT page FROM ${table} WHERE key = ?`).pluck()
    const put = db.prepare<[number, Buffer]>(`INSERT OR REPLACE INTO ${table} VALUES (?, ?)`)
    const drop = db.prepare<[number]>(`DELETE FROM ${table} WHERE key = ?`)
    this.get = key => get.get(key)
    this.put = (key, page) => void (page ? put.run(key, page) : drop.run(key))
  }
}
