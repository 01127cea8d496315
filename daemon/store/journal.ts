/**
 * The ledger's journal: the records of all turns of the event loop, one behind the other.
 *
 * A record is one pwrite(2), with fdatasync(2) behind it where a power cut must not lose it. The
 * files, `ledger.journal-0` and so on, have one size and are used in turns: one whose records are of
 * no more use is written over from its beginning. Its number, which rises with every use, is in its
 * head and seeds the checksums of its records, so that what an earlier use has left behind the last
 * record is not taken for one. A file ends at the first record that is not whole: nobody has heard
 * an answer that rests on it.
 */

import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32 } from 'node:zlib'
import {
  endOfRecord,
  headOfRecord,
  isWholeRecord,
  nextRecord,
  type RecordReader,
  RecordWriter,
  readRecord,
} from './journal-record.ts'

/** Behind a record. Files' numbers rise with time. */
export interface JournalPlace {
  readonly file: number
  readonly offset: number
}

/** Some 35,000 messages. */
export const JOURNAL_FILE_BYTES = 4 * 1024 * 1024
/** What cannot be written is kept up to this size, to go with the next record. */
const MOST_KEPT_BYTES = 1024 * 1024

const MAGIC = Buffer.from('mtpolicyd ledger journal 2\n\0')
/** The magic and the number. */
const FILE_HEAD = MAGIC.length + 4

/** Neither emptied nor made anew: the blocks of a file are used again. */
const USE_AGAIN = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW

interface JournalFile {
  readonly path: string
  readonly number: number
  /** Where the next record goes. */
  end: number
  /** Judged for the first time in it. */
  messages: number
  /** Records that are not whole and have whole ones behind them. */
  damaged: number
}

function prefixOf(path: string): string {
  return `${path.replace(/\.sqlite$/, '')}.journal-`
}

/** The files of the journal that belongs to the ledger in `path`. A copy under a name of its own is not one. */
export function journalFilesOf(path: string): string[] {
  const folder = dirname(path)
  const prefix = prefixOf(path)
  return readdirSync(folder)
    .map(name => join(folder, name))
    .filter(file => file.startsWith(prefix) && /^\d+$/.test(file.slice(prefix.length)))
    .filter(isReadable)
}

export class Journal {
  readonly #prefix: string
  /** Must a power cut not lose records? May change; holds from the next one on. */
  isDurable: boolean
  readonly #record = new RecordWriter()
  /** Those with records of use, by number. The last one is written to. */
  readonly #files: JournalFile[]
  /** Paths of the others. */
  readonly #free: string[]
  #lastNumber: number
  /** Of the last file, once it is written to. */
  #open: { readonly fd: number; readonly inode: number; isAllocated: boolean } | undefined
  #isClosed = false
  /** Had too much gathered that could not be written? Its sums must be kept elsewhere. */
  hasGivenUp = false

  /** What cannot be read any more, in words for the operator. */
  readonly loss: string | undefined

  /** The journal of the ledger in `path`, which is folded up to a place. Throws the system's errors. */
  constructor(path: string, isDurable: boolean, folded: JournalPlace) {
    this.#prefix = prefixOf(path)
    this.isDurable = isDurable
    const files = journalFilesOf(path)
      .map(file => examine(file))
      .toSorted((a, b) => a.number - b.number)
    const gone = missingOf(files, folded)
    this.#files = files.filter(({ number }) => number > 0)
    this.#free = files.filter(({ number }) => number === 0).map(file => file.path)
    // The file of that place may have been deleted: its number must not come again all the same.
    this.#lastNumber = Math.max(folded.file, this.#files.at(-1)?.number ?? 0)
    const damaged = this.#files.filter(file => file.damaged > 0).map(file => file.path)
    const what = [
      ...(gone ? [`a part of ${this.#prefix}* is missing`] : []),
      ...(damaged.length > 0 ? [`${damaged.join(', ')} was damaged`] : []),
    ]
    if (what.length > 0) this.loss = `${what.join('; ')}: counts of the last minutes may be lost`
  }

