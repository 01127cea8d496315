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
import type { Entry } from './decided.ts'
import type { CountingPeriod, Periods } from './period.ts'

/** Bytes of an entry without its subject, at most: four numbers below 2 ** 53. */
const NUMBERS_BYTES = 32

/** The numbers of periods, in the order in which they came. */
export class PeriodNumbers {
  #periods: CountingPeriod[] = []
  readonly #numbers = new Map<CountingPeriod, number>()
  /** The number that was wanted last; usually it is wanted again. */
  #last = 0

  numberOf(period: CountingPeriod): number {
    if (this.#periods[this.#last] === period) return this.#last
    let number = this.#numbers.get(period)
    if (number === undefined) {
      number = this.#periods.push(period) - 1
      this.#numbers.set(period, number)
    }
    this.#last = number
    return number
  }

  /** Throws RangeError for a number that was not given. */
  at(number: number): CountingPeriod {
    const period = this.#periods[number]
    if (!period) throw new RangeError('a period that is not known')
    return period
  }

  clear(): void {
    this.#periods = []
    this.#numbers.clear()
  }

  /** The same periods of another store. */
  moveTo(periods: Periods): void {
    const moved = this.#periods.map(one =>
      periods.named(one.counter, one.name, one.bucketMilliseconds),
    )
    this.clear()
    for (const period of moved) this.numberOf(period)
  }
}

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
    this.#makeRoom(NUMBERS_BYTES)
    this.#number(entries.length)
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]
      if (entry) this.#entry(entry, entry.subject === account)
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

  #entry({ period, bucket, subject, amount }: Entry, isAccount: boolean): void {
    this.#makeRoom(NUMBERS_BYTES)
    this.#number(this.#numbers.numberOf(period) * 2 + (isAccount ? 0 : 1))
    if (period.bucketMilliseconds > 0) this.#number(bucket)
    this.#number(amount)
    if (!isAccount) this.#text(subject)
  }

  #text(text: string): void {
    const { length } = text
    this.#makeRoom(NUMBERS_BYTES + length * MOST_BYTES_EACH)
    const start = this.#end
    this.#number(length)
    // Nearly all are in ASCII, and short: this is faster than a function outside of V8.
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) {
        this.#end = start
        this.#anyText(text)
        return
      }
      this.#bytes[this.#end++] = unit
    }
  }

  #anyText(text: string): void {
    this.#number(Buffer.byteLength(text))
    this.#end += this.#bytes.write(text, this.#end)
  }

  #number(value: number): void {
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#end++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#end++] = rest
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
