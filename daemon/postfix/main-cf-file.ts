/**
 * main.cf on disk: replaced as a whole, judged by Postfix, put back if Postfix complains.
 *
 * Owner, mode and directory stay; readers see the old file or the new one. A file that some system
 * generates is recognised by its own words: an edit there would be lost, or overwrite a decision.
 */

import fs from 'node:fs'
import type { Run } from './external-program.ts'
import { complaints } from './instance.ts'
import { END_OF_DATA } from './restriction-list.ts'

/**
 * Puts the new text in place and asks Postfix; empty if it agrees, else why not, with the old text
 * back in place. Only complaints that are new count: stock Debian already has some.
 */
export async function changeMainCf(
  run: Run,
  configDir: string,
  file: string,
  { text, after }: { readonly text: string; readonly after: string },
  isAsWanted: (() => Promise<boolean>) | undefined,
): Promise<string[]> {
  const known = isAsWanted ? await complaints(run, configDir) : new Set<string>()
  if (fs.readFileSync(file, 'latin1') !== text) return [`${file} was edited at the same moment`]
  replaceFile(file, after)
  if (!isAsWanted) return []
  const fresh = [...(await complaints(run, configDir))].filter(said => !known.has(said))
  if (fresh.length === 0 && !(await isAsWanted())) {
    fresh.push(`postconf does not show the item in ${END_OF_DATA}`)
  }
  if (fresh.length > 0) replaceFile(file, text)
  return fresh.length > 0 ? [...fresh, `${file} is as it was before`] : []
}

/** Same directory, owner and mode; the old file or the new one, never half of it. */
function replaceFile(file: string, text: string): void {
  const { uid, gid, mode } = fs.statSync(file)
  const temporary = `${file}.mtpolicyd-${process.pid}`
  try {
    const descriptor = fs.openSync(temporary, 'wx', 0o600)
    try {
      fs.writeFileSync(descriptor, Buffer.from(text, 'latin1'))
      fs.fchownSync(descriptor, uid, gid)
      fs.fchmodSync(descriptor, mode & 0o7777)
      fs.fsyncSync(descriptor)
    } finally {
      fs.closeSync(descriptor)
    }
    fs.renameSync(temporary, file)
  } catch (error) {
    fs.rmSync(temporary, { force: true })
    throw error
  }
}

/** The comment by which a generator claims the file, or undefined. */
export function findGenerator(text: string): string | undefined {
  const claims =
    /auto(matically)?[- ]generated|(is|was|been) generated (by|from)|ansible[_ ]managed|(managed|maintained|controlled) (by|with) \S*(ansible|puppet|chef|salt|cfengine|univention|plesk|cpanel|iredmail)|univention-config-registry|will be overwritten|do not edit/i
  for (const line of text.split('\n')) {
    if (/^\s*#/.test(line) && claims.test(line)) return line.replace(/^[\s#]+|\s+$/g, '')
  }
  return undefined
}
