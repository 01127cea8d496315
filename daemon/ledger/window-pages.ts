/** What one window has counted, as pages: those that are in memory, and their form in the file. */

import { CalendarCounts, countOfSums } from './calendar-counts.ts'
import { aligned, type Counts, type PackedCounts } from './counts.ts'
import { PageStates } from './page-states.ts'
import type { CountingPeriod } from './period.ts'
import { countOfSeries, RollingCounts } from './rolling-counts.ts'
import { pageOf, type Subjects, subjectIn } from './subjects.ts'

export class WindowPages {
  readonly states = new PageStates()
  readonly counts: Counts
  readonly #subjects: Subjects
  readonly #countOf: (sums: Buffer) => number

  constructor({ bucketMilliseconds }: CountingPeriod, subjects: Subjects) {
    this.#subjects = subjects
    const isRolling = bucketMilliseconds > 0
    this.counts = new (isRolling ? RollingCounts : CalendarCounts)(subjects, this.states)
    this.#countOf = isRolling ? countOfSeries : countOfSums
  }

  /** The memory of a page, about, without its names. */
  bytesOf(page: number): number {
    const { states, counts } = this
    return (counts.byteLength * states.countIn(page)) / Math.max(1, states.count)
  }

  /** The page is in memory from now on; `packed`: what the file has of it. Throws RangeError; then it is not. */
  load(page: number, packed: PackedCounts | undefined): void {
    const { states } = this
    const subjects = packed ? this.#unpacked(page, packed) : []
    states.load(page)
    for (const subject of subjects) states.added(subject)
    states.namesAreWritten(page)
    if (!isRising(subjects)) states.namesDiffer(page)
  }

  /** The page is not in memory any more; what was counted since it was written is lost. */
  drop(page: number): void {
    for (const subject of this.subjectsIn(page)) this.counts.drop(subject)
    this.states.drop(page)
    if (this.states.loaded === 0) this.counts.clear()
  }

  /** Without the names if those in the file are still valid. Valid until this page changes or another one is packed. */
  pack(page: number): { readonly sums: Buffer; readonly names: Buffer | undefined } {
    const { states, counts } = this
    for (const subject of counts.forgotten(this.subjectsIn(page))) {
      counts.drop(subject)
      states.removed(subject)
    }
    const subjects = this.subjectsIn(page)
    return {
      sums: counts.packed(subjects),
      names: states.hasItsNames(page) ? undefined : this.#packedNames(subjects),
    }
  }

  /** The subjects of a page, in the order of their numbers. */
  subjectsIn(page: number): number[] {
    const count = this.#subjects.countIn(page)
    const subjects: number[] = []
    for (let number = 0; number < count; number++) {
      const subject = subjectIn(page, number)
      if (this.counts.has(subject)) subjects.push(subject)
    }
    return subjects
  }

  /** A subject has another number now, which is in the same order as before among those of its page. */
  move(from: number, to: number): void {
    if (this.counts.has(from)) this.counts.move(from, to)
  }

  *sumsIn(page: number): Iterable<readonly [account: string, bucket: number, used: number]> {
    for (const subject of this.subjectsIn(page)) {
      const account = this.#subjects.nameOf(subject)
      for (const [bucket, used] of this.counts.sumsOf(subject)) yield [account, bucket, used]
    }
  }

  /** The subjects whose counts it has, in the order of the file. Throws RangeError. */
  #unpacked(page: number, packed: PackedCounts): readonly number[] {
    const subjects = this.#namesOf(page, packed)
    try {
      this.counts.unpack(subjects, packed.sums)
      return subjects
    } catch (error) {
      for (const subject of subjects) if (this.counts.has(subject)) this.counts.drop(subject)
      throw error
    }
  }

  /** The subjects that are named, in the order of the file. Throws RangeError. */
  #namesOf(page: number, { sums, names }: PackedCounts): number[] {
    const count = this.#countOf(sums)
    const packed = aligned(names, Uint32Array.BYTES_PER_ELEMENT)
    if (packed.length < (count + 1) * Uint32Array.BYTES_PER_ELEMENT) {
      throw new RangeError('names are incomplete')
    }
    const starts = new Uint32Array(packed.buffer, packed.byteOffset, count + 1)
    const bytes = packed.subarray(starts.byteLength)
    if (starts[0] !== 0 || starts[count] !== bytes.length) {
      throw new RangeError('names are incomplete')
    }
    this.#subjects.reserve(page, count, bytes.length)
    const subjects: number[] = []
    for (let i = 0; i < count; i++) {
      const [start = 0, end = 0] = [starts[i], starts[i + 1]]
      if (end < start || end > bytes.length) throw new RangeError('names are not in order')
      const subject = this.#subjects.addBytes(bytes.subarray(start, end))
      if (pageOf(subject) !== page) throw new RangeError('a name of another page')
      subjects.push(subject)
    }
    if (new Set(subjects).size < count) throw new RangeError('a name is there twice')
    return subjects
  }

  /** The bytes of all names, behind where each one begins and the last one ends (32 bits). */
  #packedNames(subjects: readonly number[]): Buffer {
    const starts = new Uint32Array(subjects.length + 1)
    let length = 0
    for (const [i, subject] of subjects.entries()) {
      length += this.#subjects.bytesOf(subject).length
      starts[i + 1] = length
    }
    const bytes = Buffer.allocUnsafe(starts.byteLength + length)
    bytes.set(new Uint8Array(starts.buffer))
    for (const [i, subject] of subjects.entries()) {
      bytes.set(this.#subjects.bytesOf(subject), starts.byteLength + (starts[i] ?? 0))
    }
    return bytes
  }
}

function isRising(numbers: readonly number[]): boolean {
  return numbers.every((number, i) => i === 0 || number > (numbers[i - 1] ?? 0))
}
