/**
 * Moments as an administrator types them, in the host's time zone: `2026-12-01`, `2026-12-01T12:00`,
 * and from now on, `+2h`, `+3d`, or back from now, `24h`, `7d`.
 */

const MINUTE = 60_000
const UNITS = { m: MINUTE, h: 60 * MINUTE, d: 24 * 60 * MINUTE, w: 7 * 24 * 60 * MINUTE }
const isUnit = (text: string): text is keyof typeof UNITS => Object.hasOwn(UNITS, text)

/** Ten years: anything longer is a slip of the finger. */
const LONGEST_SPAN = 3653 * UNITS.d

export const UNTIL = 'a time such as 2026-12-01, 2026-12-01T12:00, +2h or +3d'
export const SINCE = 'a time such as 24h, 7d, 2026-12-01 or 2026-12-01T12:00'

/** A moment to come, milliseconds since 1970; a date alone is its end. Undefined: it is none, or has passed. */
export function readUntil(text: string, now: number): number | undefined {
  const date = readDate(text, 1)
  const span = text.startsWith('+') ? readSpan(text.slice(1)) : undefined
  const until = date ?? (span === undefined ? undefined : now + span)
  return until !== undefined && until > now && until - now <= LONGEST_SPAN ? until : undefined
}

/** A moment that has passed, milliseconds since 1970; a date alone is its beginning. Undefined: it is none. */
export function readSince(text: string, now: number): number | undefined {
  const span = readSpan(text)
  const since = readDate(text, 0) ?? (span === undefined ? undefined : now - span)
  return since !== undefined && since <= now && now - since <= LONGEST_SPAN ? since : undefined
}

/** `90m`, `24h`, `7d`, `2w`: milliseconds. */
function readSpan(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,5})([mhdw])$/.exec(text) ?? []
  if (digits === undefined || unit === undefined || !isUnit(unit)) return undefined
  const span = Number(digits) * UNITS[unit]
  return span > 0 ? span : undefined
}

/** A date that the calendar has. Without a time: that many days after its midnight. */
function readDate(text: string, daysAfter: number): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d))?$/.exec(text)
  if (!match) return undefined
  const [year = 0, month = 0, day = 0, hour, minute] = match.slice(1).map(part => Number(part))
  const isTimed = match[4] !== undefined
  const at = new Date(year, month - 1, day, hour || 0, minute || 0)
  const isReal =
    at.getMonth() === month - 1 && at.getDate() === day && (hour || 0) < 24 && (minute || 0) < 60
  if (!isReal) return undefined
  if (!isTimed) at.setDate(at.getDate() + daysAfter)
  return at.getTime()
}

/** `2026-12-01 12:00`, in the host's time zone. */
export function momentText(at: number): string {
  const date = new Date(at)
  const two = (number: number): string => String(number).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}
