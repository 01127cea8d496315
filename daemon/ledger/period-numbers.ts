/** Short numbers for periods, in the order in which they came. */

import type { CountingPeriod, Periods } from './period.ts'

export class PeriodNumbers {
  readonly #periods: CountingPeriod[] = []
  readonly #numbers = new Map<CountingPeriod, number>()
  /** The number that is expected next: one message after another has the same limits. */
  #next = 0

  get count(): number {
    return this.#periods.length
  }

  /** The number of a period; a new one if it has none. */
  of(period: CountingPeriod): number {
    const number = this.#periods[this.#next] === period ? this.#next : this.#find(period)
    this.#next = number + 1 < this.#periods.length ? number + 1 : 0
    return number
  }

  /** Throws RangeError for a number that was not given. */
  at(number: number): CountingPeriod {
    const period = this.#periods[number]
    if (!period) throw new RangeError('a period that is not known')
    return period
  }

  clear(): void {
    this.#periods.length = 0
    this.#numbers.clear()
    this.#next = 0
  }

  /** The same periods of another store. */
  moveTo(periods: Periods): void {
    const moved = this.#periods.map(one =>
      periods.named(one.counter, one.name, one.bucketMilliseconds),
    )
    this.clear()
    for (const period of moved) this.of(period)
  }

  #find(period: CountingPeriod): number {
    const known = this.#numbers.get(period)
    if (known !== undefined) return known
    const number = this.#periods.push(period) - 1
    this.#numbers.set(period, number)
    return number
  }
}
