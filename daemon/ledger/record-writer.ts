/**
 * Writes records of the journal, whose bytes are described in `journal-record.ts`.
 *
 * A sum waits for what comes next: usually it is the decision about the message that was counted, whose
 * entry has the sum in it then.
 */

import { crc32 } from 'node:zlib'
import { MOST_BYTES_EACH } from '../memory/name.ts'
import { accountOf, type Decided } from './decided.ts'
import {
  ACCEPTED,
  CODES,
  FINAL,
  FIRST,
  HAS_QUEUE,
  HAS_REFUSAL,
  HAS_SUBJECT,
  HAS_SUM,
  KNOWN,
  MESSAGE,
  PERIOD,
  RECORD_HEAD,
  SUM,
  TIME,
  UNCHECKED,
} from './journal-record.ts'
import type { CountingPeriod } from './period.ts'
import { PeriodNumbers } from './period-numbers.ts'
import { NUMBER_BYTES, putAscii, putNumber } from './seven-bits.ts'

const MOST_TEXT_BYTES = 0xfffe
/** Periods that have numbers. */
const MOST_PERIODS = 65_535
/** Sums that wait for a decision; then they are written. */
const WAITING_SUMS = 100
/** Characters. */
const SHORT_TEXT = 100
/** A letter and its fields except texts, at most; an entry of a message has fewer bytes. */
const FIELD_BYTES = 8 + 4 * NUMBER_BYTES

/** What is in a bucket. */
interface WaitingSum {
  period: CountingPeriod
  bucket: number
  subject: string
  used: number
  now: number
}

