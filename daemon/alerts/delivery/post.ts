/** Sends one mail to one recipient: by sendmail(1), or as a file for the unit that may start it. */

import { resolve } from 'node:path'
import {
  type AlertSettings,
  type DeliverySurroundings,
  DONE,
  type Held,
  type Outcome,
} from '../delivery.ts'
import { formatMail, type Mailbox, type MailMessage } from './mail-message.ts'
import { outgoingHeld, outgoingOutcome, outgoingProblem, putOutgoing } from './outgoing.ts'
import { recipientDelimiter } from './recipient-delimiter.ts'
import { mayGainPrivileges, sendMail } from './sendmail.ts'

export type Letter = Omit<MailMessage, 'from' | 'hostName'>

export interface Post {
  send(letter: Letter, signal: AbortSignal): Promise<Outcome>
  /** Has the mail that it has taken left this process's hands for good? Waits for it a few seconds. */
  hasLeft(letter: Pick<Letter, 'id' | 'to'>, signal: AbortSignal): Promise<Outcome>
  /** Mail that it has taken, and that waits for another process. */
  held(isForUser: boolean): Held
  /** Mail that it has taken does not leave. */
  problem(): string | undefined
}

export function postOf(
  { sender }: Pick<AlertSettings, 'sender'>,
  { etc, state, hostName, envelopeSender }: DeliverySurroundings,
  mayStart = mayGainPrivileges(),
): Post {
  const from = senderOf(sender, hostName)
  return {
    async send(letter, signal) {
      const { to } = letter
      const message = formatMail({ ...letter, from, hostName })
      const delimiter = await recipientDelimiter(etc)
      const mail = { from: envelopeSender(from.address, to, delimiter), to, message }
      if (mayStart) return sendMail(sendmailOf(etc), mail, { signal })
      return putOutgoing(state, nameOf(letter), mail)
    },
    async hasLeft(letter, signal) {
      return mayStart ? DONE : outgoingOutcome(state, nameOf(letter), signal)
    },
    held: isForUser => outgoingHeld(state, isForUser),
    problem: () => outgoingProblem(state, Date.now()),
  }
}

function nameOf({ id, to }: Pick<Letter, 'id' | 'to'>): string {
  return `${id}-${to}`
}

/** Below another root there is another mail server, or none: this host's own must not get test mail. */
export function sendmailOf(etc: string): string {
  return resolve(etc, '../..', 'usr/sbin/sendmail')
}

/** A bare name is completed by the mail server, which knows better than a host name without a domain. */
function senderOf(sender: string, hostName: string): Mailbox {
  const root = hostName.includes('.') ? `root@${hostName}` : 'root'
  return { name: 'mtpolicyd', address: sender || root }
}
