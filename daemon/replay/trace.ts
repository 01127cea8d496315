/**
 * A trace: lines of JSON, one for each request, in the order of their times.
 *
 *   {"t": 1764590462123, "conn": "c1", "request": {"request": "smtpd_access_policy", …}}
 *
 * `t` is milliseconds since 1970. A number is accepted where a text is expected.
 */

import { type Recorded, RecordedAttributes } from './record.ts'

/** The latest moment that a date can be. */
const LATEST = 8.64e15

/** The record, or what is wrong with the line. Never throws. */
export function readTraceLine(line: string): Recorded | string {
  let read: unknown
  try {
    read = JSON.parse(line)
  } catch {
    return 'expected a JSON object'
  }
  if (!isObject(read)) return 'expected a JSON object'
  const { t, conn, request } = read
  if (typeof t !== 'number' || !(Math.abs(t) <= LATEST)) {
    return '"t": expected milliseconds since 1970'
  }
  const name = textOf(conn)
  if (name === undefined) return '"conn": expected the name of a connection'
  if (!isObject(request)) return '"request": expected an object of attributes'
  // What is written with a backslash may be a line break, which would end an attribute.
  const mistake = checkAttributes(request, line.includes('\\'))
  if (mistake !== undefined) return mistake
  // Checked: every value is a text now.
  const attributes = new RecordedAttributes(request as Record<string, string>)
  return { t, conn: name, attributes, bytes: line.length }
}

/** Makes texts of numbers. What is wrong, or undefined. */
function checkAttributes(request: Record<string, unknown>, mayBreak: boolean): string | undefined {
  if (!mayBreak && Object.values(request).every(isText)) return undefined
  for (const [name, value] of Object.entries(request)) {
    if (typeof value !== 'string') {
      const text = textOf(value)
      if (text === undefined) return `"request": attribute ${JSON.stringify(name)} is not a text`
      request[name] = text
    } else if (mayBreak && (value.includes('\n') || name.includes('\n'))) {
      return `"request": attribute ${JSON.stringify(name)} has a line break`
    }
  }
  return undefined
}

const isText = (value: unknown): boolean => typeof value === 'string'

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' ? String(value) : undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
