/** Messages that would fill the log: passed on at once, and again once a minute while they last. */

import type { Clock } from './clock.ts'

const AGAIN_MILLISECONDS = 60_000
/** Kinds that are remembered; beyond that all are dropped, and each is passed on once more. */
const MOST_KINDS = 1000

export class RateLimiter {
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #kinds = new Map<string, { readonly at: number; leftOut: number }>()

  constructor(clock: Pick<Clock, 'elapsed'>) {
    this.#clock = clock
  }

  /** How many of this kind were left out since the last one; undefined: leave this one out as well. */
  admit(kind: string): number | undefined {
    const now = this.#clock.elapsed()
    const last = this.#kinds.get(kind)
    if (last && now - last.at < AGAIN_MILLISECONDS) {
      last.leftOut++
      return undefined
    }
    if (this.#kinds.size >= MOST_KINDS) this.#kinds.clear()
    this.#kinds.set(kind, { at: now, leftOut: 0 })
    return last?.leftOut ?? 0
  }
}

/** For messages of one kind, whatever their text is. */
export function rateLimited(
  clock: Pick<Clock, 'elapsed'>,
  log: (message: string) => void,
): (message: string) => void {
  const limiter = new RateLimiter(clock)
  return message => {
    if (limiter.admit('') !== undefined) log(message)
  }
}
