/**
 * Does Postfix still ask? A host with requests all day long is suspicious after an hour without any; one
 * that rests over night and over the weekend is not. So the longest pauses of the last two weeks say how
 * long a pause may be.
 */

/** Pauses of that many days are remembered, one for each day. */
const REMEMBERED_DAYS = 14
const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Shorter pauses are never suspicious, longer ones always. */
const SHORTEST = HOUR
const LONGEST = 72 * HOUR
/** Before there was a whole week, the longest pause may still be to come. */
const FACTOR = 3
const FIRST_WEEK_FACTOR = 8
/** A new host is silent that long before anybody is told. */
const FIRST_DAY = 24 * HOUR

export interface AskedBefore {
  /** When the first request was seen, and the last one; milliseconds since 1970. */
  readonly since: number
  readonly last: number
  /** The longest pause of each day, in milliseconds; a day is a number since 1970, UTC. */
  readonly days: readonly (readonly [day: number, gap: number])[]
}

export class Silence {
  #since = 0
  #last = 0
  #days = new Map<number, number>()
  #seen = 0

  restore({ since, last, days }: AskedBefore): void {
    this.#since = since
    this.#last = last
    this.#days = new Map(days)
  }

  /** `requests`: since the daemon started. */
  look(requests: number, now: number): void {
    // Set back: what was noted is of no use.
    if (this.#last > now + HOUR) this.#last = now
    if (requests === this.#seen) return
    this.#seen = requests
    if (this.#last > 0) {
      const day = Math.floor(now / DAY)
      const gap = Math.max(now - this.#last, this.#days.get(day) ?? 0)
      this.#days.set(day, gap)
      for (const known of this.#days.keys()) {
        if (known <= day - REMEMBERED_DAYS) this.#days.delete(known)
      }
    } else this.#since = now
    this.#last = now
  }

  /** Since when there was no request although there should have been; undefined: all is as usual. */
  silentSince(now: number): number | undefined {
    if (this.#last === 0) return undefined
    return now - this.#last > this.#longestPause(now) ? this.#last : undefined
  }

  get known(): AskedBefore | undefined {
    if (this.#last === 0) return undefined
    return { since: this.#since, last: this.#last, days: [...this.#days] }
  }

  #longestPause(now: number): number {
    const observed = this.#last - this.#since
    if (observed < FIRST_DAY) return Math.max(FIRST_DAY, SHORTEST)
    const longest = Math.max(0, ...this.#days.values())
    const factor = now - this.#since < 8 * DAY ? FIRST_WEEK_FACTOR : FACTOR
    return Math.min(Math.max(longest * factor, SHORTEST), LONGEST)
  }
}
