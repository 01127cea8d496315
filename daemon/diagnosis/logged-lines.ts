/**
 * What Postfix has logged about one mail, a moment after it was sent: the lines with its queue id, its refusal
 * without one, and what the smtpd that took it complained about. At most five seconds are waited for it.
 */

import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { followFile } from '../maillog/follow-file.ts'
import { followJournal, JOURNAL } from '../maillog/follow-journal.ts'
import { lineParser } from '../maillog/parser.ts'
import type { MailRecord } from '../maillog/record.ts'
import { findMailLog, type Places } from '../maillog/source.ts'
import { systemClock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'

const LONGEST_WAIT_MILLISECONDS = 5000
/** A mail has a dozen; one with more recipients is not ours. */
const MOST_LINES = 50
/** A log file has whole seconds. */
const SECOND = 1000

/** Programs of Postfix that a mail passes through. */
const PROGRAMS = [
  'smtpd',
  'cleanup',
  'qmgr',
  'local',
  'virtual',
  'lmtp',
  'smtp',
  'pipe',
  'discard',
  'error',
]

export interface SentMail {
  readonly outcome: 'accepted' | 'refused' | 'failed'
  /** Empty: not known. */
  readonly queueId: string
  readonly sender: string
  readonly recipient: string
  /** As Postfix knows it at the end, and as it connected: XCLIENT may be in between. */
  readonly client: string
  readonly localAddress: string
  /** When it began, milliseconds since 1970. */
  readonly since: number
}

export interface LoggedLines {
  /** A path, or `journal`; empty: there is none. */
  readonly source: string
  readonly lines: readonly string[]
  /** Why there are none, or not all; else empty. */
  readonly problem: string
}

/** @param source where the daemon reads the log; empty: it is looked for */
export async function loggedLines(
  mail: SentMail,
  source: string,
  places: Places,
): Promise<LoggedLines> {
  const found = source === '' ? await findMailLog(places, mail.since) : { source }
  if ('problem' in found) return { source: found.source, lines: [], problem: found.problem }
  if (found.source !== JOURNAL) {
    const problem = await whyUnreadable(found.source)
    if (problem !== undefined) return { source: found.source, lines: [], problem }
  }
  return follow(mail, found.source)
}

async function whyUnreadable(path: string): Promise<string | undefined> {
  try {
    await access(path, constants.R_OK)
    return undefined
  } catch (error) {
    return describeError(error)
  }
}

async function follow(mail: SentMail, source: string): Promise<LoggedLines> {
  const complete = new AbortController()
  const found = new Found(mail)
  const take = (lines: readonly string[]): void => {
    for (const line of lines) found.take(line)
    if (found.isComplete) complete.abort()
  }
  const following =
    source === JOURNAL
      ? followJournal({ programs: PROGRAMS, clock: systemClock, take })
      : followFile({ path: source, clock: systemClock, take })
  await systemClock.sleep(LONGEST_WAIT_MILLISECONDS, complete.signal).catch(() => undefined)
  const { problem } = following
  await following.stop()
  const nothing = `nothing about it within ${LONGEST_WAIT_MILLISECONDS / SECOND} s`
  return { source, lines: found.lines, problem: found.lines.length > 0 ? '' : (problem ?? nothing) }
}

class Found {
  readonly lines: string[] = []
  readonly #mail: SentMail
  readonly #parse = lineParser({ now: () => systemClock.now() })
  /** Processes that spoke with this host. */
  readonly #smtpds = new Set<number>()
  isComplete = false

  constructor(mail: SentMail) {
    this.#mail = mail
  }

  take(line: string): void {
    const record = this.#parse(line)
    if (record === undefined || record.at < this.#mail.since - SECOND) return
    if (this.lines.length >= MOST_LINES || !this.#isAbout(record)) return
    this.lines.push(line.startsWith('{') ? asLine(record) : line)
    this.isComplete ||= this.#isLast(record)
  }

  #isAbout(record: MailRecord): boolean {
    const { outcome, queueId, sender, recipient, client } = this.#mail
    if (this.#isComplaint(record)) return true
    if (outcome === 'failed') return false
    if (queueId !== '' && record.queueId === queueId) return true
    return (
      record.kind === 'reject' &&
      record.queueId === '' &&
      record.from === sender &&
      (record.to === recipient || record.to === '') &&
      record.clientAddress === client
    )
  }

  #isComplaint({ program, pid, text }: MailRecord): boolean {
    if (program !== 'smtpd' || pid === undefined) return false
    if (text.includes(`[${this.#mail.localAddress}]`)) this.#smtpds.add(pid)
    return this.#smtpds.has(pid) && /^(?:warning|error|fatal|panic):|\berror from\b/.test(text)
  }

  #isLast({ kind }: MailRecord): boolean {
    switch (this.#mail.outcome) {
      case 'accepted':
        return ['delivery', 'hold', 'discard'].includes(kind)
      case 'refused':
        return kind === 'reject' || kind === 'milter-reject'
      case 'failed':
        return true
    }
  }
}

/** An entry of the journal as a log file would have it, without the date and the host. */
function asLine({ syslogName, program, pid, text }: MailRecord): string {
  return `${syslogName}/${program}[${pid ?? ''}]: ${text}`
}
