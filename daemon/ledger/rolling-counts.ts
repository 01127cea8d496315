/**
 * The counts of a rolling window: of each subject a series of buckets, of which those count that are in
 * the window.
 *
 * When the clock goes back, buckets that are in the future count as well. Those more than a window ahead
 * become one, a window ahead: so a clock that was wrong by a year holds nobody back for a year, and a
 * series never has more than 121 buckets.
 *
 * In the file a page has the numbers of subjects and buckets (32 bits each), what is in the buckets
 * (64-bit), the buckets, and where the series of each subject ends among them (32 bits each).
 */

import { Cells } from '../memory/cells.ts'
import type { Name } from '../memory/name.ts'
import { grown } from '../memory/name-table.ts'
import { aligned, type Counts, type TellBucket } from './counts.ts'
import type { PageStates } from './page-states.ts'
import { BUCKETS } from './period.ts'
import { Series } from './series.ts'
import type { Subjects } from './subjects.ts'

const HEAD_BYTES = 8
const BUCKET_BYTES = 12
const END_BYTES = 4
const CELL_BYTES = 4

/** Subjects whose series is over are kept up to this number. */
const FEW_SUBJECTS = 16

/** What is being packed, one page at a time. */
let scratch = Buffer.allocUnsafeSlow(0)
let amounts = new Float64Array(64)
let buckets = new Uint32Array(64)
let ends = new Uint32Array(64)

export class RollingCounts implements Counts {
  readonly #subjects: Subjects
  readonly #pages: PageStates
  /** The series of each subject; 0: nothing is known of it. */
  readonly #places = new Cells()
  readonly #series = new Series()
  /** The last bucket that was the current one. */
  #current = 0

  constructor(subjects: Subjects, pages: PageStates) {
    this.#subjects = subjects
    this.#pages = pages
  }

  get byteLength(): number {
    return this.#series.byteLength + CELL_BYTES * this.#pages.count
  }

  used(account: Name, current: number): number {
    const series = this.#find(account)
    return series === 0 ? 0 : this.#series.sumFrom(series, current - BUCKETS)
  }

  usedIn(account: Name, bucket: number): number {
    const series = this.#find(account)
    return series === 0 ? 0 : this.#series.amount(series, bucket)
  }

