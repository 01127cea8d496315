/**
 * One writer at a time, enforced by the kernel.
 *
 * Node has no flock(2). SQLite takes its file locks with fcntl(2), and we ship SQLite anyway: an
 * exclusive transaction on an empty database is a mutex that ends with its process, so nothing is
 * ever stale after a kill -9, and nobody has to guess whether a pid is still the same process. The
 * file stays empty and is never removed (removing a lock file is how locks get lost). Nothing else
 * may open it: closing any descriptor of it in this process would release the lock.
 */

import { accessSync, closeSync, constants, existsSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'

export class LockTimeout extends Error {
  constructor(file: string, seconds: number) {
    super(
      `another process has been writing for ${seconds} s (fuser -v ${file} shows which); nothing was changed, try again`,
    )
  }
}

/** Runs `work` while no other process can; waits at most `seconds` for the lock. */
export async function withLock<T>(file: string, work: () => Promise<T>, seconds = 30): Promise<T> {
  const deadline = performance.now() + seconds * 1000
  let release = tryLock(file)
  while (release === undefined) {
    if (performance.now() > deadline) throw new LockTimeout(file, seconds)
    await sleep(2 + Math.random() * 20)
    release = tryLock(file)
  }
  try {
    return await work()
  } finally {
    release()
  }
}

/** Takes the lock if it is free and returns what releases it. */
export function tryLock(file: string): (() => void) | undefined {
  // Not readable by others: any reader could hold a lock on it for ever.
  if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600))
  // Otherwise SQLite would fall back to opening it read-only, and lock nothing.
  accessSync(file, constants.W_OK)
  const database = new Database(file, { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY'))
      return undefined
    throw error
  }
  return () => {
    database.exec('ROLLBACK')
    database.close()
  }
}
