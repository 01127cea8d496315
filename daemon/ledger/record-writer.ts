/**
 * Writes records of the journal, whose bytes are described in `journal-record.ts`.
 *
 * Sums wait for what comes next: usually it is the decision about the message that was counted, whose
 * entries have the sums in them then.
 */

import { crc32 } from 'node:zlib'
import { MOST_BYTES_EACH } from '../memory/name.ts'
import { NUMBER_BYTES, putAscii, putNumber } from '../memory/seven-bits.ts'
import type { Change } from './change.ts'
import { accountOf, type Decided, type Entry } from './decided.ts'
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

const MOST_TEXT_BYTES = 0xfffe
/** Periods that have numbers. */
const MOST_PERIODS = 65_535
/** Sums that wait for a decision; then they are written. */
const WAITING_SUMS = 100
/** Characters. */
const SHORT_TEXT = 100
/** A letter and its fields except texts, at most; an entry of a message has fewer bytes. */
const FIELD_BYTES = 8 + 4 * NUMBER_BYTES
const BUCKET_BYTES = 4
const NO_CHANGES: readonly Change[] = []

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
  /** Changes whose sums wait, and when they were made; then no other sums do. */
  #changes: readonly Change[] = NO_CHANGES
  #changedAt = 0
  /** The periods that `#codes` are of, of entries that had all their sums, in this record. */
  readonly #coded: CountingPeriod[] = []

  /** Messages that are judged for the first time in this record. */
  get messages(): number {
    return this.#messages
  }

  get isEmpty(): boolean {
    return this.#end === RECORD_HEAD && this.#waiting === 0 && this.#changes.length === 0
  }

  /** Size of the whole record. */
  get byteLength(): number {
    this.#writeSums()
    return this.#end
  }

  /** What is in a bucket from now on. */
  sum(period: CountingPeriod, bucket: number, subject: string, used: number, now: number): void {
    if (this.#waiting === WAITING_SUMS || this.#changes.length > 0) this.#writeSums()
    const sum = this.#sums[this.#waiting++]
    if (sum) {
      sum.period = period
      sum.bucket = bucket
      sum.subject = subject
      sum.used = used
      sum.now = now
    } else this.#sums.push({ period, bucket, subject, used, now })
  }

  /** What is in the buckets of changes that were made at this moment, from now on; their sums do not change any more. */
  sums(changes: readonly Change[], now: number): void {
    if (this.#waiting > 0 || this.#changes.length > 0) this.#writeSums()
    this.#changes = changes
    this.#changedAt = now
  }

  /** `message`: its key. `isNew`: it was not judged before. */
  decision(message: string, decided: Decided, isNew: boolean): void {
    const { accepted, refusedBy, stage, at, queue, entries } = decided
    const counted = this.#sumsOf(entries, at)
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
    this.#entries(entries, counted, account)
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
    this.#changes = NO_CHANGES
    this.#coded.length = 0
    this.#messages = 0
    this.#countedAt = 0
    this.#hasGoneBack = false
  }

  /**
   * Before the entries of a message: defines their periods, and makes their codes. The changes that have
   * made all of them, if such ones wait; sums that wait for something else are written.
   */
  #sumsOf(entries: readonly Entry[], at: number): readonly Change[] {
    const changes = this.#changes
    const counted: readonly object[] = changes
    if (changes.length > 0 && counted === entries) {
      this.#changes = NO_CHANGES
      if (!this.#areCoded(entries)) this.#code(entries)
      this.#noteTime(this.#changedAt)
      return changes
    }
    if (changes.length > 0) this.#writeSums()
    this.#coded.length = 0
    if (!this.#prepare(entries)) {
      this.#writeSums()
      this.#prepare(entries)
    } else if (this.#waiting > 0) this.#noteTime(this.#sums[0]?.now ?? at)
    return NO_CHANGES
  }

  /** Are the codes that were made last those of these entries? One message after another has the same limits. */
  #areCoded(entries: readonly Entry[]): boolean {
    const coded = this.#coded
    if (coded.length !== entries.length) return false
    for (let i = 0; i < coded.length; i++) if (entries[i]?.period !== coded[i]) return false
    return true
  }

  /** Defines the periods of these entries, and makes their codes, each with its sum. */
  #code(entries: readonly Entry[]): void {
    this.#makeNumbers(entries.length)
    this.#coded.length = 0
    for (const [i, { period }] of entries.entries()) {
      this.#codes[i] = this.#numberOf(period) * CODES + HAS_SUM
      this.#coded.push(period)
    }
  }

  /**
   * Defines the periods of these entries, and makes their codes. False if the sums that wait are not
   * theirs, in their order and of one moment.
   */
  #prepare(entries: readonly Entry[]): boolean {
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

  /**
   * With their sums: those of the changes that have made them, or the ones that wait. `account`: the
   * message's; undefined if it is not in the record.
   */
  #entries(
    entries: readonly Entry[],
    counted: readonly Change[],
    account: string | undefined,
  ): void {
    this.#makeRoom(NUMBER_BYTES + entries.length * FIELD_BYTES)
    let end = putNumber(this.#bytes, this.#end, entries.length)
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
      const bytes = this.#bytes
      const code = this.#codes[i] ?? 0
      end = putNumber(bytes, end, code + (isAccount ? 0 : HAS_SUBJECT))
      if (period.bucketMilliseconds > 0) {
        this.#view.setUint32(end, bucket, true)
        end += BUCKET_BYTES
      }
      end = putNumber(bytes, end, amount)
      if ((code & HAS_SUM) !== 0) {
        const sum = counted[i]?.inBucket ?? this.#sums[next++]?.used ?? 0
        end = putNumber(bytes, end, sum)
      }
      if (isAccount) continue
      this.#end = end
      this.#subjectText(subject)
      this.#makeRoom((entries.length - i) * FIELD_BYTES)
      end = this.#end
    }
    this.#end = end
    this.#waiting = 0
  }

  /** Those that no decision came for. */
  #writeSums(): void {
    const changes = this.#changes
    this.#changes = NO_CHANGES
    for (const { period, bucket, subject, inBucket } of changes) {
      this.#sum(period, bucket, subject, inBucket, this.#changedAt)
    }
    const count = this.#waiting
    this.#waiting = 0
    for (let i = 0; i < count; i++) {
      const sum = this.#sums[i]
      if (sum) this.#sum(sum.period, sum.bucket, sum.subject, sum.used, sum.now)
    }
  }

  #sum(period: CountingPeriod, bucket: number, subject: string, used: number, now: number): void {
    this.#makeNumbers(1)
    const number = this.#numberOf(period)
    this.#noteTime(now)
    this.#letter(SUM)
    this.#end = putNumber(this.#bytes, this.#end, number)
    if (period.bucketMilliseconds > 0) {
      this.#view.setUint32(this.#end, bucket, true)
      this.#end += BUCKET_BYTES
    }
    this.#end = putNumber(this.#bytes, this.#end, used)
    this.#subjectText(subject)
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
    this.#coded.length = 0
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
