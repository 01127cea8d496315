/**
 * The ledger's journal: the records of all turns of the event loop, one after the other.
 *
 * A record is one pwrite(2), followed by fdatasync(2) where a power cut must not lose it. The files,
 * `ledger.journal-0` and so on, have one size and are used in rotation: a file whose records are no
 * longer needed is overwritten from its beginning. Its number, which rises with every use, is in its
 * head and seeds the checksums of its records, so that remains of an earlier use behind the last
 * record are not taken for records. A file ends at its last whole record: no answer was sent that
 * depends on an incomplete one behind it.
 */

import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import {
  emptyFile,
  examine,
  FILE_HEAD,
  JOURNAL_FILE_BYTES,
  type JournalFile,
  type JournalPlace,
  journalFilesOf,
  MAGIC,
  missingOf,
  prefixOf,
  recordsOf,
  seedOf,
} from './journal-files.ts'
import { headOfRecord } from './journal-record.ts'
import { RecordDecoder } from './record-decoder.ts'
import type { RecordReader } from './record-reader.ts'
import { RecordWriter } from './record-writer.ts'
import type { Durability } from './schema.ts'

/** A record that cannot be written is kept up to this size and written with the next. */
const MOST_KEPT_BYTES = 1024 * 1024

/** Neither truncated nor created again: the blocks of a file are used again. */
const USE_AGAIN = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW

export class Journal {
  readonly #prefix: string
  /** True if a power cut must not lose records. */
  #isDurable: boolean
  readonly #record = new RecordWriter()
  /** Files with records that are still needed, by number. The last one is being written. */
  readonly #files: JournalFile[]
  /** Paths of files that may be overwritten. */
  readonly #free: string[]
  #lastNumber: number
  /** The last file, once it has been written to. */
  #open: { readonly fd: number; readonly inode: number; isAllocated: boolean } | undefined
  #isClosed = false
  /** `dropped`: the backlog grew too large, or is not written any more. */
  #backlog: 'kept' | 'dropped' = 'kept'

  /** Bytes of all records that were written since it was opened. */
  writtenBytes = 0

  /** What could not be read, in words for the operator. */
  readonly loss: string | undefined

