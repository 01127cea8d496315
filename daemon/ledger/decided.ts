/** How a message was judged, and what was counted for it: what can be counted again, or given back. */

import type { LoggedMessage } from '../policy/ports/ledger.ts'
import type { CountingPeriod } from './period.ts'

/** What a message counted for one claim. */
export interface Entry {
  readonly period: CountingPeriod
  /** `bucketAt` of the moment it was counted. */
  readonly bucket: number
  readonly subject: string
  /** In the counter's unit; not negative. */
  readonly amount: number
}

/** What is known of a message. */
export interface Decided {
  readonly accepted: boolean
  /** The counter that refused it; empty if none did. */
  readonly refusedBy: string
  readonly stage: 'DATA' | 'END-OF-MESSAGE'
  /** Milliseconds since 1970. */
  readonly at: number
  /** `queueKey` */
  readonly queue: string
  /** One for each claim it was judged by; empty if it was refused. */
  readonly entries: readonly Entry[]
}

/** Instance and account have no line feed. */
export function messageKey(message: {
  readonly account: string
  readonly instance: string
}): string {
  return `${message.instance}\n${message.account}`
}

/** The account of a message's key. */
export function accountOf(message: string): string {
  return message.slice(message.indexOf('\n') + 1)
}

/**
 * What identifies a message in Postfix's log: its queue id, or else the smtpd that has it, which is what an
 * instance begins with (`59f7.6564b0a1.…`, hexadecimal); empty if it has neither.
 */
export function queueKey({ queueId, instance }: { queueId: string; instance: string }): string {
  if (queueId !== '') return queueId
  const end = instance.indexOf('.')
  return end > 0 ? processKey(instance.slice(0, end)) : ''
}

/** The key of the message that a process had last. */
export function loggedKey(message: LoggedMessage): string {
  return 'queueId' in message ? message.queueId : processKey(message.process.toString(16))
}

/** No queue id has this letter. */
function processKey(hexadecimal: string): string {
  return `@${hexadecimal}`
}