  fitsFrom(account: Name, count: number, limit: number, current: number): number | undefined {
    if (count > limit) return undefined
    const series = this.#find(account)
    let left = this.used(account, current)
    let from = current
    if (series === 0 || left + count <= limit) return from
    this.#series.each(series, (bucket, amount) => {
      if (bucket < current - BUCKETS) return true
      left -= amount
      from = Math.min(bucket, current + BUCKETS) + BUCKETS + 1
      return left + count > limit
    })
    return from
  }

  addWithin(
    account: Name,
    bucket: number,
    count: number,
    limit: number,
    current: number,
    tell: TellBucket,
  ): number | undefined {
    this.#current = current
    const found = this.#find(account)
    const used = found === 0 ? 0 : this.#moveTo(current, found, account, tell)
    const place = Math.max(0, Math.min(bucket, current + BUCKETS))
    // It has left the window: nothing changes.
    if (place < current - BUCKETS) return used + count > limit ? undefined : used
    const before = found === 0 ? 0 : this.#series.amount(found, place)
    const change = Math.max(count, -before)
    if (used + change > limit) return undefined
    if (change === 0) return used
    // Only what the journal tells of changes a series.
    if (found !== 0) this.#series.dropBefore(found, current - BUCKETS)
    this.#put(account, place, before + change)
    tell(place, before + change)
    return used + change
  }

  set(account: Name, bucket: number, used: number, current?: number): void {
    if (current !== undefined) {
      const then = Math.max(current, bucket - BUCKETS)
      this.#current = then
      const found = this.#find(account)
      if (found !== 0) {
        this.#series.dropBefore(found, then - BUCKETS)
        // The sums that are told of have it in them.
        this.#series.dropAfter(found, then + BUCKETS)
      }
      if (bucket < then - BUCKETS) return
    }
    this.#put(account, bucket, used)
  }

  has(subject: number): boolean {
    return this.#places.get(subject) > 0
  }

  *sumsOf(subject: number): Iterable<readonly [bucket: number, used: number]> {
    const buckets: (readonly [number, number])[] = []
    const series = this.#places.get(subject)
    this.#series.each(series, (bucket, used) => buckets.push([bucket, used]) > 0)
    yield* buckets
  }

  /** Subjects of which nothing is left, if they are many. */
  forgotten(subjects: readonly number[]): readonly number[] {
    const over = subjects.filter(subject => {
      const series = this.#places.get(subject)
      this.#series.dropBefore(series, this.#current - BUCKETS)
      return this.#series.isEmpty(series)
    })
    const { length } = subjects
    return length <= FEW_SUBJECTS || over.length < length / 2 ? [] : over
  }

  drop(subject: number): void {
    this.#series.remove(this.#places.get(subject))
    this.#places.set(subject, 0)
  }

  move(from: number, to: number): void {
    this.#places.set(to, this.#places.get(from))
    this.#places.set(from, 0)
  }

  /** Buckets with nothing in them are left out. */
  packed(subjects: readonly number[]): Buffer {
    const count = this.#gather(subjects)
    const length = HEAD_BYTES + BUCKET_BYTES * count + END_BYTES * subjects.length
    if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2)
    const { buffer } = scratch
    new Uint32Array(buffer, 0, 2).set([subjects.length, count])
    const from = HEAD_BYTES + BUCKET_BYTES * count
    new Float64Array(buffer, HEAD_BYTES, count).set(amounts.subarray(0, count))
    new Uint32Array(buffer, HEAD_BYTES + 8 * count, count).set(buckets.subarray(0, count))
    new Uint32Array(buffer, from, subjects.length).set(ends.subarray(0, subjects.length))
    return scratch.subarray(0, length)
  }

  unpack(subjects: readonly number[], sums: Buffer): void {
    const { buffer, byteOffset } = aligned(sums, Float64Array.BYTES_PER_ELEMENT)
    const [, count = 0] = new Uint32Array(buffer, byteOffset, 2)
    const from = byteOffset + HEAD_BYTES
    const used = new Float64Array(buffer, from, count)
    const of = new Uint32Array(buffer, from + 8 * count, count)
    const last = new Uint32Array(buffer, from + BUCKET_BYTES * count, subjects.length)
    let at = 0
    for (const [i, end] of last.entries()) {
      if (end < at || end > count) throw new RangeError('series are not in order')
      const series = this.#series.add()
      this.#places.set(subjects[i] ?? 0, series)
      for (let before = -1; at < end; at++) {
        const [bucket = 0, amount = 0] = [of[at], used[at]]
        if (bucket <= before) throw new RangeError('buckets are not in order')
        if (!(amount >= 0 && amount < Number.POSITIVE_INFINITY)) {
          throw new RangeError('an impossible sum')
        }
        this.#series.put(series, bucket, amount)
        before = bucket
      }
    }
    if (at !== count) throw new RangeError('series are incomplete')
  }

  clear(): void {
    this.#places.clear()
    this.#series.clear()
  }

  /** The place of its series, or 0. */
  #find(account: Name): number {
    const subject = this.#subjects.find(account)
    return subject < 0 ? 0 : this.#places.get(subject)
  }

  /** What is too far in the future counts as less far. What is used. */
  #moveTo(current: number, found: number, account: Name, tell: TellBucket): number {
    const series = this.#series
    const latest = current + BUCKETS
    if (series.newest(found) > latest) {
      series.dropBefore(found, current - BUCKETS)
      const amount = series.amount(found, latest) + series.dropAfter(found, latest)
      this.#put(account, latest, amount)
      tell(latest, amount)
    }
    return series.sumFrom(found, current - BUCKETS)
  }

  #put(account: Name, bucket: number, used: number): void {
    const subject = this.#subjects.add(account)
    let series = this.#places.get(subject)
    if (series === 0) {
      series = this.#series.add()
      this.#places.set(subject, series)
      this.#pages.added(subject)
    }
    this.#series.put(series, bucket, used)
    this.#pages.changed(subject)
  }

  /** Puts all buckets into `amounts`, `buckets` and `ends`; how many there are. */
  #gather(subjects: readonly number[]): number {
    const { length } = subjects
    if (length > ends.length) ends = new Uint32Array(length * 2)
    let at = 0
    const add = (bucket: number, amount: number): boolean => {
      if (amount <= 0) return true
      if (at === buckets.length) {
        buckets = grown(buckets, at * 2)
        amounts = grown(amounts, at * 2)
      }
      amounts[at] = amount
      buckets[at++] = bucket
      return true
    }
    for (let i = 0; i < length; i++) {
      this.#series.each(this.#places.get(subjects[i] ?? 0), add)
      ends[i] = at
    }
    return at
  }
}

/** How many subjects a packed page has. Throws RangeError. */
export function countOfSeries(packed: Buffer): number {
  const { buffer, byteOffset, length } = aligned(packed, Float64Array.BYTES_PER_ELEMENT)
  if (length < HEAD_BYTES) throw new RangeError('no series')
  const [subjects = 0, buckets = 0] = new Uint32Array(buffer, byteOffset, 2)
  if (length !== HEAD_BYTES + BUCKET_BYTES * buckets + END_BYTES * subjects) {
    throw new RangeError('series are incomplete')
  }
  return subjects
}
