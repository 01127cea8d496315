/**
 * Time patterns of Accounting and Quota (`%Y-%m`), in local time of the given zone.
 * The conversions of strftime(3) that name a period; others are reported by name.
 */

interface Parts {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
}

const MONTHS =
  'January February March April May June July August September October November December'.split(' ')
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ')
const two = (value: number): string => String(value).padStart(2, '0')
const DAY = 86_400_000

/** Days since 1970 of the local date: calendar arithmetic without a zone. */
const dayNumber = (p: Parts): number => Date.UTC(p.year, p.month - 1, p.day) / DAY
const weekday = (p: Parts): number => (((dayNumber(p) + 4) % 7) + 7) % 7
const yearDay = (p: Parts): number => dayNumber(p) - Date.UTC(p.year, 0, 1) / DAY

/** ISO 8601: the week that holds the year's first Thursday is week 1. */
function isoWeek(p: Parts): { year: number; week: number } {
  const thursday = new Date((dayNumber(p) - ((weekday(p) + 6) % 7) + 3) * DAY)
  const year = thursday.getUTCFullYear()
  return { year, week: Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / DAY / 7) + 1 }
}

const CONVERSIONS: Readonly<Record<string, (p: Parts) => string>> = {
  '%': () => '%',
  a: p => (DAYS[weekday(p)] ?? '').slice(0, 3),
  A: p => DAYS[weekday(p)] ?? '',
  b: p => (MONTHS[p.month - 1] ?? '').slice(0, 3),
  h: p => (MONTHS[p.month - 1] ?? '').slice(0, 3),
  B: p => MONTHS[p.month - 1] ?? '',
  C: p => two(Math.floor(p.year / 100)),
  d: p => two(p.day),
  D: p => `${two(p.month)}/${two(p.day)}/${two(p.year % 100)}`,
  e: p => String(p.day).padStart(2, ' '),
  F: p => `${p.year}-${two(p.month)}-${two(p.day)}`,
  g: p => two(isoWeek(p).year % 100),
  G: p => String(isoWeek(p).year),
  H: p => two(p.hour),
  I: p => two(p.hour % 12 || 12),
  j: p => String(yearDay(p) + 1).padStart(3, '0'),
  k: p => String(p.hour).padStart(2, ' '),
  m: p => two(p.month),
  M: p => two(p.minute),
  n: () => '\n',
  p: p => (p.hour < 12 ? 'AM' : 'PM'),
  R: p => `${two(p.hour)}:${two(p.minute)}`,
  S: p => two(p.second),
  t: () => '\t',
  T: p => `${two(p.hour)}:${two(p.minute)}:${two(p.second)}`,
  u: p => String(weekday(p) || 7),
  U: p => two(Math.floor((yearDay(p) + 7 - weekday(p)) / 7)),
  V: p => two(isoWeek(p).week),
  w: p => String(weekday(p)),
  W: p => two(Math.floor((yearDay(p) + 7 - ((weekday(p) + 6) % 7)) / 7)),
  y: p => two(p.year % 100),
  Y: p => String(p.year),
}

/** The conversion in `pattern` that is not known, e.g. "%Q"; undefined if all are. */
export function unknownConversion(pattern: string): string | undefined {
  for (const [whole, letter = ''] of pattern.matchAll(/%([\s\S]?)/g)) {
    if (!Object.hasOwn(CONVERSIONS, letter)) return whole
  }
  return undefined
}

/** A function from milliseconds since 1970 to text. Unknown conversions stay as written. */
export function timeFormatter(
  pattern: string,
  timezone: string | undefined,
): (now: number) => string {
  const format = new Intl.DateTimeFormat('en-GB', {
    ...(timezone === undefined ? {} : { timeZone: timezone }),
    calendar: 'gregory',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  let second = Number.NaN
  let text = ''
  return now => {
    const current = Math.floor(now / 1000)
    if (current === second) return text
    second = current
    const found = new Map(format.formatToParts(now).map(part => [part.type, Number(part.value)]))
    const parts: Parts = {
      year: found.get('year') ?? 0,
      month: found.get('month') ?? 0,
      day: found.get('day') ?? 0,
      hour: found.get('hour') ?? 0,
      minute: found.get('minute') ?? 0,
      second: found.get('second') ?? 0,
    }
    text = pattern.replace(/%([\s\S])/g, (whole, letter: string) => {
      return Object.hasOwn(CONVERSIONS, letter) ? (CONVERSIONS[letter]?.(parts) ?? whole) : whole
    })
    return text
  }
}
