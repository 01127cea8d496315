/** The secret by which our own mail is known again: made once, readable by nobody else. */

import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describeError } from '../system/errors.ts'
import { makeFolder } from '../system/made-folder.ts'

const BYTES = 32

/** Where it can neither be read nor be written, it is one for this run. */
export function readKey(path: string, log: (message: string) => void): Buffer {
  const { randomBytes } = process.getBuiltinModule('node:crypto')
  try {
    const found = readFileSync(path)
    if (found.length === BYTES) return found
  } catch {
    // There is none, or it is of no use.
  }
  const key = randomBytes(BYTES)
  try {
    makeFolder(dirname(path), 0o750)
    writeFileSync(path, key, { mode: 0o600 })
  } catch (error) {
    log(`cannot write ${path}: ${describeError(error)}`)
  }
  return key
}
