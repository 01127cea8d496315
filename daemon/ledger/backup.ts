/** The hourly backup beside the ledger's file, and damaged files that are set aside. */

import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  read,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { promisify } from 'node:util'

const readOpen = promisify(read)
/** Bytes that a backup reads in one step. */
const BACKUP_BYTES = 256 * 1024

export function backupOf(path: string): string {
  return `${path}.backup`
}

/** Copies the backup into place, completely or not at all. When it was made; undefined if there is none. */
export function restore(path: string): string | undefined {
  const made = statSync(backupOf(path), { throwIfNoEntry: false })?.mtime
  if (!made) return undefined
  const fresh = `${path}.new`
  copyFileSync(backupOf(path), fresh)
  const fd = openSync(fresh, 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(fresh, path)
  return made.toISOString()
}

/** Renames a damaged file; its new name. Its companions mean nothing without it. */
export function setAside(path: string, now: number): string {
  const name = `${path}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '')}`
  let aside = name
  for (let more = 2; existsSync(aside); more++) aside = `${name}-${more}`
  renameSync(path, aside)
  for (const companion of ['-wal', '-shm']) rmSync(`${path}${companion}`, { force: true })
  return aside
}

/** SQLite's own backup ends in a synchronous fsync(2), which takes a quarter of a second for 400 MB. */
export async function copyOpenFile(fd: number | undefined, copy: string): Promise<void> {
  if (fd === undefined) throw new Error('there is no file to back up')
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
