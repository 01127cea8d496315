/** A number of items per second, and no more: looked at before an item is made, so that one that is left out costs nothing. */

import type { Clock } from '../../system/clock.ts'

export class Pace {
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #most: number
  #second = Number.NEGATIVE_INFINITY
  #count = 0

  constructor(clock: Pick<Clock, 'elapsed'>, most: number) {
    this.#clock = clock
    this.#most = most
  }

  get isOpen(): boolean {
    const second = Math.floor(this.#clock.elapsed() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#count = 0
    }
    return this.#count < this.#most
  }

  note(): void {
    this.#count++
  }
}