export class RecordWriter {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)
  #view = new DataView(this.#bytes.buffer)
  #end = RECORD_HEAD
  readonly #periods = new PeriodNumbers()
  /** The record that each period was defined in last. */
  readonly #definedIn: number[] = []
  /** The number of this record. */
  #record = 1
  /** The subject that was written last. */
  #subject: string | undefined
  #messages = 0
  /** The record's time: the latest moment at which something was counted before the clock went back. */
  #at = 0
  /** When something was counted last; 0: not in this record. */
  #countedAt = 0
  #hasGoneBack = false
  /** Objects that are used again and again. */
  readonly #sums: WaitingSum[] = []
  /** Codes of the entries of a message. */
  readonly #codes: number[] = []
  /** How many of the sums wait. */
  #waiting = 0

  /** Messages that are judged for the first time in this record. */
  get messages(): number {
    return this.#messages
  }

  get isEmpty(): boolean {
    return this.#end === RECORD_HEAD && this.#waiting === 0
  }

  /** Size of the whole record. */
  get byteLength(): number {
    this.#writeSums()
    return this.#end
  }

  /** What is in a bucket from now on. */
  sum(period: CountingPeriod, bucket: number, subject: string, used: number, now: number): void {
    if (this.#waiting === WAITING_SUMS) this.#writeSums()
    const sum = this.#sums[this.#waiting++]
    if (sum) {
      sum.period = period
      sum.bucket = bucket
      sum.subject = subject
      sum.used = used
      sum.now = now
    } else this.#sums.push({ period, bucket, subject, used, now })
  }

  /** `message`: its key. `isNew`: it was not judged before. */
  decision(message: string, decided: Decided, isNew: boolean): void {
    const { accepted, refusedBy, stage, at, queue, entries } = decided
    if (!this.#prepare(entries)) {
      this.#writeSums()
      this.#prepare(entries)
    } else if (this.#waiting > 0) this.#noteTime(this.#sums[0]?.now ?? at)
    this.#letter(MESSAGE)
    this.#bytes[this.#end++] =
      (accepted ? ACCEPTED : 0) |
      (stage === 'END-OF-MESSAGE' ? FINAL : 0) |
      (queue === '' ? 0 : HAS_QUEUE) |
      (refusedBy === '' ? 0 : HAS_REFUSAL)
    this.#float(at)
    const account = this.#text(message) < MOST_TEXT_BYTES ? accountOf(message) : undefined
    if (queue !== '') this.#text(queue)
    if (refusedBy !== '') this.#text(refusedBy)
    this.#entries(entries, account)
    if (isNew) this.#messages++
    if (this.#countedAt === 0) this.#at = at
  }

  /** The record with its head. Valid until anything is added. */
  sealed(seed: number): Uint8Array {
    this.#writeSums()
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
    this.#record++
    this.#subject = undefined
    this.#waiting = 0
    this.#messages = 0
    this.#countedAt = 0
    this.#hasGoneBack = false
  }

  /**
   * Defines the periods of these entries, and makes their codes. False if the sums that wait are not
   * theirs, in their order and of one moment.
   */
  #prepare(entries: Decided['entries']): boolean {
    this.#makeNumbers(entries.length)
    const waiting = this.#waiting
    let found = 0
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]
      if (!entry) continue
      const sum = found < waiting ? this.#sums[found] : undefined
      const hasSum = sum !== undefined && isSumOf(sum, entry) && sum.now === this.#sums[0]?.now
      if (hasSum) found++
      this.#codes[i] = this.#numberOf(entry.period) * CODES + (hasSum ? HAS_SUM : 0)
    }
    return found === waiting
  }

  /** With the sums that wait. `account`: the message's; undefined if it is not in the record. */
  #entries(entries: Decided['entries'], account: string | undefined): void {
    this.#makeRoom(NUMBER_BYTES + entries.length * FIELD_BYTES)
    this.#end = putNumber(this.#bytes, this.#end, entries.length)
    /** The subject that was compared with the account last: comparing the very same text takes no time. */
    let compared: string | undefined
    let isAccount = false
    let next = 0
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]
      if (!entry) continue
      const { period, bucket, subject, amount } = entry
      if (subject !== compared) {
        compared = subject
        isAccount = subject === account
      }
      const code = this.#codes[i] ?? 0
      this.#place(code + (isAccount ? 0 : HAS_SUBJECT), period, bucket)
      this.#end = putNumber(this.#bytes, this.#end, amount)
      if ((code & HAS_SUM) !== 0) {
        this.#end = putNumber(this.#bytes, this.#end, this.#sums[next++]?.used ?? 0)
      }
      if (isAccount) continue
      this.#subjectText(subject)
      this.#makeRoom((entries.length - i) * FIELD_BYTES)
    }
    this.#waiting = 0
  }

  /** Those that no decision came for. */
  #writeSums(): void {
    const count = this.#waiting
    this.#waiting = 0
    for (let i = 0; i < count; i++) {
      const sum = this.#sums[i]
      if (!sum) continue
      const { period, bucket, subject, used, now } = sum
      this.#makeNumbers(1)
      const number = this.#numberOf(period)
      this.#noteTime(now)
      this.#letter(SUM)
      this.#place(number, period, bucket)
      this.#end = putNumber(this.#bytes, this.#end, used)
      this.#subjectText(subject)
    }
  }

  #subjectText(subject: string): void {
    if (subject === this.#subject) this.#short(KNOWN)
    else this.#text(subject)
    this.#subject = subject
  }

  /** Something was counted at this moment. */
  #noteTime(now: number): void {
    if (now < this.#countedAt) {
      this.#letter(TIME)
      this.#float(now)
      this.#hasGoneBack = true
    }
    this.#countedAt = now
    if (!this.#hasGoneBack) this.#at = now
  }

  /** Before an entry with this many periods: numbers are given again if there are not enough. */
  #makeNumbers(count: number): void {
    if (this.#periods.count + count <= MOST_PERIODS) return
    this.#periods.clear()
    this.#definedIn.length = 0
  }

  /** What entries call a period; it is defined first if it is new in this record. */
  #numberOf(period: CountingPeriod): number {
    const number = this.#periods.of(period)
    if (this.#definedIn[number] === this.#record) return number
    this.#definedIn[number] = this.#record
    this.#letter(PERIOD)
    this.#end = putNumber(this.#bytes, this.#end, number)
    this.#text(period.counter)
    this.#text(period.name)
    return number
  }

  /** Begins an entry, and makes room for its fields except texts. */
  #letter(letter: number): void {
    this.#makeRoom(FIELD_BYTES)
    if (this.#end === RECORD_HEAD) this.#bytes[this.#end++] = FIRST
    this.#bytes[this.#end++] = letter
  }

  #place(number: number, { bucketMilliseconds }: CountingPeriod, bucket: number): void {
    this.#end = putNumber(this.#bytes, this.#end, number)
    if (bucketMilliseconds === 0) return
    this.#view.setUint32(this.#end, bucket, true)
    this.#end += 4
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
    const start = this.#end + 2
    const end = length <= SHORT_TEXT ? putAscii(this.#bytes, start, text) : -1
    const bytes = end >= 0 ? length : Math.min(this.#bytes.write(text, start), MOST_TEXT_BYTES)
    this.#short(bytes)
    this.#end += bytes
    return bytes
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

function isSumOf(
  { period, bucket, subject }: WaitingSum,
  entry: Pick<WaitingSum, 'period' | 'bucket' | 'subject'>,
): boolean {
  return period === entry.period && bucket === entry.bucket && subject === entry.subject
}
