/** The sums of a calendar period. In the file they are 64-bit. */

import { Cells } from '../memory/cells.ts'
import type { Name } from '../memory/name.ts'
import type { Change } from './change.ts'
import { aligned, type Counts, type TellBucket } from './counts.ts'
import type { PageStates } from './page-states.ts'
import type { Subjects } from './subjects.ts'

const CELL_BYTES = 4
const SUM_BYTES = Float64Array.BYTES_PER_ELEMENT

let scratch = new Float64Array(0)

export class CalendarCounts implements Counts {
  readonly #subjects: Subjects
  readonly #pages: PageStates
  /** What each subject has used, plus 1; 0: nothing is known of it. */
  readonly #sums = new Cells()

  constructor(subjects: Subjects, pages: PageStates) {
    this.#subjects = subjects
    this.#pages = pages
  }

  get byteLength(): number {
    return CELL_BYTES * this.#pages.count
  }

  used(account: Name): number {
    const subject = this.#subjects.find(account)
    return subject < 0 ? 0 : Math.max(0, this.#sums.get(subject) - 1)
  }

  usedIn(account: Name): number {
    return this.used(account)
  }

  set(account: Name, _bucket: number, used: number): void {
    this.#put(this.#subjects.add(account), used)
  }

  addWithin(
    account: Name,
    bucket: number,
    count: number,
    limit: number,
    _current: number,
    tell: TellBucket,
  ): number | undefined {
    const sum = Math.max(0, this.used(account) + count)
    if (sum > limit) return undefined
    this.#put(this.#subjects.add(account), sum)
    tell(bucket, sum)
    return sum
  }

  count(subject: number, change: Change): boolean {
    const sum = this.#sums.get(subject) - 1 + change.growth
    if (sum > change.limit || !this.has(subject)) return false
    this.#put(subject, sum)
    change.used = sum
    change.inBucket = sum
    return true
  }

  fitsFrom(account: Name, count: number, limit: number, current: number): number | undefined {
    return this.used(account) + count <= limit ? current : undefined
  }

  has(subject: number): boolean {
    return this.#sums.get(subject) > 0
  }

  *sumsOf(subject: number): Iterable<readonly [bucket: number, used: number]> {
    yield [0, this.#sums.get(subject) - 1]
  }

  forgotten(): readonly number[] {
    return []
  }

  drop(subject: number): void {
    this.#sums.set(subject, 0)
  }

  move(from: number, to: number): void {
    this.#sums.set(to, this.#sums.get(from))
    this.#sums.set(from, 0)
  }

  packed(subjects: readonly number[]): Buffer {
    if (subjects.length > scratch.length) scratch = new Float64Array(subjects.length * 2)
    for (const [i, subject] of subjects.entries()) scratch[i] = this.#sums.get(subject) - 1
    return Buffer.from(scratch.buffer, 0, subjects.length * SUM_BYTES)
  }

  unpack(subjects: readonly number[], sums: Buffer): void {
    const { buffer, byteOffset } = aligned(sums, SUM_BYTES)
    for (const [i, sum] of new Float64Array(buffer, byteOffset, subjects.length).entries()) {
      if (!(sum >= 0 && sum < Number.POSITIVE_INFINITY)) throw new RangeError('an impossible sum')
      this.#sums.set(subjects[i] ?? 0, sum + 1)
    }
  }

  clear(): void {
    this.#sums.clear()
  }

  #put(subject: number, used: number): void {
    if (!this.has(subject)) this.#pages.added(subject)
    this.#sums.set(subject, used + 1)
    this.#pages.changed(subject)
  }
}

/** How many subjects packed sums have. Throws RangeError. */
export function countOfSums(sums: Buffer): number {
  const count = sums.length / SUM_BYTES
  if (!(count >= 1 && Number.isInteger(count))) throw new RangeError('no sums')
  return count
}
