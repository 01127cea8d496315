/**
 * A mail as sendmail(1) takes it (RFC 5322): lines end in LF, one part of plain text.
 *
 * Nobody has asked for it, so it says that a program has sent it (RFC 3834, 5): holiday notices and
 * mailing lists do not answer.
 */

import { asciiDomain, domainOf, quotedAddress } from '../../policy/mail-address.ts'
import type { AlertLanguage } from '../alert.ts'
import { folded, oneLine, phrase, textHeader } from './encoded-word.ts'
import { encodedBody } from './quoted-printable.ts'

export interface Mailbox {
  /** Display name; may be empty. */
  readonly name: string
  readonly address: string
}

export interface MailMessage {
  readonly from: Mailbox
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly language: AlertLanguage
  /** Milliseconds since 1970. */
  readonly date: number
  /** The part before the @ of its Message-ID: the same mail has the same. */
  readonly id: string
  /** The same for mails about one condition, so that mail programs show them together; or empty. */
  readonly thread: string
  readonly hostName: string
  /** For filters: `account-near raised 1764575000123-1`, or `digest`. */
  readonly alert: string
}

export function formatMail(mail: MailMessage): string {
  const { encoding, body } = encodedBody(mail.text)
  const idOf = (local: string): string =>
    `<${idText(local)}@${idText(mail.hostName) || 'localhost'}>`
  const headers = [
    mailbox('From', mail.from),
    folded('To', [addressText(mail.to)]),
    textHeader('Subject', mail.subject),
    `Date: ${dateText(mail.date)}`,
    `Message-ID: ${idOf(mail.id)}`,
    ...(mail.thread === '' ? [] : [`References: ${idOf(mail.thread)}`]),
    'Auto-Submitted: auto-generated',
    'Precedence: bulk',
    // Exchange and Outlook follow this one instead.
    'X-Auto-Response-Suppress: All',
    textHeader('X-Mtpolicyd-Alert', mail.alert),
    'MIME-Version: 1.0',
    `Content-Language: ${mail.language}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Transfer-Encoding: ${encoding}`,
  ]
  return `${headers.join('\n')}\n\n${body}`
}

function mailbox(header: string, { name, address }: Mailbox): string {
  const text = addressText(address)
  if (oneLine(name) === '') return folded(header, [text])
  return folded(header, [...phrase(name).split(' '), `<${text}>`])
}

/**
 * As a header and as an argument of sendmail(1): quoted where it has to be, never more than one line. A domain
 * is in ASCII (xn--); other letters before the @ are left, and Postfix asks the next server for SMTPUTF8.
 */
export function addressText(address: string): string {
  const line = oneLine(address)
  const domain = domainOf(line)
  return quotedAddress(
    domain === '' ? line : `${line.slice(0, -domain.length)}${asciiDomain(domain)}`,
  )
}

/** `Tue, 01 Dec 2026 07:45:14 +0000` */
function dateText(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000')
}

/** RFC 5322, 3.6.4: what an identifier may consist of. */
function idText(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9.-]+/g, '-').replaceAll(/^[.-]+|[.-]+$|\.(?=\.)/g, '')
}
