/** A histogram whose buckets grow by powers of two: the number of bits tells the bucket. */

import type { Distribution, Histogram, HistogramDeclaration } from '../policy/ports/meters.ts'

/** `Math.clz32` looks at 32 bits. */
const BEYOND_PARTS = 2 ** 31

export class Buckets implements Histogram {
  readonly #least: number
  readonly #bounds: number
  /** The last one: what is beyond all bounds. */
  readonly #counts: Float64Array
  #sum = 0

  constructor({ least, buckets }: Pick<HistogramDeclaration, 'least' | 'buckets'>) {
    this.#least = least
    this.#bounds = buckets
    this.#counts = new Float64Array(buckets + 1)
  }

  note(value: number): void {
    if (!(value >= 0)) return
    const parts = Math.min(Math.ceil(value / this.#least), BEYOND_PARTS)
    // A value of exactly 2^n parts belongs to the bucket that ends there.
    const bits = parts <= 1 ? 0 : 32 - Math.clz32(parts - 1)
    const bucket = Math.min(bits, this.#bounds)
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += value
  }

  get value(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0)
  }

  get distribution(): Distribution {
    let values = 0
    const buckets = [...this.#counts.subarray(0, this.#bounds)].map((count, i) => {
      values += count
      return [this.#least * 2 ** i, values] as const
    })
    return { sum: this.#sum, buckets }
  }
}