  /** The journal of the ledger in `path`, which has been folded up to a place. Throws the system's errors. */
  constructor(path: string, durability: Durability, folded: JournalPlace) {
    this.#prefix = prefixOf(path)
    this.#isDurable = durability === 'full'
    const files = journalFilesOf(path)
      .map(file => examine(file))
      .toSorted((a, b) => a.number - b.number)
    const gone = missingOf(files, folded)
    this.#files = files.filter(({ number }) => number > 0)
    this.#free = files.filter(({ number }) => number === 0).map(file => file.path)
    // Even if the file of that place has been deleted, its number must not be used again.
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

  /** True if records were dropped: their sums must be written elsewhere before `resume`. */
  get hasDropped(): boolean {
    return this.#backlog === 'dropped'
  }

  /** Nothing is written until `resume`: the caller writes the sums elsewhere. */
  drop(): void {
    this.#backlog = 'dropped'
  }

  /** Writes records again: the sums of the dropped ones are taken care of. */
  resume(): void {
    this.#backlog = 'kept'
  }

  /** From the next record on. */
  setDurability(durability: Durability): void {
    this.#isDurable = durability === 'full'
  }

  /** The position after the last record. */
  get place(): JournalPlace {
    const file = this.#files.at(-1)
    return { file: file?.number ?? this.#lastNumber, offset: file?.end ?? 0 }
  }

  /** Size of all records after a place. */
  bytesSince({ file, offset }: JournalPlace): number {
    let sum = 0
    for (const { number, end } of this.#files) {
      if (number >= file) sum += end - (number === file ? offset : FILE_HEAD)
    }
    return sum
  }

  /** Writes the record. Throws the system's errors; the record is then kept and written with the next. */
  settle(): void {
    const record = this.#record
    if (this.hasDropped) {
      if (record.byteLength > MOST_KEPT_BYTES) record.clear()
      throw new Error('too much could not be written; the next folding will write it')
    }
    if (record.isEmpty) return
    try {
      if (this.#isClosed) throw new Error('the journal is closed')
      const file = this.#fileFor(record.byteLength)
      this.#write(record.sealed(seedOf(file.number)), file.end)
      if (this.#isDurable && this.#open) fdatasyncSync(this.#open.fd)
      file.end += record.byteLength
      this.writtenBytes += record.byteLength
      file.messages += record.messages
    } catch (error) {
      if (record.byteLength > MOST_KEPT_BYTES) {
        record.clear()
        this.drop()
      }
      throw error
    }
    record.clear()
  }

  /**
   * Passes on what was written after a place, oldest first. Records before the newest `most` messages
   * are left out, with their sums. Throws the system's errors.
   */
  read(from: JournalPlace, most: number, reader: RecordReader): void {
    const decoder = new RecordDecoder(reader)
    /** Messages still to be left out. */
    let spare = this.#files.reduce((sum, { messages }) => sum + messages, 0) - most
    for (const { path, number, end: last, messages } of this.#files) {
      const isBefore = number < from.file || (number === from.file && last <= from.offset)
      if (isBefore || messages <= spare) {
        spare -= messages
        continue
      }
      // There is nothing to search for after the last record.
      const bytes = readFileSync(path).subarray(0, last)
      for (const { start, end, isWhole } of recordsOf(bytes, number)) {
        if (!isWhole) continue
        const { messages } = headOfRecord(bytes, start)
        const isLeftOut = messages <= spare || (number === from.file && start < from.offset)
        spare -= messages
        if (!isLeftOut) decoder.read(bytes, start, end)
      }
    }
  }

  /** Files before a place may be overwritten, unless they contain one of the newest `most` messages. */
  release({ file }: JournalPlace, most: number): void {
    let newer = this.#files.reduce((sum, { messages }) => sum + messages, 0)
    for (;;) {
      const oldest = this.#files[0]
      if (!oldest || oldest.number >= file) return
      newer -= oldest.messages
      if (newer < most) return
      this.#files.shift()
      // One spare file is enough.
      if (this.#free.length === 0) this.#free.push(oldest.path)
      else unlinkSync(oldest.path)
    }
  }

  /** True if the file that is being written was deleted or replaced. */
  get isDetached(): boolean {
    const path = this.#files.at(-1)?.path
    if (path === undefined) return false
    const inode = statSync(path, { throwIfNoEntry: false })?.ino
    // After a start nothing has been written yet; then the file has to exist, at least.
    return this.#open ? inode !== this.#open.inode : inode === undefined
  }

  /** From now on nothing can be written. */
  close(): void {
    this.#isClosed = true
    this.#leave()
  }

  #leave(): void {
    if (this.#open) closeSync(this.#open.fd)
    this.#open = undefined
  }

  /** A file with room for a record of this size. */
  #fileFor(bytes: number): JournalFile {
    const last = this.#files.at(-1)
    if (last && last.end + bytes <= JOURNAL_FILE_BYTES) {
      if (!this.#open) this.#goOn(last)
      if (this.#isDurable) this.#allocate(last.path)
      return last
    }
    return this.#begin()
  }

  /** After a start: clears whatever follows the last whole record, so that it is not read as part of the journal. */
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
      if (this.#isDurable) this.#allocate(path)
      const head = Buffer.alloc(FILE_HEAD)
      MAGIC.copy(head)
      head.writeUInt32LE(this.#lastNumber + 1, MAGIC.length)
      this.#write(head, 0)
    } catch (error) {
      // Whatever cannot be written, the next attempt begins a file again.
      this.#leave()
      if (size === 0) rmSync(path, { force: true })
      throw error
    }
    this.#lastNumber++
    const file = emptyFile(path, this.#lastNumber)
    this.#files.push(file)
    return file
  }

  /** Files are preallocated, so that fdatasync(2) need not update the inode's size. */
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

  /** Throws if only a part could be written; the next attempt overwrites that. */
  #write(bytes: Uint8Array, at: number): void {
    const { fd } = this.#open ?? { fd: -1 }
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(fd, bytes, written, bytes.length - written, at + written)
    }
  }
}

/** A new file's name is in its folder, and must not be lost either. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
