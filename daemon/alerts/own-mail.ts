/**
 * By which the daemon knows mail that it has sent itself, if that comes back to it as a request (sendmail(1)
 * of another mail system logs in like a user): a note in the envelope sender.
 *
 *   mtpolicyd@mail.example.org → mtpolicyd+mtpolicyd-QJ4V2ZKX7M3NR5TA@mail.example.org
 *
 * The sender alone would be a way around every limit: a client may name any. The note is an HMAC
 * over the recipient and the day. A user who gets such a mail can use it to write to the same single
 * address for three days, and nowhere else. `X-Mtpolicyd-Alert` in the header is for people and filters: a
 * policy request has no headers.
 */

import type { PolicyRequest } from '../policy/request.ts'

const MARK = 'mtpolicyd-'
/** 80 bits. */
const NOTE_CHARACTERS = 16
/** Mail may wait in a queue. */
const VALID_DAYS = 3
const DAY = 86_400_000
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

export class OwnMail {
  readonly #key: Buffer
  readonly #now: () => number

  /** `key`: secret, of this host. */
  constructor(key: Buffer, now: () => number) {
    this.#key = key
    this.#now = now
  }

  /**
   * The envelope sender of mail from `from` to that one recipient. Without a delimiter, or with one that is in the
   * name already, the mail server would take it for another address: then it is `from`.
   */
  envelopeSender(from: string, recipient: string, delimiter: string): string {
    const at = from.lastIndexOf('@')
    const [local, domain] = at < 0 ? [from, ''] : [from.slice(0, at), from.slice(at)]
    if (delimiter === '' || local.includes(delimiter)) return from
    const note = this.#note(recipient, Math.floor(this.#now() / DAY))
    return `${local}${delimiter}${MARK}${note}${domain}`
  }

  /** Did we send it? */
  readonly isOwn = (request: PolicyRequest): boolean => {
    const sender = request.text('sender')
    const at = sender.indexOf(MARK)
    // Behind a name and a delimiter.
    if (at < 2) return false
    const recipient = request.text('recipient')
    // At the end of a message, a recipient is named only if it is the only one (SMTPD_POLICY_README).
    if (recipient === '' || request.count('recipient_count') > 1) return false
    const start = at + MARK.length
    const note = sender.slice(start, start + NOTE_CHARACTERS).toLowerCase()
    const end = sender.charAt(start + NOTE_CHARACTERS)
    if (note.length !== NOTE_CHARACTERS || (end !== '' && end !== '@')) return false
    const today = Math.floor(this.#now() / DAY)
    for (let day = today; day > today - VALID_DAYS; day--) {
      if (this.#note(recipient, day) === note) return true
    }
    return false
  }

  #note(recipient: string, day: number): string {
    const { createHmac } = process.getBuiltinModule('node:crypto')
    const bytes = createHmac('sha256', this.#key)
      .update(`${day}\n${recipient.toLowerCase()}`)
      .digest()
    let note = ''
    let bits = 0
    let held = 0
    for (const byte of bytes) {
      held = (held << 8) | byte
      bits += 8
      while (bits >= 5 && note.length < NOTE_CHARACTERS) {
        bits -= 5
        note += ALPHABET.charAt((held >> bits) & 31)
      }
      held &= 255
    }
    return note
  }
}
