/**
 * Copies a SQLite file of another program: whole and consistent, even while it is in use.
 *
 * The copy has the tables and rows of the original and none of its journal files. An empty file, as
 * Debian's mtpolicyd creates it when it is installed, becomes an empty database.
 */

import { asLookupError, openSqlite } from './sqlite.ts'

const LOCK_MILLISECONDS = 5000

export interface SqliteTable {
  readonly name: string
  readonly rows: number
}

/** `to` must not exist. Throws LookupError: not a database, locked for too long, or the disk is full. */
export function copySqlite(from: string, to: string): readonly SqliteTable[] {
  return reading(from, db => {
    db.prepare('VACUUM INTO ?').run(to)
    return tablesOf(db)
  })
}

export function sqliteTables(path: string): readonly SqliteTable[] {
  return reading(path, tablesOf)
}

function reading<T>(path: string, work: (db: ReturnType<typeof openSqlite>) => T): T {
  const db = openSqlite(path, LOCK_MILLISECONDS)
  try {
    return work(db)
  } catch (error) {
    throw asLookupError(path, error)
  } finally {
    db.close()
  }
}

function tablesOf(db: ReturnType<typeof openSqlite>): readonly SqliteTable[] {
  const names = db
    .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all()
  return names
    .filter(name => !name.startsWith('sqlite_'))
    .map(name => {
      const count = db.prepare<[], number>(`SELECT count(*) FROM "${name.replaceAll('"', '""')}"`)
      return { name, rows: count.pluck().get() ?? 0 }
    })
}