  /** What goes into the next record. */
  get record(): RecordWriter {
    return this.#record
  }

  /** Behind the last record. */
  get place(): JournalPlace {
    const file = this.#files.at(-1)
    return { file: file?.number ?? this.#lastNumber, offset: file?.end ?? 0 }
  }

  /** Bytes of records behind a place. */
  bytesSince({ file, offset }: JournalPlace): number {
    let sum = 0
    for (const { number, end } of this.#files) {
      if (number >= file) sum += end - (number === file ? offset : FILE_HEAD)
    }
    return sum
  }

  /** Writes the record. Throws the system's errors; the record stays then, and goes with the next. */
  settle(): void {
    const record = this.#record
    if (this.hasGivenUp) {
      if (record.byteLength > MOST_KEPT_BYTES) record.clear()
      throw new Error('more was left unwritten than is kept; it is to be folded')
    }
    if (record.isEmpty) return
    try {
      if (this.#isClosed) throw new Error('the journal is closed')
      const file = this.#fileFor(record.byteLength)
      this.#write(record.sealed(seedOf(file.number)), file.end)
      if (this.isDurable && this.#open) fdatasyncSync(this.#open.fd)
      file.end += record.byteLength
      file.messages += record.messages
    } catch (error) {
      if (record.byteLength > MOST_KEPT_BYTES) {
        record.clear()
        this.hasGivenUp = true
      }
      throw error
    }
    record.clear()
  }

  /**
   * Tells the reader what was written behind a place, oldest first. Records before the newest `most`
   * messages are left out, their sums too. Throws the system's errors.
   */
  read(from: JournalPlace, most: number, reader: RecordReader): void {
    /** Messages that are still to be left out. */
    let spare = this.#files.reduce((sum, { messages }) => sum + messages, 0) - most
    for (const { path, number, end: last, messages } of this.#files) {
      const isBefore = number < from.file || (number === from.file && last <= from.offset)
      if (isBefore || messages <= spare) {
        spare -= messages
        continue
      }
      // Behind the last record nothing has to be looked for again.
      const bytes = readFileSync(path).subarray(0, last)
      for (const { start, end, isWhole } of recordsOf(bytes, number)) {
        if (!isWhole) continue
        const { messages } = headOfRecord(bytes, start)
        const isLeftOut = messages <= spare || (number === from.file && start < from.offset)
        spare -= messages
        if (!isLeftOut) readRecord(bytes, start, end, reader)
      }
    }
  }

  /** Files before `place` may be used again, except where one of the newest `most` messages is in them. */
  release({ file }: JournalPlace, most: number): void {
    let newer = this.#files.reduce((sum, { messages }) => sum + messages, 0)
    for (;;) {
      const oldest = this.#files[0]
      if (!oldest || oldest.number >= file) return
      newer -= oldest.messages
      if (newer < most) return
      this.#files.shift()
      // One in reserve is enough.
      if (this.#free.length === 0) this.#free.push(oldest.path)
      else unlinkSync(oldest.path)
    }
  }

  /** Has somebody deleted or replaced the file that is written to? */
  get isDetached(): boolean {
    const path = this.#files.at(-1)?.path
    if (path === undefined) return false
    const inode = statSync(path, { throwIfNoEntry: false })?.ino
    // Before anything is written after a start, it is to be found at least.
    return this.#open ? inode !== this.#open.inode : inode === undefined
  }

  /** Nothing is written any more. */
  close(): void {
    this.#isClosed = true
    this.#leave()
  }

  #leave(): void {
    if (this.#open) closeSync(this.#open.fd)
    this.#open = undefined
  }

  /** The file that has room for a record of so many bytes. */
  #fileFor(bytes: number): JournalFile {
    const last = this.#files.at(-1)
    if (last && last.end + bytes <= JOURNAL_FILE_BYTES) {
      if (!this.#open) this.#goOn(last)
      if (this.isDurable) this.#allocate(last.path)
      return last
    }
    return this.#begin()
  }

  /** After a start: whatever is behind the last whole record must not seem to belong to it. */
  #goOn({ path, end }: JournalFile): void {
    const fd = openSync(path, 'r+')
    const { size, ino } = fstatSync(fd)
    this.#open = { fd, inode: ino, isAllocated: false }
    try {
      if (size > end) this.#write(Buffer.alloc(size - end), end)
    } catch (error) {
      this.#leave()
      throw error
    }
  }

  #begin(): JournalFile {
    this.#leave()
    const path = this.#free.pop() ?? this.#newPath()
    const fd = openSync(path, USE_AGAIN, 0o600)
    const { size, ino } = fstatSync(fd)
    this.#open = { fd, inode: ino, isAllocated: false }
    try {
      if (this.isDurable) this.#allocate(path)
      const head = Buffer.alloc(FILE_HEAD)
      MAGIC.copy(head)
      head.writeUInt32LE(this.#lastNumber + 1, MAGIC.length)
      this.#write(head, 0)
    } catch (error) {
      // Whatever it is that cannot be written, the next try is with another file.
      this.#leave()
      if (size === 0) rmSync(path, { force: true })
      throw error
    }
    this.#lastNumber++
    const file = emptyFile(path, this.#lastNumber)
    this.#files.push(file)
    return file
  }

  /** What only replaces bytes is on the disk sooner: fdatasync(2) has no size to note down. */
  #allocate(path: string): void {
    if (!this.#open || this.#open.isAllocated) return
    const { size } = fstatSync(this.#open.fd)
    if (size < JOURNAL_FILE_BYTES) {
      this.#write(Buffer.alloc(JOURNAL_FILE_BYTES - size), size)
      syncFolder(dirname(path))
    }
    this.#open.isAllocated = true
  }

  #newPath(): string {
    let number = 0
    while (lstatSync(`${this.#prefix}${number}`, { throwIfNoEntry: false })) number++
    return `${this.#prefix}${number}`
  }

  /** Throws if not all of it could be written: what was is written over by the next try. */
  #write(bytes: Uint8Array, at: number): void {
    const { fd } = this.#open ?? { fd: -1 }
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(fd, bytes, written, bytes.length - written, at + written)
    }
  }
}

/** Of checksums: what another use of the file has left, or another format, has others. */
function seedOf(number: number): number {
  return crc32(MAGIC, number)
}

/** The name of a new file is in its folder, and must not be lost either. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function emptyFile(path: string, number: number): JournalFile {
  return { path, number, end: FILE_HEAD, messages: 0, damaged: 0 }
}

/** Number 0: it has not been one of a journal. */
function examine(path: string): JournalFile {
  const bytes = readFileSync(path)
  const isOurs = bytes.length >= FILE_HEAD && bytes.subarray(0, MAGIC.length).equals(MAGIC)
  const said = isOurs ? bytes.readUInt32LE(MAGIC.length) : 0
  // At a million messages a second this takes three years.
  const number = said < 0x7fffffff ? said : 0
  const file = emptyFile(path, number)
  for (const { start, end, isWhole } of number > 0 ? recordsOf(bytes, number) : []) {
    file.end = end
    if (isWhole) file.messages += headOfRecord(bytes, start).messages
    else file.damaged++
  }
  return file
}

/** Up to the last whole one; what is not whole has whole ones behind it. */
function* recordsOf(bytes: Buffer, number: number) {
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

/** Something else in the place of a file is nobody's journal, and must not be waited for. */
function isReadable(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return false
  return found.isFile() && found.size <= 16 * JOURNAL_FILE_BYTES
}

/** Is a file gone that has something which is not folded? Files are used in turns, without a gap. */
function missingOf(files: readonly JournalFile[], folded: JournalPlace): boolean {
  const newer = files.filter(({ number }) => number > 0 && number >= folded.file)
  const first = newer[0]
  if (!first) return folded.file > 0
  if (folded.file > 0 && (first.number > folded.file || first.end < folded.offset)) return true
  return newer.some(({ number }, i) => number !== first.number + i)
}
