/**
 * The ledger's durable part in one SQLite file.
 *
 * All calls between two `settle` are one transaction: a turn of the event loop with fifty
 * requests costs one COMMIT. WAL with synchronous=NORMAL survives the death of the process;
 * `full` also a power cut. The file is locked exclusively for the life of the process, so a
 * second daemon on the same state directory is refused at start.
 */

import { LookupError } from '../policy/errors.ts'
import type { Decided, LedgerStore } from '../policy/ledger.ts'
import { asLookupError, openSqlite } from './sqlite.ts'

/** Raised with every change of the tables; an older program refuses a newer file. */
const SCHEMA_VERSION = 1

const SCHEMA = `
CREATE TABLE usage (
  scope TEXT NOT NULL, day TEXT NOT NULL, account TEXT NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (scope, day, account)
) WITHOUT ROWID;
CREATE TABLE decided (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, scope TEXT NOT NULL, instance TEXT NOT NULL,
  account TEXT NOT NULL, day TEXT NOT NULL, accepted INTEGER NOT NULL, counted INTEGER NOT NULL,
  final INTEGER NOT NULL
);
CREATE TABLE service (name TEXT PRIMARY KEY, asks_at_end INTEGER NOT NULL) WITHOUT ROWID;
`

export type Durability = 'normal' | 'full'

export interface SqliteLedgerStore extends LedgerStore {
  /** Takes small steps towards forgetting; true if there is more to do. Days before `day` and messages decided before `at` go. */
  forget(day: string, at: number): boolean
  close(): void
}

/**
 * A checkpoint waits for the disk, within the COMMIT that hits this mark: at SQLite's 1000 pages
 * that is one turn in sixty under load, and the slowest 1 % of all answers. 32 MB of WAL are read
 * in a tenth of a second at the next start.
 */
const CHECKPOINT_PAGES = 32_000

/** Accounts whose count is kept in memory; reading one back costs more than writing it. */
const MOST_COUNTS = 50_000

/** Rows one step of `forget` removes: well under a millisecond of work. */
const STEP = 200

/** Throws LookupError: unreadable, another daemon's, or made by a newer version. */
export function openSqliteLedger(path: string, durability: Durability): SqliteLedgerStore {
  const db = openSqlite(path, 0)
  try {
    // A turn changes a few bytes on many pages, and each goes to the WAL whole. For new files only.
    db.pragma('page_size = 1024')
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = WAL')
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
    db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
    db.transaction(() => {
      const version = Number(db.pragma('user_version', { simple: true }))
      if (version > SCHEMA_VERSION) {
        throw new LookupError(
          `${path} was written by a newer version (schema ${version}, this program knows ${SCHEMA_VERSION})`,
        )
      }
      if (version === 0) {
        db.exec(SCHEMA)
        db.pragma(`user_version = ${SCHEMA_VERSION}`)
      }
    }).immediate()
  } catch (error) {
    db.close()
    if (error instanceof LookupError) throw error
    if (error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY') {
      throw new LookupError(`${path} is in use by another daemon`, { cause: error })
    }
    throw asLookupError(path, error)
  }

  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  const rollback = db.prepare('ROLLBACK')
  const selectUsed = db
    .prepare<[string, string, string], number>(
      'SELECT used FROM usage WHERE scope = ? AND day = ? AND account = ?',
    )
    .pluck()
  const put = db.prepare<[string, string, string, number]>(
    'INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?)',
  )
  const insertDecided = db.prepare<
    [number, string, string, string, string, number, number, number]
  >(
    `INSERT INTO decided (at, scope, instance, account, day, accepted, counted, final)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  )

  /** Counts as they stand, unsettled ones included: the file is ours alone, nobody else changes it. */
  const counts = new Map<string, number>()
  let isBegun = false

  function inTransaction<T>(work: () => T): T {
    try {
      if (!isBegun) begin.run()
      isBegun = true
      return work()
    } catch (error) {
      throw asLookupError(path, error)
    }
  }

  function usedNow(key: string, scope: string, account: string, day: string): number {
    return counts.get(key) ?? selectUsed.get(scope, day, account) ?? 0
  }

  return {
    used(scope, account, day) {
      try {
        return selectUsed.get(scope, day, account) ?? 0
      } catch (error) {
        throw asLookupError(path, error)
      }
    },

    addWithin(scope, account, day, count, limit) {
      return inTransaction(() => {
        const key = `${scope}\n${day}\n${account}`
        const sum = Math.max(0, usedNow(key, scope, account, day) + count)
        if (sum > limit) return undefined
        put.run(scope, day, account, sum)
        if (counts.size >= MOST_COUNTS) counts.clear()
        counts.set(key, sum)
        return sum
      })
    },

    remember({ at, scope, instance, account, day, accepted, counted, stage }) {
      const final = stage === 'END-OF-MESSAGE' ? 1 : 0
      inTransaction(() =>
        insertDecided.run(at, scope, instance, account, day, accepted ? 1 : 0, counted, final),
      )
    },

    recall(since, most) {
      const rows = db
        .prepare<[number, number], DecidedRow>(
          'SELECT * FROM (SELECT * FROM decided ORDER BY id DESC LIMIT ?) WHERE at >= ? ORDER BY id',
        )
        .all(most, since)
      return rows.map(asDecided)
    },

    services() {
      return db
        .prepare<[], [string, number]>('SELECT name, asks_at_end FROM service')
        .raw()
        .all()
        .map(([name, asksAtEnd]) => [name, asksAtEnd === 1] as const)
    },

    rememberService(service, asksAtEnd) {
      inTransaction(() =>
        db.prepare('INSERT OR REPLACE INTO service VALUES (?, ?)').run(service, asksAtEnd ? 1 : 0),
      )
    },

    settle() {
      if (!isBegun) return
      isBegun = false
      try {
        // After a full disk SQLite has rolled back by itself: then COMMIT fails, as it must.
        commit.run()
      } catch (error) {
        counts.clear()
        if (db.inTransaction) rollback.run()
        throw asLookupError(path, error)
      }
    },

    forget(day, at) {
      const usage = db.prepare(
        `DELETE FROM usage WHERE (scope, day, account) IN
         (SELECT scope, day, account FROM usage WHERE scope = ? AND day < ? LIMIT ${STEP})`,
      )
      const decided = db.prepare(
        `DELETE FROM decided WHERE id IN (SELECT id FROM decided ORDER BY id LIMIT ${STEP}) AND at < ?`,
      )
      // Scopes are few and lead the key: a seek each instead of a scan.
      const nextScope = db
        .prepare<[string], string | null>('SELECT min(scope) FROM usage WHERE scope > ?')
        .pluck()
      return inTransaction(() => {
        counts.clear()
        let changes = decided.run(at).changes
        let scope = nextScope.get('')
        while (scope) {
          changes += usage.run(scope, day).changes
          scope = nextScope.get(scope)
        }
        return changes >= STEP
      })
    },

    close() {
      if (db.inTransaction) commit.run()
      db.close()
    },
  }
}

interface DecidedRow {
  readonly at: number
  readonly scope: string
  readonly instance: string
  readonly account: string
  readonly day: string
  readonly accepted: number
  readonly counted: number
  readonly final: number
}

function asDecided(row: DecidedRow): Decided {
  return {
    at: row.at,
    scope: row.scope,
    instance: row.instance,
    account: row.account,
    day: row.day,
    accepted: row.accepted === 1,
    counted: row.counted,
    stage: row.final === 1 ? 'END-OF-MESSAGE' : 'DATA',
  }
}
