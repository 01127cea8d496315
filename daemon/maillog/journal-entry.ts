/** A line of `journalctl -o json`. */

import type { Envelope } from './record.ts'
import { readTag } from './tag.ts'

/** What `readJournalEntry` needs of an entry: for `--output-fields`. */
export const JOURNAL_FIELDS = [
  '_HOSTNAME',
  'MESSAGE',
  'SYSLOG_IDENTIFIER',
  'SYSLOG_PID',
  '_PID',
  '_SOURCE_REALTIME_TIMESTAMP',
] as const

/** Undefined if it is none of Postfix's, or no entry. */
export function readJournalEntry(line: string): Envelope | undefined {
  const entry = parseObject(line)
  if (entry === undefined) return undefined
  const tag = readTag(textOf(entry.SYSLOG_IDENTIFIER))
  if (tag === undefined) return undefined
  // When it was logged, rather than when the journal received it.
  const microseconds = Number(
    textOf(entry._SOURCE_REALTIME_TIMESTAMP) || textOf(entry.__REALTIME_TIMESTAMP) || Number.NaN,
  )
  if (!Number.isFinite(microseconds)) return undefined
  const pid = Number(textOf(entry.SYSLOG_PID) || textOf(entry._PID) || Number.NaN)
  return {
    at: microseconds / 1000,
    host: textOf(entry._HOSTNAME),
    syslogName: tag.syslogName,
    program: tag.program,
    pid: Number.isSafeInteger(pid) ? pid : undefined,
    text: textOf(entry.MESSAGE),
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  const value = parseJson(line)
  return isObject(value) ? value : undefined
}

/** Undefined if it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Any object has names; what they hold is looked at one by one. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** A field that is not UTF-8 is an array of bytes, one that occurs twice an array of texts. */
function textOf(field: unknown): string {
  if (typeof field === 'string') return field
  if (!Array.isArray(field)) return ''
  const bytes = field.filter(one => Number.isInteger(one))
  return bytes.length === field.length ? Buffer.from(bytes).toString() : textOf(field[0])
}
