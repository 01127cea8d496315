/**
 * What smtpd logs when a filter before the queue (smtpd_proxy_filter) has taken a message over:
 *
 *   proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as A3AA020C20B; from=<a> to=<b> proto=ESMTP
 *   helo=<c> sasl_username=<d>
 *
 * Who sends it was logged before, as `NOQUEUE: client=`. The message itself comes in again behind the filter,
 * without a login; most filters pass on the answer that it got there, with its queue id.
 */

import { readLogin } from './message.ts'
import { isQueueId } from './queue-id.ts'

export interface ProxyAccept {
  /** Behind the filter; empty if the filter's answer does not tell. */
  readonly queueId: string
  /** Empty without a login. */
  readonly saslUsername: string
}

const ACCEPT = /^(?:NOQUEUE: )?proxy-accept: [A-Z-]+: (2\d\d.*)$/s
/** The words of the answer end where the sender begins. */
const QUEUED_AS = /\bqueued as ([^\s;)]+)/g

export function readProxyAccept(text: string): ProxyAccept | undefined {
  const answer = ACCEPT.exec(text)?.[1]
  if (answer === undefined) return undefined
  const senderAt = answer.indexOf('; from=<')
  const words = answer.slice(0, senderAt < 0 ? undefined : senderAt)
  // The last hop is named last.
  const queueId = [...words.matchAll(QUEUED_AS)].at(-1)?.[1] ?? ''
  return { queueId: isQueueId(queueId) ? queueId : '', saslUsername: readLogin(answer) }
}
