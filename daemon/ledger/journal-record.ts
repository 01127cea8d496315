/**
 * What one turn of the event loop has decided, as the bytes of one record of the journal.
 *
 * A record: the number of bytes after the checksum, CRC-32 of them, time (milliseconds since 1970,
 * 64-bit float), number of messages judged for the first time, the letter L; then the entries, each a
 * letter and its fields, little-endian. A text is its length (16 bits) and its bytes. Numbers and sums are
 * seven bits a byte, lowest first; the last byte is below 128. A period's number is what the entries that
 * follow call it; a bucket (32 bits) is left out in a calendar period.
 *
 *   P number, counter, name             a period, as in CountingPeriod
 *   T time                              of the sums that follow, where the clock has gone back; those
 *                                       before are of the record's time
 *   S period, [bucket], sum, subject    absolute, so that reading it twice does no harm; 0xFFFF: the
 *                                       subject of the sum before
 *   D flags, time, message, [queue key], [counter that refused it], number (8 bits) of
 *       period, [bucket], amount, subject
 *                                       how a message was judged; its account, as a subject, is 0xFFFF
 */

import { crc32 } from 'node:zlib'
import { MOST_BYTES_EACH, type Name } from '../memory/name.ts'
import { accountOf, type Decided, type Entry } from './decided.ts'
import { FIRST_3, readEntries3 } from './journal-record-3.ts'
import type { CountingPeriod } from './period.ts'
import type { RecordReader } from './record-reader.ts'

/** Length, checksum, time, messages. */
const RECORD_HEAD = 20
/** Length and checksum, which the checksum does not cover. */
const UNCHECKED = 8
/** What a record begins with. */
const FIRST = 0x4c
const [PERIOD, TIME, SUM, DECISION] = [0x50, 0x54, 0x53, 0x44]
const [ACCEPTED, FINAL, HAS_QUEUE, HAS_REFUSAL] = [1, 2, 4, 8]
const MOST_TEXT_BYTES = 0xfffe
/** A subject's length that says: it is the message's account, or that of the sum before. */
const KNOWN = 0xffff
/** Periods of one record that have numbers. */
const MOST_PERIODS = 65_535
/** Entries of one message; more are left out. */
const MOST_ENTRIES = 255
/** Characters. */
const SHORT_TEXT = 100
/** A letter and its fields except texts, at most; an entry of a message has fewer bytes. */
const FIELD_BYTES = 24
/** Milliseconds since 1970: the year 5138. */
const LATEST = 1e14

