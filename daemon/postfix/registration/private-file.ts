/**
 * Files that root writes now and trusts later, in a directory owned by the daemon's user.
 *
 * Mode 0600, replaced as a whole. A file that somebody else owns or can write is not read: it could
 * make root change any file or variable. Links are not followed.
 */

import fs from 'node:fs'
import { replaceFile } from '../../system/replace-file.ts'

/**
 * The bytes, one character each; undefined if there is no such file. Throws if it is not trusted.
 */
export function readOwn(file: string): string | undefined {
  let descriptor: number
  try {
    descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    const { uid, mode } = fs.fstatSync(descriptor)
    if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) {
      throw new Error(`${file} is not trusted: it is owned or writable by another user`)
    }
    return fs.readFileSync(descriptor, 'latin1')
  } finally {
    fs.closeSync(descriptor)
  }
}

/** For the owner alone; a link in its place is replaced, not followed. */
export function writePrivately(file: string, bytes: Buffer): void {
  replaceFile(file, bytes, {
    mode: 0o600,
    sync: 'file',
    temporary: `${file}.${process.pid}.new`,
    mountPoint: 'fail',
  })
}
