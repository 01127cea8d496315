/**
 * Moves the write-ahead log into the file, and nobody waits for the disk meanwhile: SQLite would call fsync(2)
 * in this thread, before and after. Here Node's thread pool does. As long as nothing else is written, the log has
 * all that is not on the disk yet, so a power failure at any moment loses nothing that was in it.
 */

import { open } from 'node:fs/promises'
import type { SqliteDatabase } from '../system/sqlite.ts'

/** To be awaited before anything else is written. Rejects with the system's or SQLite's errors. */
export async function checkpoint(db: SqliteDatabase, path: string): Promise<void> {
  await synced(`${path}-wal`)
  db.pragma('synchronous = OFF')
  try {
    db.pragma('wal_checkpoint(PASSIVE)')
  } finally {
    db.pragma('synchronous = NORMAL')
  }
  await synced(path)
}

async function synced(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}
