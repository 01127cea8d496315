/**
 * Opens SQLite files. The only file that knows the driver.
 *
 * better-sqlite3 13 ends the process without a message below Node 22.14, so the version is checked first.
 */

import Database from 'better-sqlite3'
import { LookupError } from './errors.ts'

export type SqliteDatabase = Database.Database

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

/** Throws LookupError if the file cannot be opened. `timeoutMilliseconds`: how long to wait for a lock. */
export function openSqlite(path: string, timeoutMilliseconds: number): SqliteDatabase {
  if (major < 22 || (major === 22 && minor < 14)) {
    throw new LookupError(`SQLite needs Node 22.14 or newer, this is ${process.versions.node}`)
  }
  try {
    return new Database(path, { timeout: timeoutMilliseconds })
  } catch (error) {
    throw asLookupError(path, error)
  }
}

export function asLookupError(path: string, error: unknown): LookupError {
  const reason = error instanceof Error ? error.message : String(error)
  return new LookupError(`${path}: ${reason}`, { cause: error })
}
