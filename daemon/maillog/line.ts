/**
 * A line of a log file, up to its message. The forms:
 *
 *   Nov 30 20:41:02 host postfix/smtpd[123]: …                         RFC 3164; also Postfix's maillog_file
 *   2026-11-30T20:41:02.123456+01:00 host postfix/smtpd[123]: …        rsyslog; journalctl -o short-iso
 *   <22>1 2026-11-30T20:41:02.123456+01:00 host postfix/smtpd 123 - - …      RFC 5424
 *
 * Each with or without its priority in front.
 */

import { type ReadTime, readIsoTime } from './iso-time.ts'
import type { LocalTimes } from './local-time.ts'
import type { Envelope } from './record.ts'
import { readTag } from './tag.ts'

/** rsyslog's for several equal lines in a row. */
const REPEATED = /^message repeated \d+ times: \[ ?(.*)\]$/s

/** Undefined if the line is none of Postfix's, or incomplete. */
export function readLine(line: string, times: LocalTimes): Envelope | undefined {
  const from = endOfPriority(line)
  const isVersioned = isVersion(line, from)
  const time = readTime(line, times, from)
  if (time === undefined || line[time.end] !== ' ') return undefined
  const hostAt = time.end + 1
  const hostEnd = line.indexOf(' ', hostAt)
  if (hostEnd < 0) return undefined
  const host = line.slice(hostAt, hostEnd)
  return readBehindTime(line, { at: time.at, host, from: hostEnd, isVersioned })
}

interface LineHead {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly host: string
  /** Where the tag begins, or spaces in front of it. */
  readonly from: number
  /** As RFC 5424 has it. */
  readonly isVersioned: boolean
}

/** What follows time and host. */
export function readBehindTime(
  line: string,
  { at, host, from, isVersioned }: LineHead,
): Envelope | undefined {
  const tagAt = endOfSpaces(line, from)
  return isVersioned ? readVersioned(line, tagAt, at, host) : readTraditional(line, tagAt, at, host)
}

/** When it was logged, whichever program wrote it; undefined: it does not begin with a time. */
export function readTime(
  line: string,
  times: LocalTimes,
  from = endOfPriority(line),
): ReadTime | undefined {
  const timeAt = isVersion(line, from) ? from + 2 : from
  return readIsoTime(line, timeAt) ?? times.read(line, timeAt)
}

/** RFC 5424 has a version behind the priority. */
export function isVersion(line: string, from: number): boolean {
  return line[from] === '1' && line[from + 1] === ' '
}

/** Some templates fill the place of the host up with spaces. */
function endOfSpaces(line: string, from: number): number {
  let end = from
  while (line[end] === ' ') end++
  return end
}

/** `<22>`, or nothing. */
function endOfPriority(line: string): number {
  if (line[0] !== '<') return 0
  const end = line.indexOf('>')
  return end > 1 && end <= 4 ? end + 1 : 0
}

/** `postfix/smtpd[123]: …` */
function readTraditional(
  line: string,
  from: number,
  at: number,
  host: string,
): Envelope | undefined {
  const colon = line.indexOf(': ', from)
  if (colon < 0) return undefined
  const bracket = line.indexOf('[', from)
  const isNumbered = bracket >= 0 && bracket < colon && line[colon - 1] === ']'
  const tag = readTag(line.slice(from, isNumbered ? bracket : colon))
  if (tag === undefined) return undefined
  const pid = isNumbered ? wholeNumber(line.slice(bracket + 1, colon - 1)) : undefined
  const text = withoutRepetition(withoutNumber(line.slice(colon + 2)))
  return { at, host, syslogName: tag.syslogName, program: tag.program, pid, text }
}

/** `postfix/smtpd 123 - - …` */
function readVersioned(line: string, from: number, at: number, host: string): Envelope | undefined {
  const nameEnd = line.indexOf(' ', from)
  const pidEnd = line.indexOf(' ', nameEnd + 1)
  const idEnd = line.indexOf(' ', pidEnd + 1)
  if (nameEnd < 0 || pidEnd < 0 || idEnd < 0) return undefined
  const tag = readTag(line.slice(from, nameEnd))
  if (tag === undefined) return undefined
  const dataEnd = endOfStructuredData(line, idEnd + 1)
  if (dataEnd === undefined) return undefined
  const textAt = line[dataEnd] === ' ' ? dataEnd + 1 : dataEnd
  const text = line.slice(line[textAt] === '\ufeff' ? textAt + 1 : textAt)
  const pid = wholeNumber(line.slice(nameEnd + 1, pidEnd))
  return { at, host, syslogName: tag.syslogName, program: tag.program, pid, text }
}

/** `-`, or `[name parameter="value"]` one after the other; a value may have `\]` and `\"`. */
function endOfStructuredData(line: string, from: number): number | undefined {
  if (line[from] === '-') return from + 1
  let at = from
  while (line[at] === '[') {
    do {
      at = line.indexOf(']', at + 1)
    } while (at > 0 && line[at - 1] === '\\')
    if (at < 0) return undefined
    at++
  }
  return at > from ? at : undefined
}

function withoutRepetition(text: string): string {
  return text.startsWith('message repeated ') ? (REPEATED.exec(text)?.[1] ?? text) : text
}

/** Solaris and illumos number their messages: `[ID 197553 mail.info] `. */
function withoutNumber(text: string): string {
  return text.startsWith('[ID ') ? text.replace(/^\[ID \d{1,9} [a-z\d]+\.[a-z]+\] /, '') : text
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}
