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

/** Periods that are found fast: more than a chain has limits. */
const RECENT_PERIODS = 16

interface Wanted {
  readonly counter: string
  readonly window: object
  readonly period: CountingPeriod
}

/** Buckets before the current one that belong to a rolling window. */
export const BUCKETS = 60

/** The window's period of a counter: always the same object for the same counter and window. */
export class Periods {
  readonly #all = new Map<string, Map<string, CountingPeriod>>()
  #count = 0
  /** Those that were wanted last, newest first; usually they are wanted again. */
  readonly #last: Wanted[] = []

  of(counter: string, window: Period | Rolling): CountingPeriod {
    const last = this.#last
    for (let i = 0; i < last.length; i++) {
      const wanted = last[i]
      if (wanted?.window === window && wanted.counter === counter) return wanted.period
    }
    const period = this.#of(counter, window)
    last.unshift({ counter, window, period })
    if (last.length > RECENT_PERIODS) last.pop()
    return period
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
