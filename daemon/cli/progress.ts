/** How far a long command is, in one line on a terminal: what is done, the rate, the time left. */

import type { Clock } from '../system/clock.ts'
import { grouped, timeText } from './number-text.ts'

/** Between two lines; nobody reads faster. */
const SHOWN_EVERY_MILLISECONDS = 200
const CLEAR = '\r\u001b[K'

export class Progress {
  readonly #print: ((text: string) => void) | undefined
  readonly #clock: Pick<Clock, 'now'>
  /** Bytes of all files; 0: not known. */
  readonly #total: number
  readonly #began: number
  #shownAt = Number.NEGATIVE_INFINITY
  bytes = 0
  requests = 0

  /** `print`: undefined if there is no terminal. */
  constructor(
    print: ((text: string) => void) | undefined,
    clock: Pick<Clock, 'now'>,
    total: number,
  ) {
    this.#print = print
    this.#clock = clock
    this.#total = total
    this.#began = clock.now()
  }

  /** Since it began; at least 1. */
  get milliseconds(): number {
    return Math.max(1, this.#clock.now() - this.#began)
  }

  show(): void {
    const now = this.#clock.now()
    if (!this.#print || now - this.#shownAt < SHOWN_EVERY_MILLISECONDS) return
    this.#shownAt = now
    const seconds = this.milliseconds / 1000
    const rate = `${grouped(this.requests)} requests, ${grouped(this.requests / seconds)}/s`
    const done = this.#total === 0 ? 0 : Math.min(1, this.bytes / this.#total)
    const left = done === 0 ? '' : `, ${timeText((seconds / done) * (1 - done))} left`
    const share = done === 0 ? '' : `${Math.floor(done * 100)} %, `
    this.#print(`${CLEAR}${share}${rate}${left}`)
  }

  /** Before anything else is printed. */
  clear(): void {
    if (this.#shownAt > Number.NEGATIVE_INFINITY) this.#print?.(CLEAR)
  }
}