export class RecordWriter {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)
  #view = new DataView(this.#bytes.buffer)
  #end = RECORD_HEAD
  /** In the order of their numbers. */
  readonly #periods: CountingPeriod[] = []
  /** Where the subject of the last sum is, how long it is, and its hash; if there is none, length -1. */
  #subject = { start: 0, length: -1, hash: 0 }
  #messages = 0
  /** The record's time: the latest moment at which something was counted before the clock went back. */
  #at = 0
  /** When something was counted last; 0: not in this record. */
  #countedAt = 0
  #hasGoneBack = false

  /** Messages that are judged for the first time in this record. */
  get messages(): number {
    return this.#messages
  }

  get isEmpty(): boolean {
    return this.#end === RECORD_HEAD
  }

  /** Size of the whole record. */
  get byteLength(): number {
    return this.#end
  }

  /** What is in a bucket from now on. */
  sum(period: CountingPeriod, bucket: number, subject: Name, used: number, now: number): void {
    const number = this.#numberOf(period)
    if (now < this.#countedAt) {
      this.#letter(TIME)
      this.#float(now)
      this.#hasGoneBack = true
    }
    this.#letter(SUM)
    this.#place(number, period, bucket)
    this.#number(used)
    this.#name(subject)
    this.#countedAt = now
    if (!this.#hasGoneBack) this.#at = now
  }

  /** `message`: its key. `isNew`: it was not judged before. */
  decision(message: string, decided: Decided, isNew: boolean): void {
    const { accepted, refusedBy, stage, at, queue, entries } = decided
    for (const { period } of entries) this.#numberOf(period)
    this.#letter(DECISION)
    this.#bytes[this.#end++] =
      (accepted ? ACCEPTED : 0) |
      (stage === 'END-OF-MESSAGE' ? FINAL : 0) |
      (queue === '' ? 0 : HAS_QUEUE) |
      (refusedBy === '' ? 0 : HAS_REFUSAL)
    this.#float(at)
    const account = this.#text(message) < MOST_TEXT_BYTES ? accountOf(message) : undefined
    if (queue !== '') this.#text(queue)
    if (refusedBy !== '') this.#text(refusedBy)
    const count = Math.min(entries.length, MOST_ENTRIES)
    this.#makeRoom(1)
    this.#bytes[this.#end++] = count
    for (let i = 0; i < count; i++) this.#entry(entries[i], account)
    if (isNew) this.#messages++
    if (this.#countedAt === 0) this.#at = at
  }

  /** The record with its head. Valid until anything is added. */
  sealed(seed: number): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#end)
    this.#view.setUint32(0, this.#end - UNCHECKED, true)
    this.#view.setFloat64(8, this.#at, true)
    this.#view.setUint32(16, this.#messages, true)
    this.#view.setUint32(4, crc32(bytes.subarray(UNCHECKED), seed), true)
    return bytes
  }

  /** Begins the next one. */
  clear(): void {
    this.#end = RECORD_HEAD
    this.#periods.length = 0
    this.#subject.length = -1
    this.#messages = 0
    this.#countedAt = 0
    this.#hasGoneBack = false
  }

  /** What entries call a period; it is defined first if it is new in this record. */
  #numberOf(period: CountingPeriod): number {
    const known = this.#periods.lastIndexOf(period)
    if (known >= 0) return known
    if (this.#periods.length === MOST_PERIODS) this.#periods.length = 0
    const number = this.#periods.push(period) - 1
    this.#letter(PERIOD)
    this.#number(number)
    this.#text(period.counter)
    this.#text(period.name)
    return number
  }

  /** `account`: the message's; undefined if it is not in the record. */
  #entry(entry: Entry | undefined, account: string | undefined): void {
    if (!entry) return
    const { period, bucket, amount, subject } = entry
    this.#makeRoom(FIELD_BYTES)
    this.#place(this.#periods.lastIndexOf(period), period, bucket)
    this.#number(amount)
    if (subject === account) this.#short(KNOWN)
    else this.#text(subject)
  }

  /** Begins an entry, and makes room for its fields except texts. */
  #letter(letter: number): void {
    this.#makeRoom(FIELD_BYTES)
    if (this.isEmpty) this.#bytes[this.#end++] = FIRST
    this.#bytes[this.#end++] = letter
  }

  #place(number: number, { bucketMilliseconds }: CountingPeriod, bucket: number): void {
    this.#number(number)
    if (bucketMilliseconds === 0) return
    this.#view.setUint32(this.#end, bucket, true)
    this.#end += 4
  }

  /** A whole number, not negative. */
  #number(value: number): void {
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes[this.#end++] = (rest % 128) + 128
    this.#bytes[this.#end++] = rest
  }

  #short(value: number): void {
    this.#view.setUint16(this.#end, value, true)
    this.#end += 2
  }

  #float(value: number): void {
    this.#view.setFloat64(this.#end, value, true)
    this.#end += 8
  }

  /** The number of its bytes that were written. */
  #text(text: string): number {
    const { length } = text
    this.#makeRoom(2 + length * MOST_BYTES_EACH)
    // Nearly all are short and in ASCII, which is written faster than a function outside of V8 is called.
    let at = length > SHORT_TEXT ? length : 0
    for (const start = this.#end + 2; at < length; at++) {
      const unit = text.charCodeAt(at)
      if (unit > 0x7f) break
      this.#bytes[start + at] = unit
    }
    const isWritten = at === length && length <= SHORT_TEXT
    return this.#ended(isWritten ? length : this.#bytes.write(text, this.#end + 2))
  }

  #name(name: Name): void {
    const { bytes, length, hash } = name
    this.#makeRoom(2 + length)
    if (this.#isSubject(name)) {
      this.#short(KNOWN)
      return
    }
    const start = this.#end + 2
    for (let at = start, i = 0; i < length; i++, at++) this.#bytes[at] = bytes[i] ?? 0
    const last = this.#subject
    last.start = start
    last.hash = hash
    last.length = this.#ended(length)
  }

  /** Is it the subject of the sum before? */
  #isSubject({ bytes, length, hash }: Name): boolean {
    const last = this.#subject
    if (length !== last.length || hash !== last.hash) return false
    for (let i = 0; i < length; i++) if (bytes[i] !== this.#bytes[last.start + i]) return false
    return true
  }

  /** Puts the length before a text whose bytes are written. */
  #ended(bytes: number): number {
    const length = Math.min(bytes, MOST_TEXT_BYTES)
    this.#short(length)
    this.#end += length
    return length
  }

  #makeRoom(bytes: number): void {
    const needed = this.#end + bytes
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(needed * 2)
    this.#bytes.copy(larger)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

