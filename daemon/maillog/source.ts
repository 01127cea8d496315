/**
 * Where Postfix logs. `auto`: a log file that is in use, or else the journal. A file that has not been
 * written to for a day is only the last resort: after an upgrade it may be left over.
 */

import { constants } from 'node:fs'
import { access, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { JOURNAL } from './follow-journal.ts'

/** Where it may be. */
export interface Places {
  /** Log files, the first one that is in use is taken. */
  readonly files: readonly string[]
  /** Folders of the journal; none: it is not looked for. */
  readonly journals: readonly string[]
}

export type Found =
  | { readonly source: string }
  /** `source` is what could not be read. */
  | { readonly source: string; readonly problem: string }

const IN_USE_MILLISECONDS = 86_400_000

/** @param now milliseconds since 1970 */
export async function findMailLog({ files, journals }: Places, now: number): Promise<Found> {
  const readable: { path: string; at: number }[] = []
  const refused: string[] = []
  for (const path of files) {
    const found = await lookAt(path)
    if (found === 'refused') refused.push(path)
    else if (found !== undefined) readable.push({ path, at: found })
  }
  const current = readable.find(({ at }) => at > now - IN_USE_MILLISECONDS)
  if (current) return { source: current.path }
  if (await hasReadableJournal(journals)) return { source: JOURNAL }
  const [old] = readable
  if (old) return { source: old.path }
  const [forbidden] = refused
  if (forbidden !== undefined) return { source: forbidden, problem: 'permission denied' }
  const all = [...files, ...(journals.length > 0 ? ['the journal'] : [])]
  return { source: '', problem: `found none of ${all.join(', ')} that can be read` }
}

/** When it was written to; undefined if there is nothing to read. */
async function lookAt(path: string): Promise<number | 'refused' | undefined> {
  try {
    const found = await stat(path)
    if (!found.isFile()) return undefined
    await access(path, constants.R_OK)
    return found.mtimeMs
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES'
      ? 'refused'
      : undefined
  }
}

async function hasReadableJournal(folders: readonly string[]): Promise<boolean> {
  for (const folder of folders) {
    for (const machine of await readdir(folder).catch(() => [])) {
      const file = join(folder, machine, 'system.journal')
      const isReadable = await access(file, constants.R_OK).then(
        () => true,
        () => false,
      )
      if (isReadable) return true
    }
  }
  return false
}
