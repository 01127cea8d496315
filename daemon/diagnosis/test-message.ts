/**
 * Would a user's mail get through, and what does the daemon say to it? Sends one through Postfix, and puts
 * together what Postfix sent to the daemon, what that answered, and what Postfix logged.
 */

import type { WatchedRequest } from '../control/control.ts'
import type { Places } from '../maillog/source.ts'
import { readDecisionCode } from '../policy/decision-code.ts'
import { isObjection } from '../policy/verdict.ts'
import type { Door } from '../postfix/smtpd/door.ts'
import { systemClock } from '../system/clock.ts'
import { ArrivedRequests, type RequestSource } from './arrived-requests.ts'
import { type LoggedLines, loggedLines } from './logged-lines.ts'
import { type Login, NO_XCLIENT, type Submitted, submit } from './submission.ts'

export interface Sending {
  readonly door: Door
  readonly login: Login
  readonly sender: string
  readonly recipient: string
  readonly requests: RequestSource
  /** Where the daemon reads Postfix's log; empty: nowhere, so it is looked for. */
  readonly logSource: string
  readonly logPlaces: Places
}

/** A request of this mail and its answer. */
export interface Asked {
  readonly attributes: Readonly<Record<string, string>>
  /** Empty: the daemon closed the connection without one. */
  readonly answer: string
  /** The plugin that decided; empty: none did. */
  readonly by: string
  /** At the end of a refusal; else empty. */
  readonly code: string
  /** Why the answer is not simply what a plugin decided, as in the log; else empty. */
  readonly why: string
  /** In observe mode: what would have been answered; else empty. */
  readonly observed: string
  readonly ms: number
}

/**
 * accepted: by the daemon and by Postfix. refused: by one of them. unasked: accepted by Postfix, which did not
 * query the daemon. failed: it did not come to that.
 */
export type Outcome = 'accepted' | 'refused' | 'unasked' | 'failed'

export interface TestMessage extends Omit<Submitted, 'outcome'> {
  readonly outcome: Outcome
  readonly door: Door
  /** The client as Postfix knows it; empty: there was no connection. */
  readonly client: string
  readonly sender: string
  readonly recipient: string
  /** In the order in which they came; the last one decides. */
  readonly requests: readonly Asked[]
  /** Undefined: it was not refused. */
  readonly refusedBy: 'daemon' | 'Postfix' | undefined
  /** Empty: it got none, or it is not known. */
  readonly queueId: string
  /** Undefined: there is nothing that Postfix could have logged. */
  readonly log: LoggedLines | undefined
}

/** Rejects if the daemon does not show its requests; whatever Postfix does is a result. */
export async function testMessage(sending: Sending): Promise<TestMessage> {
  const { door, login, sender, recipient, logSource, logPlaces } = sending
  const since = systemClock.now()
  const arrived = new ArrivedRequests(sending.requests)
  try {
    let client = ''
    const submitted = await submit({
      door,
      login,
      sender,
      recipient,
      message: messageText(sender, recipient, since),
      begins: (address, port) => {
        client = address
        return arrived.listen({ client, port })
      },
    })
    const { outcome } = submitted
    const requests = (await arrived.all(outcome !== 'failed')).map(asked)
    const queueId = queueIdOf(submitted, requests.at(-1))
    const { localAddress } = submitted
    const sent = { outcome, queueId, sender, recipient, client, localAddress, since }
    return {
      ...submitted,
      outcome: outcome === 'accepted' && requests.length === 0 ? 'unasked' : outcome,
      door,
      client,
      sender,
      recipient,
      requests,
      refusedBy: outcome === 'refused' ? refuser(requests.at(-1)) : undefined,
      queueId,
      log: hasSpoken(submitted) ? await loggedLines(sent, logSource, logPlaces) : undefined,
    }
  } finally {
    arrived.stop()
  }
}

function asked({ attributes, verdict }: WatchedRequest): Asked {
  const text = (name: string): string => String(verdict[name] ?? '')
  const answer = text('verdict')
  const code = readDecisionCode(/\([^()]*\)$/.exec(answer)?.[0] ?? '') ?? ''
  const [by, why, observed] = [text('by'), text('why'), text('observed')]
  return { attributes, answer, by, code, why, observed, ms: Number(verdict.ms ?? 0) }
}

/** Nothing is logged about a service that is not there, or that does not announce something. */
function hasSpoken({ outcome, dialogue, problem }: Submitted): boolean {
  return outcome !== 'failed' || (dialogue.length > 0 && problem !== NO_XCLIENT)
}

function refuser(decisive: Asked | undefined): 'daemon' | 'Postfix' {
  return decisive !== undefined && isObjection(decisive.answer) ? 'daemon' : 'Postfix'
}

/** From the last reply, or the request at the end of the message. */
function queueIdOf({ dialogue }: Submitted, decisive: Asked | undefined): string {
  const queued = /\bqueued as (\w+)/.exec(dialogue.at(-1)?.text ?? '')?.[1]
  return queued ?? decisive?.attributes.queue_id ?? ''
}

/** @param now milliseconds since 1970 */
function messageText(sender: string, recipient: string, now: number): string {
  const domain = sender.slice(sender.lastIndexOf('@') + 1) || 'localhost'
  return [
    `From: <${sender}>`,
    `To: <${recipient}>`,
    'Subject: Test message of mtpolicyctl',
    `Date: ${new Date(now).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${crypto.randomUUID()}@${domain}>`,
    'Auto-Submitted: auto-generated',
    '',
    'An administrator of this mail server has sent this by "mtpolicyctl test-message",',
    'to see whether mail of this account gets through. Nothing needs to be done.',
    '',
  ].join('\n')
}
