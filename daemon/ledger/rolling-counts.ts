/**
 * The counts of a rolling window: of each subject a series of buckets, of which those count that are in
 * the window.
 *
 * When the clock goes back, buckets that are in the future count as well. Those more than a window ahead
 * become one, a window ahead: so a clock that was wrong by a year holds nobody back for a year, and a
 * series never has more than 121 buckets.
 *
 * In the file a page has the number of its subjects and its first bucket, then of each subject's buckets
 * how many after the one before it is (the first one: after the page's, and one more) and what is in it, and a 0: numbers
 * of seven bits a byte (`seven-bits.ts`).
 */

import { Cells } from '../memory/cells.ts'
import type { Name } from '../memory/name.ts'
import { NumberReader, putNumber } from '../memory/seven-bits.ts'
import type { Change } from './change.ts'
import type { Counts, TellBucket } from './counts.ts'
import type { PageStates } from './page-states.ts'
import { BUCKETS, LAST_BUCKET } from './period.ts'
import { Series } from './series.ts'
import type { Subjects } from './subjects.ts'

const CELL_BYTES = 4
/** Subjects whose series is over are kept up to this number. */
const FEW_SUBJECTS = 16

/** What is being packed, one page at a time. */
let scratch = Buffer.allocUnsafeSlow(16 * 1024)

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

  count(subject: number, change: Change, current: number): boolean {
    const found = this.#places.get(subject)
    if (found === 0) return false
    const { growth, limit } = change
    const series = this.#series
    const first = current - BUCKETS
    let used = series.addToNewest(found, current, growth, first, limit)
    if (used === undefined) {
      used = series.sumFrom(found, first) + growth
      if (used > limit || series.newest(found) > current) return false
      series.dropBefore(found, first)
      series.put(found, current, series.amount(found, current) + growth)
    }
    this.#current = current
    this.#pages.changed(subject)
    change.used = used
    change.inBucket = series.newestAmount(found)
    return true
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
    const first = Math.max(0, this.#current - BUCKETS)
    let at = putNumber(scratch, 0, subjects.length)
    at = putNumber(scratch, at, first)
    for (const subject of subjects) {
      const series = this.#places.get(subject)
      let end = this.#series.pack(series, first - 1, scratch, at)
      // With room for the 0 behind it, and for the next one's.
      while (end < 0 || end === scratch.length) {
        scratch = Buffer.concat([scratch], scratch.length * 2)
        end = this.#series.pack(series, first - 1, scratch, at)
      }
      at = end
      scratch[at++] = 0
    }
    return scratch.subarray(0, at)
  }

  unpack(subjects: readonly number[], sums: Buffer): void {
    const numbers = new NumberReader(sums)
    numbers.next()
    const first = numbers.next()
    for (const subject of subjects) {
      const series = this.#series.add()
      this.#places.set(subject, series)
      let bucket = first - 1
      for (let later = numbers.next(); later > 0; later = numbers.next()) {
        bucket += later
        if (bucket > LAST_BUCKET) throw new RangeError('a bucket after the last one')
        this.#series.put(series, bucket, numbers.next())
      }
    }
    if (!numbers.isAtEnd) throw new RangeError('more than its subjects have')
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
}

/** How many subjects a packed page has. Throws RangeError. */
export function countOfSeries(packed: Buffer): number {
  const count = new NumberReader(packed).next()
  // Each has at least a byte.
  if (count > packed.length) throw new RangeError('series are incomplete')
  return count
}
