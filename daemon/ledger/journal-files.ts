/**
 * The files of a journal as a start finds them: which there are, up to where each one is whole, and
 * what is missing.
 */

import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import { endOfRecord, headOfRecord, isWholeRecord, nextRecord } from './journal-record.ts'

/** A position after a record. The numbers of files rise with time. */
export interface JournalPlace {
  readonly file: number
  readonly offset: number
}

/** Enough for some 23,000 messages with one limit, or 8,000 with five. */
export const JOURNAL_FILE_BYTES = 4 * 1024 * 1024

export const MAGIC = Buffer.from('mtpolicyd ledger journal 2\n\0')
/** The magic and the number. */
export const FILE_HEAD = MAGIC.length + 4

export interface JournalFile {
  readonly path: string
  readonly number: number
  /** Where the next record goes. */
  end: number
  /** Messages judged for the first time in it. */
  messages: number
  /** Incomplete records that are followed by whole ones. */
  damaged: number
}

export function prefixOf(path: string): string {
  return `${path.replace(/\.sqlite$/, '')}.journal-`
}

/** The journal files of the ledger in `path`. A copy under another name is not one of them. */
export function journalFilesOf(path: string): string[] {
  const folder = dirname(path)
  const prefix = prefixOf(path)
  return readdirSync(folder)
    .map(name => join(folder, name))
    .filter(file => file.startsWith(prefix) && /^\d+$/.test(file.slice(prefix.length)))
    .filter(isJournalFile)
}

/** Seed of the checksums: remains of another use of the file, or of another format, have other checksums. */
export function seedOf(number: number): number {
  return crc32(MAGIC, number)
}

export function emptyFile(path: string, number: number): JournalFile {
  return { path, number, end: FILE_HEAD, messages: 0, damaged: 0 }
}

/** Number 0: it has not been part of a journal. */
export function examine(path: string): JournalFile {
  const bytes = readFileSync(path)
  const isOurs = bytes.length >= FILE_HEAD && bytes.subarray(0, MAGIC.length).equals(MAGIC)
  const stated = isOurs ? bytes.readUInt32LE(MAGIC.length) : 0
  // At a million messages a second it takes three years to get there.
  const number = stated < 0x7fffffff ? stated : 0
  const file = emptyFile(path, number)
  for (const { start, end, isWhole } of number > 0 ? recordsOf(bytes, number) : []) {
    file.end = end
    if (isWhole) file.messages += headOfRecord(bytes, start).messages
    else file.damaged++
  }
  return file
}

/** All records up to the last whole one; one that is not whole is followed by whole ones. */
export function* recordsOf(bytes: Buffer, number: number) {
  const seed = seedOf(number)
  for (let start = FILE_HEAD; ; ) {
    const end = endOfRecord(bytes, start)
    if (end !== undefined && isWholeRecord(bytes, start, end, seed)) {
      yield { start, end, isWhole: true }
      start = end
      continue
    }
    const next = nextRecord(bytes, start + 1, seed)
    if (next === undefined) return
    yield { start, end: next, isWhole: false }
    start = next
  }
}

/** A folder or a pipe under that name is not a journal; opening a pipe would block. */
function isJournalFile(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return false
  return found.isFile() && found.size <= 16 * JOURNAL_FILE_BYTES
}

/** True if a file with unfolded records is missing. Files are used in rotation, without a gap. */
export function missingOf(files: readonly JournalFile[], folded: JournalPlace): boolean {
  const newer = files.filter(({ number }) => number > 0 && number >= folded.file)
  const first = newer[0]
  if (!first) return folded.file > 0
  if (folded.file > 0 && (first.number > folded.file || first.end < folded.offset)) return true
  return newer.some(({ number }, i) => number !== first.number + i)
}
