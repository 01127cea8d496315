/** Reads records of the journal, whose bytes are described in `journal-record.ts`. */

import type { Entry } from './decided.ts'
import {
  ACCEPTED,
  CODES,
  FINAL,
  FIRST,
  HAS_QUEUE,
  HAS_REFUSAL,
  HAS_SUBJECT,
  HAS_SUM,
  headOfRecord,
  KNOWN,
  MESSAGE,
  PERIOD,
  RECORD_HEAD,
  SUM,
  TIME,
} from './journal-record.ts'
import { readEntries3 } from './journal-record-3.ts'
import type { CountingPeriod } from './period.ts'
import type { RecordReader } from './record-reader.ts'

const LINE_FEED = 0x0a

/** A period as a record defines it: the bytes from `start` to `end`. */
interface Definition {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  readonly period: CountingPeriod
}

/** Passes on the entries of whole records, one after the other. */
export class RecordDecoder {
  readonly #reader: RecordReader
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  /** When what the sums say was counted. */
  #now = 0
  readonly #periods: (CountingPeriod | undefined)[] = []
  /** The one before. */
  #subject: Buffer | undefined
  /** What the records before have defined, by number: usually the same. */
  readonly #defined: (Definition | undefined)[] = []

  constructor(reader: RecordReader) {
    this.#reader = reader
  }

  /** Throws RangeError for a record that `RecordWriter` cannot have made. */
  read(bytes: Buffer, from: number, end: number): void {
    const { at } = headOfRecord(bytes, from)
    const first = from + RECORD_HEAD
    if (bytes[first] !== FIRST) {
      readEntries3(bytes, first, end, at, this.#reader)
      return
    }
    this.#bytes = bytes
    this.#at = first + 1
    this.#periods.length = 0
    this.#subject = undefined
    this.#now = at
    while (this.#at < end) this.#entry()
  }

  #entry(): void {
    const letter = this.#byte()
    if (letter === PERIOD) {
      const number = this.#number()
      this.#periods[number] = this.#definition(number)
    } else if (letter === TIME) {
      this.#now = this.#float()
    } else if (letter === SUM) {
      const { period, bucket } = this.#place()
      const used = this.#number()
      // Before the call, which may not be made.
      const subject = this.#subjectName()
      this.#reader.sum?.(period, bucket, subject, used, this.#now)
    } else if (letter === MESSAGE) {
      const flags = this.#byte()
      const at = this.#float()
      const message = this.#name()
      const queue = (flags & HAS_QUEUE) === 0 ? '' : this.#text()
      const refusedBy = (flags & HAS_REFUSAL) === 0 ? '' : this.#text()
      const accepted = (flags & ACCEPTED) !== 0
      const stage = (flags & FINAL) === 0 ? 'DATA' : 'END-OF-MESSAGE'
      const entries = this.#counted(message)
      this.#reader.decision?.(message, { accepted, refusedBy, stage, at, queue, entries })
    } else throw new RangeError('an entry of an unknown kind')
  }

  #definition(number: number): CountingPeriod {
    const start = this.#at
    for (let texts = 2; texts > 0; texts--) {
      const length = this.#short()
      this.#at += length
    }
    const known = this.#defined[number]
    if (known && isSame(known, this.#bytes, start, this.#at)) return known.period
    const end = this.#at
    this.#at = start
    const counter = this.#text()
    const period = this.#reader.periods.named(counter, this.#text())
    this.#defined[number] = { bytes: this.#bytes, start, end, period }
    return period
  }

  /** What a message has counted; passes on the sums. */
  #counted(message: Buffer): Entry[] {
    const entries: Entry[] = []
    const bytes = message.subarray(message.indexOf(LINE_FEED) + 1)
    let account: string | undefined
    for (let left = this.#number(); left > 0; left--) {
      const code = this.#number()
      const period = this.#period(Math.floor(code / CODES))
      const bucket = this.#bucketIn(period)
      const amount = this.#number()
      const sum = (code & HAS_SUM) === 0 ? undefined : this.#number()
      const other = (code & HAS_SUBJECT) === 0 ? undefined : this.#subjectName()
      if (!other) account ??= bytes.toString()
      const subject = other?.toString() ?? account ?? ''
      entries.push({ period, bucket, subject, amount })
      if (sum !== undefined) this.#reader.sum?.(period, bucket, other ?? bytes, sum, this.#now)
    }
    return entries
  }

  #place(): { period: CountingPeriod; bucket: number } {
    const period = this.#period(this.#number())
    return { period, bucket: this.#bucketIn(period) }
  }

  #period(number: number): CountingPeriod {
    const period = this.#periods[number]
    if (!period) throw new RangeError('a period that is not defined')
    return period
  }

  #bucketIn({ bucketMilliseconds }: CountingPeriod): number {
    if (bucketMilliseconds === 0) return 0
    this.#at += 4
    return this.#bytes.readUInt32LE(this.#at - 4)
  }

  #subjectName(): Buffer {
    if (!this.#isKnown()) this.#subject = this.#name()
    if (!this.#subject) throw new RangeError('a subject that is not known')
    return this.#subject
  }

  /** True, and passed, if a text is one that is known. */
  #isKnown(): boolean {
    const isKnown = this.#bytes.readUInt16LE(this.#at) === KNOWN
    if (isKnown) this.#at += 2
    return isKnown
  }

  #number(): number {
    let value = 0
    for (let unit = 1; ; unit *= 128) {
      const byte = this.#byte()
      value += (byte % 128) * unit
      if (byte < 128) return value
    }
  }

  #byte(): number {
    return this.#bytes.readUInt8(this.#at++)
  }

  #short(): number {
    this.#at += 2
    return this.#bytes.readUInt16LE(this.#at - 2)
  }

  #float(): number {
    this.#at += 8
    return this.#bytes.readDoubleLE(this.#at - 8)
  }

  #name(): Buffer {
    const length = this.#short()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  #text(): string {
    const length = this.#short()
    this.#at += length
    return this.#bytes.toString('utf8', this.#at - length, this.#at)
  }
}

function isSame(known: Definition, bytes: Buffer, start: number, end: number): boolean {
  if (known.end - known.start !== end - start) return false
  for (let i = 0; i < end - start; i++) {
    if (known.bytes[known.start + i] !== bytes[start + i]) return false
  }
  return true
}
