/**
 * The lines of the alerts' file: eight hexadecimal digits of CRC-32, a space, JSON. A line that was torn or
 * damaged is left out; those around it are not touched by that.
 */

import { crc32 } from 'node:zlib'
import type { Alert } from './alert.ts'
import type { SentMail } from './pace.ts'

/** A line that is longer was not written by us. */
const LONGEST_LINE = 1_048_576

export type AlertRecord =
  /** Raised or cleared; `to`: names of deliveries that it waits for. */
  | { readonly is: 'edge'; readonly alert: Alert; readonly to: readonly string[] }
  /** No longer waiting for that delivery. */
  | {
      readonly is: 'end'
      readonly by: string
      readonly how: 'done' | 'lost'
      readonly ids: readonly string[]
    }
  | ({ readonly is: 'sent' } & SentMail)
  /** The daemon has started, or has stopped in order. Milliseconds since 1970. */
  | { readonly is: 'start' | 'stop'; readonly at: number }
  /** What is known of Postfix's requests (`silence.ts`). */
  | {
      readonly is: 'asked'
      readonly since: number
      readonly last: number
      readonly days: readonly (readonly [day: number, gap: number])[]
    }

export function lineOf(record: AlertRecord): string {
  const text = JSON.stringify(record)
  return `${sum(text)} ${text}\n`
}

/** The records of a file in their order, and how many lines were damaged. */
export function readLines(text: string): { records: AlertRecord[]; damaged: number } {
  const records: AlertRecord[] = []
  let damaged = 0
  for (const line of text.split('\n')) {
    if (line === '') continue
    const record = recordOf(line)
    if (record) records.push(record)
    else damaged++
  }
  return { records, damaged }
}

function recordOf(line: string): AlertRecord | undefined {
  const json = line.slice(9)
  if (line.length > LONGEST_LINE || line[8] !== ' ' || sum(json) !== line.slice(0, 8)) {
    return undefined
  }
  try {
    const record: unknown = JSON.parse(json)
    return isRecord(record) ? record : undefined
  } catch {
    return undefined
  }
}

/** The sum says that we have written it; a later version may have written something else. */
function isRecord(given: unknown): given is AlertRecord {
  if (typeof given !== 'object' || given === null || !('is' in given)) return false
  switch (given.is) {
    case 'edge':
      return 'alert' in given && isAlert(given.alert) && 'to' in given && Array.isArray(given.to)
    case 'end':
      return 'ids' in given && Array.isArray(given.ids) && 'by' in given
    case 'sent':
      return 'subjects' in given && Array.isArray(given.subjects) && 'at' in given
    case 'start':
    case 'stop':
      return 'at' in given && typeof given.at === 'number'
    case 'asked':
      return 'days' in given && Array.isArray(given.days) && 'last' in given
    default:
      return false
  }
}

function isAlert(given: unknown): boolean {
  if (typeof given !== 'object' || given === null) return false
  const names = ['id', 'at', 'state', 'kind', 'key', 'severity', 'account', 'what', 'facts']
  return names.every(name => name in given)
}

function sum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}
