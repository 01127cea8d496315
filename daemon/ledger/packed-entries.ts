/**
 * The queue ids of messages and what they have counted, as bytes: a number for each period, and for a
 * subject that is the message's account nothing at all. An ordinary message takes 15 bytes.
 *
 *   length and UTF-8 bytes of the queue id, count of entries, then for each: 2 × period, + 1 if the
 *   subject follows; bucket, if the period is a rolling one; amount; length and UTF-8 bytes of the subject
 *
 * Each number is seven bits a byte, lowest first; the last byte is below 128.
 */

import { MOST_BYTES_EACH } from '../memory/name.ts'
import { NUMBER_BYTES, putAscii, putNumber } from '../memory/seven-bits.ts'
import type { Entry } from './decided.ts'
import type { Periods } from './period.ts'
import { PeriodNumbers } from './period-numbers.ts'

/** Bytes of an entry without its subject, at most. */
const NUMBERS_BYTES = 4 * NUMBER_BYTES

/** Packed entries of many messages, one after the other. */
export class PackedEntries {
  readonly #usualBytes: number
  #bytes: Buffer
  #end = 0
  readonly #numbers = new PeriodNumbers()

  /** `usualBytes`: the initial capacity. */
  constructor(usualBytes: number) {
    this.#usualBytes = usualBytes
    this.#bytes = Buffer.allocUnsafeSlow(usualBytes)
  }

  /** True if it has taken more memory than its initial capacity. */
  get hasGrown(): boolean {
    return this.#bytes.length > this.#usualBytes
  }

  /** Removes all entries, and keeps the capacity. */
  clear(): void {
    this.#end = 0
    this.#numbers.clear()
  }

  /** The same entries in the periods of another store. */
  moveTo(periods: Periods): void {
    this.#numbers.moveTo(periods)
  }

  /** Where the next entries would begin. */
  get end(): number {
    return this.#end
  }

  /** Adds the queue id and the entries of a message of this account; `end` is behind them. */
  add(queue: string, entries: readonly Entry[], account: string): void {
    this.#text(queue)
    this.#makeRoom((1 + entries.length) * NUMBERS_BYTES)
    this.#end = putNumber(this.#bytes, this.#end, entries.length)
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]
      if (!entry) continue
      const { period, bucket, subject, amount } = entry
      const hasSubject = subject !== account
      const bytes = this.#bytes
      let at = putNumber(bytes, this.#end, this.#numbers.of(period) * 2 + (hasSubject ? 1 : 0))
      if (period.bucketMilliseconds > 0) at = putNumber(bytes, at, bucket)
      this.#end = putNumber(bytes, at, amount)
      if (!hasSubject) continue
      this.#text(subject)
      this.#makeRoom((entries.length - i) * NUMBERS_BYTES)
    }
  }

  /** Moves what was added at `from` to an earlier place, where as many bytes are free. */
  moveBack(from: number, to: number): void {
    this.#bytes.copyWithin(to, from, this.#end)
    this.#end = from
  }

  /** The queue id that was added at `start`. */
  queueAt(start: number): string {
    return new Reader(this.#bytes, start).text()
  }

  /** The entries of a message of this account, which were added at `start`. */
  entriesAt(start: number, account: string): Entry[] {
    const reader = new Reader(this.#bytes, start)
    reader.skipText()
    return entriesOf(reader, account, this.#numbers)
  }

  #text(text: string): void {
    const { length } = text
    this.#makeRoom(NUMBERS_BYTES + length * MOST_BYTES_EACH)
    const end = putAscii(this.#bytes, putNumber(this.#bytes, this.#end, length), text)
    if (end >= 0) {
      this.#end = end
      return
    }
    const start = putNumber(this.#bytes, this.#end, Buffer.byteLength(text))
    this.#end = start + this.#bytes.write(text, start)
  }

  #makeRoom(bytes: number): void {
    const needed = this.#end + bytes
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.ceil(needed * 1.5))
    this.#bytes.copy(larger, 0, 0, this.#end)
    this.#bytes = larger
  }
}

/** Reads what was added. */
class Reader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, start: number) {
    this.#bytes = bytes
    this.#at = start
  }

  number(): number {
    for (let value = 0, unit = 1; ; unit *= 128) {
      const byte = this.#bytes[this.#at++] ?? 0
      value += (byte % 128) * unit
      if (byte < 128) return value
    }
  }

  text(): string {
    const start = this.skipText()
    return this.#bytes.toString('utf8', start, this.#at)
  }

  /** Where its bytes began. */
  skipText(): number {
    const length = this.number()
    const start = this.#at
    this.#at += length
    return start
  }
}

function entriesOf(reader: Reader, account: string, numbers: PeriodNumbers): Entry[] {
  const entries: Entry[] = []
  for (let left = reader.number(); left > 0; left--) {
    const code = reader.number()
    const period = numbers.at(Math.floor(code / 2))
    const bucket = period.bucketMilliseconds > 0 ? reader.number() : 0
    const amount = reader.number()
    const subject = code % 2 === 1 ? reader.text() : account
    entries.push({ period, bucket, subject, amount })
  }
  return entries
}
