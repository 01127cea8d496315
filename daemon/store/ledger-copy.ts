/**
 * The ledger's files, copied to where they can be written: counts that can only be read count on.
 *
 * Nobody may be writing to them meanwhile; a copy that is not whole all the same is found damaged
 * when it is opened.
 */

import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * Copies the ledger in `path` into `folder`, which is made anew; the path of the copy. Throws the
 * system's errors, also where there is no ledger.
 */
export function copyLedger(path: string, folder: string): string {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const name = basename(path)
  const copy = (one: string): void => {
    copyFileSync(join(dirname(path), one), join(folder, one))
    chmodSync(join(folder, one), 0o600)
  }
  copy(name)
  const journal = `${name.replace(/\.sqlite$/, '')}.journal-`
  for (const one of readdirSync(dirname(path))) {
    if (one === `${name}-wal` || one.startsWith(journal)) copy(one)
  }
  return join(folder, name)
}
