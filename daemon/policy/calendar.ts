/**
 * The calendar day, week or month a count belongs to, in the operator's time zone.
 *
 * A period is named by the local date on which it begins, so a clock that jumps, or a day of 23 or 25
 * hours, can at worst put a count on the neighbouring one; it never creates or loses one. A week begins
 * on Monday (ISO 8601). The name is computed again only when the clock leaves the minute it was
 * computed for.
 */

export interface Period {
  /** The day it begins: `2026-11-20` */
  readonly name: string
  /** When the next one begins, milliseconds since 1970. */
  readonly endsAt: number
}

export type CalendarUnit = 'day' | 'week' | 'month'

const MINUTE = 60_000
const DAY = 86_400_000

/** Minutes within which the next one begins: the longest, with a zone's odd shifts. */
const LONGEST: Readonly<Record<CalendarUnit, number>> = {
  day: 50 * 60,
  week: 9 * 24 * 60,
  month: 33 * 24 * 60,
}

/** @param timezone IANA name; undefined is the host's. Throws RangeError for an unknown one. */
export function calendar(
  timezone: string | undefined,
  unit: CalendarUnit = 'day',
): (now: number) => Period {
  const dateOf = timezone === undefined ? localDate : dateIn(timezone)
  const nameOf = (at: number): string => firstDay(dateOf(at), unit)
  // The minute it was computed for.
  let from = 0
  let until = 0
  let period: Period = { name: '', endsAt: 0 }

  return now => {
    if (now >= from && now < until) return period
    const minute = Math.floor(now / MINUTE)
    from = minute * MINUTE
    until = from + MINUTE
    const name = nameOf(now)
    if (name !== period.name || now >= period.endsAt) {
      period = { name, endsAt: nextChange(minute, name, nameOf, LONGEST[unit]) * MINUTE }
    }
    return period
  }
}

/** The first day of the period that has this day, `2026-11-20`. */
function firstDay(day: string, unit: CalendarUnit): string {
  if (unit === 'day') return day
  if (unit === 'month') return `${day.slice(0, 8)}01`
  // Counted in UTC, where every day has 24 hours.
  const at = Date.parse(`${day}T00:00:00Z`)
  const sinceMonday = (new Date(at).getUTCDay() + 6) % 7
  return new Date(at - sinceMonday * DAY).toISOString().slice(0, 10)
}

/** Without Intl, whose first use takes 10 ms and some megabytes. */
function localDate(at: number): string {
  const date = new Date(at)
  const digits = (number: number, length: number): string => String(number).padStart(length, '0')
  const month = digits(date.getMonth() + 1, 2)
  return `${digits(date.getFullYear(), 4)}-${month}-${digits(date.getDate(), 2)}`
}

function dateIn(timezone: string): (at: number) => string {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: timezone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  })
  return at => format.format(at)
}

/** First minute after `from` with another name, at most `longest` minutes later. */
function nextChange(
  from: number,
  name: string,
  nameOf: (at: number) => string,
  longest: number,
): number {
  let same = from
  let other = from + longest
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2)
    if (nameOf(middle * MINUTE) === name) same = middle
    else other = middle
  }
  return other
}
