/**
 * What one turn of the event loop has decided, as the bytes of one record of the journal.
 *
 * A record: the number of bytes behind the checksum, CRC-32 of them, time (milliseconds since 1970,
 * 64-bit float), number of messages judged for the first time; then the entries, each a letter and
 * its fields, little-endian. A text is its length (16 bits) and its bytes.
 *
 *   P scope, day              what follows is of this counter and day
 *   S sum, account            absolute, so that reading it twice does no harm
 *   D flags, count, message   how a message of the day was judged, whatever its counter
 */

import { crc32 } from 'node:zlib'
import type { Decided } from '../policy/decided.ts'
import { MOST_BYTES_EACH, type Name } from '../policy/name.ts'

/** Who is told what is in a record. */
export interface RecordReader {
  sum?(scope: string, day: string, account: Uint8Array, used: number): void
  decision?(message: Uint8Array, decided: Decided): void
}

/** Length, checksum, time, messages. */
const RECORD_HEAD = 20
/** Length and checksum, which the checksum leaves out. */
const UNCHECKED = 8
const [PERIOD, SUM, DECISION] = [0x50, 0x53, 0x44]
const [ACCEPTED, FINAL] = [1, 2]
const MOST_TEXT_BYTES = 0xffff
/** Milliseconds since 1970: the year 5138. */
const LATEST = 1e14

export class RecordWriter {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)
  #view = new DataView(this.#bytes.buffer)
  #end = RECORD_HEAD
  #scope = ''
  #day = ''
  /** Messages that are judged for the first time in this record. */
  messages = 0
  /** Time of the last decision. */
  at = 0

  get isEmpty(): boolean {
    return this.#end === RECORD_HEAD
  }

  /** Of the whole record. */
  get byteLength(): number {
    return this.#end
  }

  /** The account's sum from now on. */
  sum(scope: string, day: string, account: Name, used: number): void {
    if (scope !== this.#scope || day !== this.#day) this.#period(scope, day)
    this.#letter(SUM)
    this.#float(used)
    this.#name(account)
  }

  /** `isNew`: it was not judged before. */
  decision(message: Name, { day, accepted, counted, stage, at }: Decided, isNew: boolean): void {
    if (day !== this.#day) this.#period(this.#scope, day)
    this.#letter(DECISION)
    this.#bytes[this.#end++] = (accepted ? ACCEPTED : 0) | (stage === 'END-OF-MESSAGE' ? FINAL : 0)
    this.#float(counted)
    this.#name(message)
    if (isNew) this.messages++
    this.at = at
  }

  /** The record, sealed. It is valid until anything is added. */
  sealed(seed: number): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#end)
    this.#view.setUint32(0, this.#end - UNCHECKED, true)
    this.#view.setFloat64(8, this.at, true)
    this.#view.setUint32(16, this.messages, true)
    this.#view.setUint32(4, crc32(bytes.subarray(UNCHECKED), seed), true)
    return bytes
  }

  /** Begins the next one. */
  clear(): void {
    this.#end = RECORD_HEAD
    this.#scope = ''
    this.#day = ''
    this.messages = 0
  }

  #period(scope: string, day: string): void {
    this.#scope = scope
    this.#day = day
    this.#letter(PERIOD)
    this.#text(scope)
    this.#text(day)
  }

  /** Makes room for the entry's fields as well, all but its texts. */
  #letter(letter: number): void {
    this.#makeRoom(10)
    this.#bytes[this.#end++] = letter
  }

  #float(value: number): void {
    this.#view.setFloat64(this.#end, value, true)
    this.#end += 8
  }

  #text(text: string): void {
    this.#makeRoom(2 + text.length * MOST_BYTES_EACH)
    this.#ended(this.#bytes.write(text, this.#end + 2))
  }

  #name({ bytes, length }: Name): void {
    this.#makeRoom(2 + length)
    for (let at = this.#end + 2, i = 0; i < length; i++, at++) this.#bytes[at] = bytes[i] ?? 0
    this.#ended(length)
  }

  /** Puts the length in front of a text of so many bytes. */
  #ended(bytes: number): void {
    const length = Math.min(bytes, MOST_TEXT_BYTES)
    this.#view.setUint16(this.#end, length, true)
    this.#end += 2 + length
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

/** Where the record that begins at `start` should end; undefined if none can begin there. */
export function endOfRecord(bytes: Buffer, start: number): number | undefined {
  if (start + RECORD_HEAD > bytes.length) return undefined
  const length = bytes.readUInt32LE(start)
  const end = start + UNCHECKED + length
  return length < RECORD_HEAD - UNCHECKED || end > bytes.length ? undefined : end
}

export function isWholeRecord(bytes: Buffer, start: number, end: number, seed: number): boolean {
  return crc32(bytes.subarray(start + UNCHECKED, end), seed) === bytes.readUInt32LE(start + 4)
}

/** Where the next whole record begins, at or behind a place, whatever lies before it. */
export function nextRecord(bytes: Buffer, from: number, seed: number): number | undefined {
  const entry = (behind: number): number => bytes.indexOf(PERIOD, behind)
  // What a record begins with tells nearly every other place apart, without a checksum.
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

/** Tells the reader what is in a whole record. Throws RangeError for one that `RecordWriter` has not made. */
export function readRecord(bytes: Buffer, from: number, end: number, reader: RecordReader): void {
  const { at } = headOfRecord(bytes, from)
  let place = from + RECORD_HEAD
  let [scope, day] = ['', '']
  const name = (): Buffer => {
    const start = place + 2
    place = start + bytes.readUInt16LE(place)
    return bytes.subarray(start, place)
  }
  const float = (): number => {
    place += 8
    return bytes.readDoubleLE(place - 8)
  }
  while (place < end) {
    const letter = bytes[place++]
    if (letter === PERIOD) {
      scope = name().toString()
      day = name().toString()
    } else if (letter === SUM) {
      const used = float()
      const account = name()
      reader.sum?.(scope, day, account, used)
    } else if (letter === DECISION) {
      const flags = bytes[place++] ?? 0
      const counted = float()
      const accepted = (flags & ACCEPTED) !== 0
      const stage = (flags & FINAL) !== 0 ? 'END-OF-MESSAGE' : 'DATA'
      const message = name()
      reader.decision?.(message, { day, accepted, counted, stage, at })
    } else throw new RangeError('an entry that no record has')
  }
}
