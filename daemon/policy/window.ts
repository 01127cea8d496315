/**
 * The calendar day a count belongs to, in the operator's time zone.
 *
 * A day is named by its local date, so a clock that jumps, or a night with 23 or 25 hours, can at
 * worst put a count on the neighbouring date; it never creates or loses a day. The name is worked
 * out anew only when the clock leaves the minute it was worked out for.
 */

export interface Day {
  /** `2026-11-20` */
  readonly name: string
  /** When the next day begins, milliseconds since 1970. */
  readonly endsAt: number
}

const MINUTE = 60_000

/** @param timezone IANA name; undefined is the host's. Throws RangeError for an unknown one. */
export function calendarDays(timezone: string | undefined): (now: number) => Day {
  const nameOf = timezone === undefined ? localDate : dateIn(timezone)
  let minute = Number.NaN
  let day: Day = { name: '', endsAt: 0 }

  return now => {
    const current = Math.floor(now / MINUTE)
    if (current !== minute) {
      minute = current
      const name = nameOf(now)
      if (name !== day.name || now >= day.endsAt) {
        day = { name, endsAt: nextChange(current, name, nameOf) * MINUTE }
      }
    }
    return day
  }
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

/** First minute after `from` with another date; days last at most 25 hours plus a zone's odd shift. */
function nextChange(from: number, name: string, nameOf: (at: number) => string): number {
  let same = from
  let other = from + 50 * 60
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2)
    if (nameOf(middle * MINUTE) === name) same = middle
    else other = middle
  }
  return other
}
