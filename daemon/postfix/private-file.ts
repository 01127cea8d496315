/**
 * Files that root writes now and believes later, in a directory of the daemon's own user.
 *
 * Mode 0600, replaced as a whole. What somebody else owns or may write is not read: it could name
 * any file or any variable for root to change. Links are not followed.
 */

import fs from 'node:fs'

/** The bytes, one character each; undefined if there is no such file; throws if it is not trusted. */
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
      throw new Error(`${file} belongs to, or may be written by, somebody else: not trusted`)
    }
    return fs.readFileSync(descriptor, 'latin1')
  } finally {
    fs.closeSync(descriptor)
  }
}

export function writePrivately(file: string, bytes: Buffer): void {
  const temporary = `${file}.${process.pid}.new`
  fs.rmSync(temporary, { force: true })
  fs.writeFileSync(temporary, bytes, { mode: 0o600, flag: 'wx', flush: true })
  fs.renameSync(temporary, file)
}
