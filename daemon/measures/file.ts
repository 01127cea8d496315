/** The file of the measures: read at the start, and written whole at each change. */

import { readFileSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { describeError } from '../system/errors.ts'
import { makeFolder } from '../system/made-folder.ts'
import { replaceFile } from '../system/replace-file.ts'
import { DamagedRecords, NOTHING, type Records, readRecords, writeRecords } from './records.ts'

const FOLDER_MODE = 0o750
const FILE_MODE = 0o600

interface Found {
  readonly records: Records
  /** A file was set aside, and why. */
  readonly problem: string | undefined
}

/**
 * No file: no records. A file that is damaged, or of a later version, is renamed, with the time `now` in its
 * name. Throws if it cannot be read, or not be renamed.
 */
export function readFile(file: string, now: number): Found {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (isAbsent) return { records: NOTHING, problem: undefined }
    throw new Error(`cannot read ${file}: ${describeError(error)}`, { cause: error })
  }
  try {
    return { records: readRecords(text), problem: undefined }
  } catch (error) {
    if (!(error instanceof DamagedRecords)) throw error
    const aside = setAside(file, now, error.message)
    const what = `${file} could not be used: ${error.message}. It is ${aside} now`
    return { records: NOTHING, problem: `${what}; no measure of it is in force` }
  }
}

/** The file's new name. */
function setAside(file: string, now: number, why: string): string {
  const at = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const aside = `${file}.damaged-${at}`
  try {
    renameSync(file, aside)
    return aside
  } catch (error) {
    const both = `${why}; it cannot be set aside: ${describeError(error)}`
    throw new Error(`${file} cannot be used: ${both}`, { cause: error })
  }
}

/** 0: there is no such file, or nobody can tell. */
export function inodeOf(file: string): number {
  try {
    return statSync(file, { throwIfNoEntry: false })?.ino ?? 0
  } catch {
    return 0
  }
}

/** It is on the disk when this returns. Throws with the former file in place. */
export function writeFile(file: string, records: Records): void {
  try {
    makeFolder(dirname(file), FOLDER_MODE)
    replaceFile(file, writeRecords(records), {
      temporary: `${file}.new`,
      mode: FILE_MODE,
      sync: 'file and folder',
      mountPoint: 'fail',
    })
  } catch (error) {
    const why = describeError(error)
    throw new Error(`nothing was changed: cannot write ${file}: ${why}`, { cause: error })
  }
}
