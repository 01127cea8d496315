/** As many at once as are allowed, the others in their order. */

import { WebError } from './reply.ts'

export interface TurnBounds {
  readonly atOnce: number
  readonly waiting: number
}

export class Turns {
  readonly #bounds: TurnBounds
  #taken = 0
  readonly #waiting: (() => void)[] = []

  constructor(bounds: TurnBounds) {
    this.#bounds = bounds
  }

  /** Throws a WebError if too many wait already. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const { atOnce, waiting } = this.#bounds
    if (this.#taken < atOnce) this.#taken++
    else if (this.#waiting.length >= waiting) throw new WebError(503, 'too much at once')
    else await new Promise<void>(resolve => void this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#taken--
    }
  }
}
