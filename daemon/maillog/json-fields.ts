/**
 * Lines of JSON as collectors write them: Docker's json-file, Loki, Filebeat, rsyslog, Fluent Bit, Graylog.
 * Their names for the same things differ.
 */

import { readIsoTime } from './iso-time.ts'
import type { LocalTimes } from './local-time.ts'
import { readOtherTime } from './other-time.ts'
import type { Envelope } from './record.ts'
import { readTag } from './tag.ts'

type Fields = Readonly<Record<string, unknown>>

const TEXTS = [
  'log',
  'line',
  'message',
  'MESSAGE',
  'msg',
  'short_message',
  'full_message',
  'content',
]
const TIMES = ['@timestamp', 'timestamp', 'time', 'ts', 'date', 'eventtime']
const TAGS = [
  'syslogtag',
  'ident',
  'tag',
  'app-name',
  'appname',
  'program',
  'programname',
  'identifier',
]
const HOSTS = ['host', 'hostname', 'source', '_HOSTNAME']
const PIDS = ['pid', 'procid', 'process_id']
/** Before the year 5138 a time in seconds is smaller, and since 1973 one in milliseconds greater. */
const SECONDS_END = 1e11
const STEPS_TO_MILLISECONDS = 3

/** The line, or the message, that was collected. */
export function textIn(fields: Fields): string | undefined {
  return textOf(fields, TEXTS)?.replace(/[\r\n]+$/, '')
}

/** Milliseconds since 1970. */
export function timeIn(fields: Fields, times: LocalTimes): number | undefined {
  for (const name of TIMES) {
    const value = fields[name]
    if (typeof value === 'number') return inMilliseconds(value)
    if (typeof value !== 'string') continue
    if (/^\d{10,19}(?:\.\d+)?$/.test(value)) return inMilliseconds(Number(value))
    const time = readIsoTime(value, 0) ?? times.read(value, 0) ?? readOtherTime(value, 0, times)
    if (time) return time.at
  }
  return undefined
}

/** Time, program and message from members of their own. Undefined if they are not Postfix's. */
export function readSavedFields(fields: Fields, times: LocalTimes): Envelope | undefined {
  const text = textIn(fields)?.trimStart() ?? ''
  const at = timeIn(fields, times)
  if (at === undefined) return undefined
  const found = /^([\w./-]+)(?:\[(\d{1,9})\])?: /.exec(text)
  const inText = readTag(found?.[1] ?? '')
  const named = /^([\w./-]+)(?:\[(\d{1,9})\])?:?$/.exec(textOf(fields, TAGS) ?? '')
  const tag = inText ?? readTag(named?.[1] ?? '')
  if (tag === undefined) return undefined
  const pid = Number((inText ? found?.[2] : (named?.[2] ?? fieldOf(fields, PIDS))) ?? Number.NaN)
  return {
    at,
    host: textOf(fields, HOSTS) ?? '',
    syslogName: tag.syslogName,
    program: tag.program,
    pid: Number.isSafeInteger(pid) ? pid : undefined,
    text: inText ? text.slice(found?.[0].length) : text,
  }
}

function inMilliseconds(value: number): number {
  let milliseconds = value < SECONDS_END ? value * 1000 : value
  // Micro- and nanoseconds.
  for (let i = 0; i < STEPS_TO_MILLISECONDS && milliseconds > 1000 * SECONDS_END; i++) {
    milliseconds /= 1000
  }
  return milliseconds
}

function textOf(fields: Fields, names: readonly string[]): string | undefined {
  const value = names.map(name => fields[name]).find(value => typeof value === 'string')
  return typeof value === 'string' ? value : undefined
}

function fieldOf(fields: Fields, names: readonly string[]): unknown {
  return names.map(name => fields[name]).find(value => value !== undefined)
}
