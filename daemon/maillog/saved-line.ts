/**
 * A line of a log that was saved, sent on or converted, up to its message: beside the forms of `readLine`
 * those with what collectors put in front of a line, or around it:
 *
 *   postfix-mailcow_1  | Nov 30 20:41:02 host postfix/smtpd[123]: …          docker compose logs
 *   2026-11-30T19:41:02.238986028Z Nov 30 20:41:02 host postfix/…            docker logs -t
 *   2026-11-30T19:41:02.238986028Z stdout F Nov 30 20:41:02 host postfix/…   Kubernetes (CRI)
 *   [pod/postfix-0/postfix] Nov 30 20:41:02 host postfix/…                   kubectl logs --prefix
 *   Nov 30 20:41:02 host docker[45]: Nov 30 20:41:02 mail postfix/…          docker's syslog and journald
 *   2026-11-30T20:41:02+01:00 {job="mail"} Nov 30 20:41:02 host postfix/…    Loki's logcli
 *   /var/log/mail.log.1:Nov 30 20:41:02 host postfix/smtpd[123]: …           grep in several files
 *   Nov 30 20:41:02 <mail.info> host postfix/smtpd[123]: …                   FreeBSD's syslogd -v
 *   Nov 30 20:41:02 host mail.info postfix/smtpd[123]: …                     with facility and level
 *   Nov 30 20:41:02 postfix/smtpd[123]: …                                    without a host
 *
 * The line's own time counts; that of the collector only if it has none. All in front of the message must
 * be one of these parts: what a client sent is never taken for a line.
 */

import { isObject, parseJson, readJournalEntry } from './journal-entry.ts'
import { readSavedFields, textIn, timeIn } from './json-fields.ts'
import { isVersion, readBehindTime, readLine, readTime } from './line.ts'
import type { LocalTimes } from './local-time.ts'
import { readOtherTime } from './other-time.ts'
import type { Envelope } from './record.ts'
import { readTag } from './tag.ts'

/** A byte order mark, the separator of JSON sequences, the name of an event's data. */
const BEGINNING = new RegExp(`^(?:\ufeff|${String.fromCharCode(0x1e)}|data: )+`)
const LEVEL =
  '(?:kern|user|mail|daemon|auth|syslog|news|local[0-7])[.:](?:emerg|alert|crit|err|error|warn|warning|notice|info|debug) '
const PARTS = [
  / +/y,
  /[\w.-]+ +\| /y,
  /(?:[\w.-]*\/[\w./-]+:)?(?:\d+:)?(?=[A-Z][a-z]{2} |\d{4}-|<)/y,
  /\[pod\/[\w./-]+\] /y,
  /\{\w+="[^{}]*"\} /y,
  /(?:stdout|stderr) [FP] /y,
  // Only these write a container's own line: any other program's text may be anybody's.
  /\S+ (?:docker[\w./-]*|podman|conmon|[\da-f]{12})\[\d+\]: /y,
  /<(?:\d{1,3}>|[a-z\d]+\.[a-z\d]+> )/y,
  new RegExp(LEVEL, 'y'),
]
const LEVEL_HERE = new RegExp(LEVEL, 'y')
const MOST_PARTS = 8
/** JSON that has a line of JSON in it. */
const MOST_NESTED = 3

/** Undefined if it is none of Postfix's. */
export function readSavedLine(line: string, times: LocalTimes, depth = 0): Envelope | undefined {
  const usual = line[0] === '{' ? readJournalEntry(line) : readLine(line, times)
  if (usual) return usual
  const own = line.replace(BEGINNING, '')
  if (!own.startsWith('{')) return readOtherLine(own, times)
  const object = parseJson(own)
  if (!isObject(object) || depth >= MOST_NESTED) return undefined
  const text = textIn(object)
  return (
    readJournalEntry(own) ??
    (text === undefined ? undefined : readSavedLine(text, times, depth + 1)) ??
    readSavedFields(object, times)
  )
}

/** When it was logged, whichever program wrote it; milliseconds since 1970. */
export function readSavedTime(line: string, times: LocalTimes): number | undefined {
  const own = line.replace(BEGINNING, '')
  if (!own.startsWith('{')) return readHead(own, times).at
  const object = parseJson(own)
  if (!isObject(object)) return undefined
  return readHead(textIn(object) ?? '', times).at ?? timeIn(object, times)
}

interface Head {
  /** Undefined: there is no time. */
  readonly at: number | undefined
  /** Where host or program begin. */
  readonly end: number
  /** As RFC 5424 has it. */
  readonly isVersioned: boolean
}

function readHead(line: string, times: LocalTimes): Head {
  let at: number | undefined
  let end = 0
  let isVersioned = false
  for (let parts = 0; parts < MOST_PARTS; parts++) {
    // The longer ones first: those with a year at their end begin like those without.
    const time = [readOtherTime(line, end, times), readTime(line, times, end)].find(
      one => one && line[one.end] === ' ',
    )
    if (time) {
      isVersioned = isVersion(line, end)
      at = time.at
      end = time.end + 1
      continue
    }
    const partEnd = endOfPart(line, end)
    if (partEnd === end) break
    end = partEnd
  }
  return { at, end, isVersioned }
}

function readOtherLine(line: string, times: LocalTimes): Envelope | undefined {
  const { at, end, isVersioned } = readHead(line, times)
  if (at === undefined) return undefined
  const wordEnd = line.indexOf(' ', end)
  if (wordEnd < 0) return undefined
  const word = line.slice(end, wordEnd)
  if (isTag(word)) return readBehindTime(line, { at, host: '', from: end, isVersioned: false })
  LEVEL_HERE.lastIndex = wordEnd + 1
  const from = LEVEL_HERE.test(line) ? LEVEL_HERE.lastIndex : wordEnd
  return readBehindTime(line, { at, host: word, from, isVersioned })
}

/** `postfix/smtpd[12]:` */
function isTag(word: string): boolean {
  return word.endsWith(':') && readTag(word.replace(/(?:\[\d+\])?:$/, '')) !== undefined
}

function endOfPart(line: string, from: number): number {
  for (const part of PARTS) {
    part.lastIndex = from
    if (part.test(line) && part.lastIndex > from) return part.lastIndex
  }
  return from
}
