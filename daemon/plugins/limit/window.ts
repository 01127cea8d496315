/** The window of a limit: a day, week or month of the calendar, or the last minutes, hours or days. */

import { type CalendarUnit, calendar, type Period } from '../../policy/calendar.ts'
import type { Rolling } from '../../policy/ports/ledger.ts'
import { custom, type Setting } from '../../policy/setting.ts'

export type LimitWindow = CalendarUnit | Rolling

const SHORTEST_MILLISECONDS = 60_000
const LONGEST_DAYS = 90

const MINUTE = 60_000
const DAY = 86_400_000
const MILLISECONDS: Readonly<Record<string, number>> = { m: MINUTE, h: 3_600_000, d: DAY }

export const window: Setting<LimitWindow> = custom<LimitWindow>(
  'day, week, month, or the last minutes, hours or days from 1m to 90d, such as 10m, 1h, 24h or 30d',
  parseWindow,
  {
    doc: 'Day, week or month of the calendar, or the last minutes, hours or days.',
    fallback: 'day',
  },
)

function parseWindow(text: string): LimitWindow | undefined {
  if (text === 'day' || text === 'week' || text === 'month') return text
  const [, digits, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? []
  const milliseconds = Number(digits) * (MILLISECONDS[unit] ?? Number.NaN)
  const fits = milliseconds >= SHORTEST_MILLISECONDS && milliseconds <= LONGEST_DAYS * DAY
  return fits ? { milliseconds } : undefined
}

/** What a claim of that moment names. @param timezone IANA name; undefined is the host's. */
export function windowAt(
  limited: LimitWindow,
  timezone: string | undefined,
): (now: number) => Period | Rolling {
  return typeof limited === 'string' ? calendar(timezone, limited) : () => limited
}

/** As a configuration may write it; the same for `60m` and `1h`. */
export function writtenWindow(limited: LimitWindow): string {
  if (typeof limited === 'string') return limited
  const { milliseconds } = limited
  if (milliseconds % DAY === 0 && milliseconds !== DAY) return `${milliseconds / DAY}d`
  const hours = milliseconds / 3_600_000
  return Number.isInteger(hours) ? `${hours}h` : `${milliseconds / MINUTE}m`
}
