/**
 * Where an amount is counted: a counter's calendar day, week or month, or its rolling window.
 *
 * A calendar period is named by the day it begins, `2026-11-20`, in whatever time zone the caller has.
 * A rolling window is divided into buckets of a sixtieth of its length; an amount is counted in the
 * bucket of its moment and leaves the window with it. The window is the current bucket and the sixty
 * before it, so it never covers less than its length, and at most a sixtieth more.
 */

import type { Period } from '../policy/calendar.ts'
import type { Rolling } from '../policy/ports/ledger.ts'

export interface CountingPeriod {
  /** Its place among all of its Periods: 0 for the first. */
  readonly number: number
  readonly counter: string
  /** `2026-11-20`, or `~60000` for a rolling window with buckets of a minute. */
  readonly name: string
  /** Milliseconds; 0 for a calendar period, which has one bucket: 0. */
  readonly bucketMilliseconds: number
}

/** Buckets before the current one that belong to a rolling window. */
export const BUCKETS = 60
/** The last bucket that there is room for, and whose window has an end there. */
export const LAST_BUCKET = 0xffffffff - BUCKETS

/** What a counter was asked for last; usually it is asked for again. */
interface Wanted {
  window: object
  period: CountingPeriod
  /** Its place among all. */
  readonly number: number
}

/** The window's period of a counter: always the same object for the same counter and window. */
export class Periods {
  readonly #all = new Map<string, Map<string, CountingPeriod>>()
  #count = 0
  readonly #wanted = new Map<string, Wanted>()
  /** The same, in the order in which they came. */
  readonly #inOrder: Wanted[] = []
  /** The number that is expected next: one message after another has the same limits. */
  #next = 0

  of(counter: string, window: Period | Rolling): CountingPeriod {
    const expected = this.#inOrder[this.#next]
    const isExpected = expected?.window === window && expected.period.counter === counter
    const { period, number } = isExpected ? expected : this.#find(counter, window)
    this.#next = number + 1 < this.#inOrder.length ? number + 1 : 0
    return period
  }

  #find(counter: string, window: Period | Rolling): Wanted {
    const known = this.#wanted.get(counter)
    if (known?.window === window) return known
    const period = this.#of(counter, window)
    if (known) {
      known.window = window
      known.period = period
      return known
    }
    const wanted = { window, period, number: this.#inOrder.length }
    this.#inOrder.push(wanted)
    this.#wanted.set(counter, wanted)
    return wanted
  }

  #of(counter: string, window: Period | Rolling): CountingPeriod {
    if ('name' in window) return this.named(counter, window.name, 0)
    const bucket = window.milliseconds / BUCKETS
    return this.named(counter, `~${bucket}`, bucket)
  }

  named(counter: string, name: string, bucketMilliseconds = rollingBucket(name)): CountingPeriod {
    let ofCounter = this.#all.get(counter)
    if (!ofCounter) {
      ofCounter = new Map()
      this.#all.set(counter, ofCounter)
    }
    let period = ofCounter.get(name)
    if (!period) {
      period = { number: this.#count++, counter, name, bucketMilliseconds }
      ofCounter.set(name, period)
    }
    return period
  }
}

/** The bucket's length that a period's name says; 0 for a calendar period. */
function rollingBucket(name: string): number {
  return name.startsWith('~') ? Number(name.slice(1)) : 0
}

/** The bucket of a moment. */
export function bucketAt({ bucketMilliseconds }: CountingPeriod, now: number): number {
  return bucketMilliseconds === 0 ? 0 : Math.floor(now / bucketMilliseconds)
}