/** Where the record that begins at `start` should end; undefined if there cannot be one. */
export function endOfRecord(bytes: Buffer, start: number): number | undefined {
  if (start + RECORD_HEAD > bytes.length) return undefined
  const length = bytes.readUInt32LE(start)
  const end = start + UNCHECKED + length
  return length < RECORD_HEAD - UNCHECKED || end > bytes.length ? undefined : end
}

export function isWholeRecord(bytes: Buffer, start: number, end: number, seed: number): boolean {
  return crc32(bytes.subarray(start + UNCHECKED, end), seed) === bytes.readUInt32LE(start + 4)
}

/** Where the next whole record begins, at or after `from`, whatever precedes it. */
export function nextRecord(bytes: Buffer, from: number, seed: number): number | undefined {
  const next = [FIRST, FIRST_3].map(letter => nextThatBegins(letter, bytes, from, seed))
  const found = next.filter(at => at !== undefined)
  return found.length > 0 ? Math.min(...found) : undefined
}

function nextThatBegins(
  letter: number,
  bytes: Buffer,
  from: number,
  seed: number,
): number | undefined {
  const entry = (behind: number): number => bytes.indexOf(letter, behind)
  // The head rules out nearly every other place without computing a checksum.
  for (let first = entry(from + RECORD_HEAD); first >= 0; first = entry(first + 1)) {
    const at = first - RECORD_HEAD
    const head = headOfRecord(bytes, at)
    if (
      !(head.at >= 0 && head.at < LATEST && Number.isInteger(head.at)) ||
      head.messages > bytes.length
    )
      continue
    const end = endOfRecord(bytes, at)
    if (end !== undefined && isWholeRecord(bytes, at, end, seed)) return at
  }
  return undefined
}

export function headOfRecord(bytes: Buffer, at: number): { at: number; messages: number } {
  return { at: bytes.readDoubleLE(at + 8), messages: bytes.readUInt32LE(at + 16) }
}

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
  /** That of the last sum. */
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
      const subject = this.#subjectOfSum()
      this.#reader.sum?.(period, bucket, subject, used, this.#now)
    } else if (letter === DECISION) {
      const flags = this.#byte()
      const at = this.#float()
      const message = this.#name()
      const decided = this.#decided(flags, at, message)
      this.#reader.decision?.(message, decided)
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

  #decided(flags: number, at: number, message: Buffer): Decided {
    const queue = (flags & HAS_QUEUE) === 0 ? '' : this.#text()
    const refusedBy = (flags & HAS_REFUSAL) === 0 ? '' : this.#text()
    const entries: Entry[] = []
    let account: string | undefined
    for (let left = this.#byte(); left > 0; left--) {
      const { period, bucket } = this.#place()
      const amount = this.#number()
      const isAccount = this.#isKnown()
      if (isAccount) account ??= accountIn(message)
      const subject = (isAccount ? account : undefined) ?? this.#text()
      entries.push({ period, bucket, subject, amount })
    }
    const stage = (flags & FINAL) === 0 ? 'DATA' : 'END-OF-MESSAGE'
    return { accepted: (flags & ACCEPTED) !== 0, refusedBy, stage, at, queue, entries }
  }

  #place(): { period: CountingPeriod; bucket: number } {
    const period = this.#periods[this.#number()]
    if (!period) throw new RangeError('a period that is not defined')
    if (period.bucketMilliseconds === 0) return { period, bucket: 0 }
    this.#at += 4
    return { period, bucket: this.#bytes.readUInt32LE(this.#at - 4) }
  }

  #subjectOfSum(): Buffer {
    if (!this.#isKnown()) this.#subject = this.#name()
    if (!this.#subject) throw new RangeError('a sum without a subject')
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

function accountIn(message: Buffer): string {
  return message.toString('utf8', message.indexOf(0x0a) + 1)
}
