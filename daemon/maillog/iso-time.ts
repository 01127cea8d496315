/** `2026-11-30T20:41:02.123456+01:00` and what comes close to it: rsyslog, RFC 5424, `journalctl -o short-iso`. */

export interface ReadTime {
  /** Milliseconds since 1970; fractions of one are kept. */
  readonly at: number
  /** Where the text continues. */
  readonly end: number
}

const MINUTE = 60_000
const ZERO = 0x30
const NINE = 0x39
/** Characters of `2026-11-30T20:41:02`. */
const LENGTH = 19

/** Undefined if there is no time, or none that exists, at `from`. */
export function readIsoTime(text: string, from: number): ReadTime | undefined {
  if (text[from + 4] !== '-' || text[from + 7] !== '-' || text[from + 13] !== ':') return undefined
  if (text[from + 16] !== ':' || (text[from + 10] !== 'T' && text[from + 10] !== ' ')) {
    return undefined
  }
  const local = utc(
    digits(text, from, 4),
    digits(text, from + 5, 2),
    digits(text, from + 8, 2),
    digits(text, from + 11, 2),
    digits(text, from + 14, 2),
    digits(text, from + 17, 2),
  )
  if (local === undefined) return undefined
  const zoneAt = endOfFraction(text, from + LENGTH)
  const zone = readZone(text, zoneAt)
  if (zone === undefined) return undefined
  const fraction = zoneAt > from + LENGTH ? Number(`0.${text.slice(from + LENGTH + 1, zoneAt)}`) : 0
  return { at: local + fraction * 1000 - zone.minutes * MINUTE, end: zone.end }
}

/** As if the zone were UTC. Undefined for a 31 April, or if a number is NaN; a second may be a leap second. */
export function utc(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | undefined {
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month))) return undefined
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return undefined
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/** The next `count` digits as a number; NaN if other characters are among them. */
export function digits(text: string, from: number, count: number): number {
  let value = 0
  for (let i = from; i < from + count; i++) {
    const code = text.charCodeAt(i)
    if (!(code >= ZERO && code <= NINE)) return Number.NaN
    value = value * 10 + code - ZERO
  }
  return value
}

/** `.123456`, `,123` or nothing. */
function endOfFraction(text: string, from: number): number {
  if (text[from] !== '.' && text[from] !== ',') return from
  let end = from + 1
  while (text.charCodeAt(end) >= ZERO && text.charCodeAt(end) <= NINE && end < from + 10) end++
  return end === from + 1 ? from : end
}

/** `Z`, `+01:00` or `+0100`: minutes east of Greenwich. */
function readZone(text: string, from: number): { minutes: number; end: number } | undefined {
  const sign = text[from]
  if (sign === 'Z') return { minutes: 0, end: from + 1 }
  if (sign !== '+' && sign !== '-') return undefined
  const minutesAt = text[from + 3] === ':' ? from + 4 : from + 3
  const minutes = digits(text, from + 1, 2) * 60 + digits(text, minutesAt, 2)
  if (Number.isNaN(minutes)) return undefined
  return { minutes: sign === '-' ? -minutes : minutes, end: minutesAt + 2 }
}

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}
