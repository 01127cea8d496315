/**
 * A copy of the ledger's files where they can be written, so that counting continues while the
 * original can only be read.
 *
 * The copy records which file it was made from. As long as that file does not change, the copy has all
 * of its counts and those since; the next run of the process may therefore continue with it.
 */

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { journalFilesOf } from './journal-files.ts'

/** Where the copy of the ledger in `path` is in `folder`. */
export function copyPath(path: string, folder: string): string {
  return join(folder, basename(path))
}

/** Copies the ledger in `path` into `folder`, which is emptied first. Throws the system's errors, also if there is no ledger. */
export function copyLedger(path: string, folder: string): void {
  const original = identityOf(path)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const wal = `${path}-wal`
  for (const file of [path, ...(existsSync(wal) ? [wal] : []), ...journalFilesOf(path)]) {
    const to = copyPath(file, folder)
    copyFileSync(file, to)
    chmodSync(to, 0o600)
  }
  // Last: without it a copy is incomplete.
  writeFileSync(originalOf(folder), original)
}

/** True if there is a copy of the ledger in `path`, and that has not changed since. */
export function isCopied(path: string, folder: string): boolean {
  try {
    return readFileSync(originalOf(folder), 'utf8') === identityOf(path)
  } catch {
    return false
  }
}

function originalOf(folder: string): string {
  return join(folder, 'original')
}

function identityOf(path: string): string {
  const found = statSync(path, { bigint: true })
  // Opening a pipe would block.
  if (!found.isFile()) throw new Error(`${path} is not a regular file`)
  return `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs}`
}
