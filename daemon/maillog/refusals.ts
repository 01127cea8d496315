/**
 * Which records say that Postfix refused a message that the daemon may have accepted: a milter, a content
 * rule, a restriction that comes later, a filter before the queue (smtpd_proxy_filter), or cleanup, which
 * cannot look up a map.
 *
 * What a milter discards or holds was accepted by Postfix: the sender is told so, and it stays counted.
 */

import { accountName } from '../policy/account.ts'
import type { LoggedMessage } from '../policy/ports/ledger.ts'
import type { MailRecord } from './record.ts'

/** The programs that refuse mail. */
export const REFUSING_PROGRAMS: readonly string[] = ['smtpd', 'cleanup']

/** Stages at which the whole message is refused; at RCPT it is one recipient. */
const WHOLE_MESSAGE: ReadonlySet<string> = new Set([
  'DATA',
  'BDAT',
  'END-OF-MESSAGE',
  'header',
  'body',
  'mime-error',
])

export interface Refusal {
  readonly message: LoggedMessage
  /** Empty if the line does not say. */
  readonly client: string
  readonly at: number
  /** In Postfix's words. */
  readonly why: string
  /**
   * Cleanup reads a message while it comes in, so it may refuse it before Postfix queries the daemon at the
   * message's end. Nothing that the client does later changes that.
   */
  readonly mayBeEarly: boolean
}

/** Undefined if the record is about something else, or nothing says which message it is. */
export function refusalIn(record: MailRecord): Refusal | undefined {
  if (!REFUSING_PROGRAMS.includes(record.program)) return undefined
  const message = messageOf(record)
  if (message === undefined) return undefined
  const { at } = record
  const mayBeEarly = record.program === 'cleanup'
  switch (record.kind) {
    case 'canceled':
      return { message, client: '', at, why: 'canceled', mayBeEarly: false }
    case 'not-accepted':
      return { message, client: '', at, why: record.reason, mayBeEarly }
    case 'reject':
    case 'milter-reject': {
      if (!WHOLE_MESSAGE.has(record.stage)) return undefined
      const { action, stage, code, enhancedCode, reason } = record
      const words = [`${action}:`, stage, code, enhancedCode, reason]
      const why = words.filter(one => one !== '').join(' ')
      return {
        message,
        client: record.clientAddress,
        at,
        why,
        // Milters see it when it is complete.
        mayBeEarly: mayBeEarly && record.kind === 'reject',
      }
    }
    default:
      return undefined
  }
}

function messageOf(record: MailRecord): LoggedMessage | undefined {
  if (record.queueId !== '') return { queueId: record.queueId }
  if (record.kind !== 'reject' || record.action !== 'proxy-reject') return undefined
  const account = accountName(record.saslUsername, '')
  return record.pid === undefined || account === '' ? undefined : { process: record.pid, account }
}

/** Most lines are told apart without reading them; in the journal, a text may be a list of bytes. */
const MARKS = [
  'reject: ',
  ': canceled',
  'message not accepted',
  'message rejected: ',
  'queue file',
  '"MESSAGE":[',
]

export function mayBeRefusal(line: string): boolean {
  return MARKS.some(mark => line.includes(mark))
}
