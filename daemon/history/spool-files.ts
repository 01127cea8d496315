/**
 * The spool's files, `history.spool-1` and so on. Each run of the daemon begins one of its own, so nothing
 * is ever written behind a frame that a kill has cut off; numbers rise and are not used again.
 */

import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import {
  CODE_AT,
  FILE_HEAD,
  FRAME_HEAD,
  LARGEST_FRAME,
  MAGIC,
  NUMBER_AT,
  RECORDS_AT,
} from './spool-format.ts'

const NEW_FILE =
  constants.O_WRONLY |
  constants.O_CREAT |
  constants.O_EXCL |
  constants.O_APPEND |
  constants.O_NOFOLLOW

/** A position behind a frame. */
export interface SpoolPlace {
  readonly file: number
  readonly offset: number
}

export interface SpoolFile {
  readonly path: string
  readonly number: number
  readonly bytes: number
}

export const isBefore = (one: SpoolPlace, other: SpoolPlace): boolean =>
  one.file < other.file || (one.file === other.file && one.offset < other.offset)

/** The name of a file of the spool of the history in `path`. */
export function spoolPath(path: string, number: number): string {
  return `${path.replace(/\.sqlite$/, '')}.spool-${number}`
}

/** Those that there are, the oldest first. Throws the system's errors; without a folder there are none. */
export function spoolFilesOf(path: string): SpoolFile[] {
  const prefix = spoolPath(path, 0).slice(0, -1)
  const files: SpoolFile[] = []
  for (const name of namesIn(dirname(path))) {
    const file = join(dirname(path), name)
    const digits = file.startsWith(prefix) ? file.slice(prefix.length) : ''
    const number = /^[1-9]\d{0,9}$/.test(digits) ? Number(digits) : 0
    const found = number === 0 ? undefined : statSync(file, { throwIfNoEntry: false })
    if (found?.isFile()) files.push({ path: file, number, bytes: found.size })
  }
  return files.toSorted((one, other) => one.number - other.number)
}

/** The same where a folder that cannot be read has none. */
export function filesOrNone(path: string): readonly SpoolFile[] {
  try {
    return spoolFilesOf(path)
  } catch {
    return []
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** 0: there is no such file, or nobody can tell. */
export function inodeOf(file: string): number {
  try {
    return statSync(file).ino
  } catch {
    return 0
  }
}

/** A new file with its head, to be written on. Throws the system's errors, with no file left behind. */
export function beginFile(
  history: string,
  number: number,
  lastCode: number,
): { readonly path: string; readonly fd: number; readonly inode: number } {
  mkdirSync(dirname(history), { recursive: true, mode: 0o750 })
  const path = spoolPath(history, number)
  const fd = openSync(path, NEW_FILE, 0o600)
  try {
    const head = headOf(number, lastCode)
    if (writeSync(fd, head) < head.length) throw new Error('no space left on device')
    return { path, fd, inode: fstatSync(fd).ino }
  } catch (error) {
    closeSync(fd)
    unlinkSync(path)
    throw error
  }
}

function headOf(number: number, lastCode: number): Buffer {
  const head = Buffer.alloc(FILE_HEAD)
  MAGIC.copy(head)
  head.writeUInt32LE(number, NUMBER_AT)
  head.writeDoubleLE(lastCode, CODE_AT)
  return head
}

/** The number of the last code that was given according to a file; 0 if it cannot be read. */
export function lastCodeIn(file: string): number {
  try {
    const bytes = readFileSync(file)
    if (!isSpool(bytes)) return 0
    let last = bytes.readDoubleLE(CODE_AT)
    for (let at = FILE_HEAD; ; ) {
      const end = endOfFrame(bytes, at)
      if (end === undefined) return Number.isSafeInteger(last) ? last : 0
      last = Math.max(last, bytes.readDoubleLE(at + FRAME_HEAD))
      at = end
    }
  } catch {
    return 0
  }
}

function isSpool(bytes: Buffer): boolean {
  return bytes.length >= FILE_HEAD && bytes.subarray(0, MAGIC.length).equals(MAGIC)
}

/** Where the whole frame that begins at `at` ends; undefined if there is none. */
export function endOfFrame(bytes: Buffer, at: number): number | undefined {
  if (at + RECORDS_AT > bytes.length) return undefined
  const end = at + FRAME_HEAD + bytes.readUInt32LE(at)
  if (end > bytes.length || end < at + RECORDS_AT || end > at + LARGEST_FRAME) return undefined
  const isWhole = crc32(bytes.subarray(at + FRAME_HEAD, end)) === bytes.readUInt32LE(at + 4)
  return isWhole ? end : undefined
}

/** Bytes of a file from a place on, at most that many. Throws the system's errors. */
export function readFrom(path: string, offset: number, most: number): Buffer {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(most, size - offset)))
    const length = bytes.length === 0 ? 0 : readSync(fd, bytes, 0, bytes.length, offset)
    return bytes.subarray(0, length)
  } finally {
    closeSync(fd)
  }
}
