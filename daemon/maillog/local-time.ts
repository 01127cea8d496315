/**
 * `Nov 30 20:41:02`, the time of RFC 3164: no year and no zone. Both are inferred; of `2026-11-30 20:41:02`
 * the zone.
 *
 * The zone is the host's, or one that is named. The year is the last one in which this is not more than a
 * day after `now`: a clock may be ahead, and nobody reads a log before it is written. In the night in
 * which the clock is set back, the times of one hour mean two moments: it is the last one that is not
 * after `now`, or, of a log that is replayed, the first one that is not before the line above it.
 */

import { digits, type ReadTime, readIsoTime, utc } from './iso-time.ts'

export interface LocalTimesOptions {
  /** Milliseconds since 1970 before which everything was logged: the clock, or a file's modification time. */
  readonly now: () => number
  /** IANA name; undefined is the host's. An unknown one throws RangeError. */
  readonly timezone?: string | undefined
  /** Read from an old log, from its beginning. The default is false: lines are read as they are logged. */
  readonly isReplay?: boolean
}

const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec'
const MINUTE = 60_000
const DAY = 86_400_000
/** How far back a 29 February may be, with a year that is divisible by 100 on the way. */
const YEARS = 8
/** What is written at the same moment may be in another order. */
const DISORDER = MINUTE
/** Characters of `20:41:02`. */
const CLOCK_LENGTH = 8
/** Characters of `2026-11-30 20:41:02`. */
const DATED_LENGTH = 19

export class LocalTimes {
  readonly #now: () => number
  readonly #isReplay: boolean
  readonly #offsetAt: (at: number) => number
  /** The last minute that was read, and the moment it means; most lines are of the same minute. */
  #minute = ''
  #minuteAt = 0
  /** Until when, by `now`, it means that. */
  #minuteUntil = Number.NEGATIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY

  constructor({ now, timezone, isReplay = false }: LocalTimesOptions) {
    this.#now = now
    this.#isReplay = isReplay
    this.#offsetAt = timezone === undefined ? hostOffset : offsetIn(timezone)
  }

  /** Undefined if there is no time, or none that exists, at `from`. */
  read(text: string, from: number): ReadTime | undefined {
    const secondsAt = endOfMinute(text, from)
    if (secondsAt === undefined) return this.#readDated(text, from)
    const second = digits(text, secondsAt, 2)
    if (!(second <= 60)) return undefined
    const minute = text.slice(from, secondsAt)
    if (minute !== this.#minute || this.#now() > this.#minuteUntil) {
      const at = this.#momentOf(minute)
      if (at === undefined) return undefined
      this.#minuteAt = at
    }
    const end = endOfFraction(text, secondsAt + 2)
    const fraction = end > secondsAt + 2 ? Number(`0${text.slice(secondsAt + 2, end)}`) * 1000 : 0
    const at = this.#minuteAt + second * 1000 + fraction
    this.#last = at
    return { at, end }
  }

  /** `2026-11-30 20:41:02`, with a year but no zone: who follows a log relies on its zone. */
  #readDated(text: string, from: number): ReadTime | undefined {
    if (!this.#isReplay || text[from + 4] !== '-') return undefined
    const clockEnd = from + DATED_LENGTH
    const local = readIsoTime(`${text.slice(from, clockEnd)}Z`, 0)
    const chosen = local && this.#choose(this.#moments(local.at), this.#now())
    if (chosen === undefined) return undefined
    const end = endOfFraction(text, clockEnd)
    const fraction = end > clockEnd ? Number(`0${text.slice(clockEnd, end)}`) * 1000 : 0
    this.#last = chosen + fraction
    return { at: this.#last, end }
  }

  #momentOf(minute: string): number | undefined {
    const month = monthOf(minute)
    const day = Number(minute.slice(4, 6))
    const clock = minute.length - CLOCK_LENGTH + 2
    const hour = digits(minute, clock, 2)
    const minutes = digits(minute, clock + 3, 2)
    const now = this.#now()
    const thisYear = new Date(now).getUTCFullYear()
    for (let year = thisYear + 1; year >= thisYear - YEARS; year--) {
      const local = utc(year, month, day, hour, minutes, 0)
      if (local === undefined || local > now + 2 * DAY) continue
      const moments = this.#moments(local).filter(one => one <= now + DAY)
      const chosen = this.#choose(moments, now)
      if (chosen === undefined) continue
      this.#minute = minute
      // A minute that is two moments is decided again for each line.
      this.#minuteUntil = moments.length === 1 ? now + MINUTE : Number.NEGATIVE_INFINITY
      return chosen
    }
    return undefined
  }

  /** In order: none for an hour that is left out, but then the one that a clock not set ahead would show. */
  #moments(local: number): number[] {
    const offsets = [this.#offsetAt(local - DAY), this.#offsetAt(local + DAY)]
    const moments = offsets.map(offset => local - offset * MINUTE)
    const real = moments.filter((at, i) => this.#offsetAt(at) === offsets[i])
    return [...new Set(real.length > 0 ? real : moments.slice(0, 1))].toSorted((a, b) => a - b)
  }

  #choose(moments: readonly number[], now: number): number | undefined {
    if (this.#isReplay) return moments.find(at => at >= this.#last - DISORDER) ?? moments.at(-1)
    return moments.findLast(at => at <= now + MINUTE) ?? moments[0]
  }
}

/** Where the seconds begin of `Nov 30 20:41:02` or `Nov  3 20:41:02`. */
function endOfMinute(text: string, from: number): number | undefined {
  if (text[from + 3] !== ' ' || text[from + 6] !== ' ') return undefined
  const clock = from + 7
  return text[clock + 2] === ':' && text[clock + 5] === ':' ? clock + 6 : undefined
}

/** NaN if it is none. */
function monthOf(text: string): number {
  const at = MONTHS.indexOf(text.slice(0, 3))
  return at >= 0 && at % 3 === 0 ? at / 3 + 1 : Number.NaN
}

function endOfFraction(text: string, from: number): number {
  const found = /^\.\d{1,9}/.exec(text.slice(from, from + 10))
  return found === null ? from : from + found[0].length
}

/** Minutes east of Greenwich. */
function hostOffset(at: number): number {
  return -new Date(at).getTimezoneOffset()
}

function offsetIn(timezone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    timeZoneName: 'longOffset',
    year: 'numeric',
  })
  return at => {
    const found = /GMT(?:([+-])(\d\d):(\d\d))?/.exec(format.format(at))
    const minutes = Number(found?.[2] ?? 0) * 60 + Number(found?.[3] ?? 0)
    return found?.[1] === '-' ? -minutes : minutes
  }
}
