/**
 * Times as other programs than syslog write them, in logs that were saved or converted:
 *
 *   Mon 2026-11-30 20:41:02 CET        journalctl -o short-full
 *   2026/11/30 20:41:02                with slashes
 *   1796067662.123456                  journalctl -o short-unix
 *   2026 Nov 30 20:41:02 +01:00        syslog-ng's full date
 *   Nov 30 2026 20:41:02, Mon Nov 30 20:41:02 2026, Mon Nov 30 20:41:02 CET 2026
 *
 * A zone that has a name is the host's, unless it is UTC.
 */

import { type ReadTime, readIsoTime } from './iso-time.ts'
import type { LocalTimes } from './local-time.ts'

const WEEKDAY = '(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?'
const CLOCK = '(\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d{1,9})?)'
/** Not a host that is called so: with its year, a time is complete. */
const ZONE = '(?: (UTC|GMT|[A-Z]{3,5}|[+-]\\d\\d:?\\d\\d)(?= ))?'
const DATED = new RegExp(`${WEEKDAY}(\\d{4})([-/])(\\d\\d)\\2(\\d\\d)[ T]${CLOCK}${ZONE}`, 'y')
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')
const NAMED = new RegExp(
  `${WEEKDAY}(\\d{4} )?(${MONTHS.join('|')}) ([ \\d]?\\d) (?:(\\d{4}) )?${CLOCK}${ZONE}(?: (\\d{4})(?= ))?`,
  'y',
)
const UNIX = /(\d{10}(?:\.\d{1,9})?)(?= )/y

/** Undefined if there is no such time at `from`, or none that exists. */
export function readOtherTime(text: string, from: number, times: LocalTimes): ReadTime | undefined {
  const dated = match(DATED, text, from)
  if (dated) {
    const [all, year = '', , month = '', day = '', clock = '', zone] = dated
    return timeOf({ year, month, day, clock, zone }, from + all.length, times)
  }
  const unix = match(UNIX, text, from)
  if (unix) return { at: Number(unix[1]) * 1000, end: from + unix[0].length }
  const named = match(NAMED, text, from)
  if (!named) return undefined
  const [all, before, name = '', day = '', between, clock = '', zone, behind] = named
  const end = from + all.length
  const year = before ?? between ?? behind
  const month = String(MONTHS.indexOf(name) + 1).padStart(2, '0')
  const parts = { month, day: day.trim().padStart(2, '0'), clock, zone }
  if (year !== undefined) return timeOf({ ...parts, year: year.trim() }, end, times)
  const local = times.read(`${name} ${day.padStart(2)} ${clock}`, 0)
  if (local === undefined) return undefined
  return timeOf({ ...parts, year: String(new Date(local.at).getFullYear()) }, end, times)
}

interface Parts {
  readonly year: string
  readonly month: string
  readonly day: string
  readonly clock: string
  readonly zone: string | undefined
}

function timeOf(
  { year, month, day, clock, zone = '' }: Parts,
  end: number,
  times: LocalTimes,
): ReadTime | undefined {
  const text = `${year}-${month}-${day} ${clock.replace(',', '.')}`
  if (zone === 'UTC' || zone === 'GMT') return withEnd(readIsoTime(`${text}Z`, 0), end)
  if (/^[+-]/.test(zone)) return withEnd(readIsoTime(text + zone, 0), end)
  return withEnd(times.read(text, 0), end)
}

function withEnd(time: ReadTime | undefined, end: number): ReadTime | undefined {
  return time && { at: time.at, end }
}

function match(pattern: RegExp, text: string, from: number): RegExpExecArray | undefined {
  pattern.lastIndex = from
  return pattern.exec(text) ?? undefined
}
