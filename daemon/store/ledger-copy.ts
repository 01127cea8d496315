/**
 * The ledger's files, copied to where they can be written: counts that can only be read count on.
 *
 * Beside the copy stands which file it is of. As long as that one has not changed the copy has all
 * of it, and what has been counted since; also in the next life of the process.
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
import { journalFilesOf } from './journal.ts'

/** Where the copy of the ledger in `path` is in `folder`. */
export function copyPath(path: string, folder: string): string {
  return join(folder, basename(path))
}

/** Copies the ledger in `path` into `folder`, which is made anew. Throws the system's errors, also where there is no ledger. */
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
  // Last: a copy without it is not whole.
  writeFileSync(originalOf(folder), original)
}

/** Is there a copy of the ledger in `path`, and has that not changed since it was made? */
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
  // A pipe would be waited for.
  if (!found.isFile()) throw new Error(`${path} is no file`)
  return `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs}`
}
