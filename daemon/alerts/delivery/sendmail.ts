/**
 * Hands a mail to this host's mail server, by sendmail(1), as every mail server has it.
 *
 * Postfix's sendmail starts postdrop, which has to become a member of a group by its set-group-ID bit. In a
 * process that must not gain privileges (NoNewPrivileges= of the daemon's unit) it cannot: the mail is put
 * into a folder then, and another unit sends it (outgoing.ts).
 */

import { readFileSync } from 'node:fs'
import { DONE, type Outcome } from '../delivery.ts'
import { addressText } from './mail-message.ts'
import { PLAIN_ENVIRONMENT, runOn } from './program.ts'

/** A mail server that is busy takes a second or two. */
const SENDMAIL_MILLISECONDS = 20_000

/** A mail in its envelope. */
export interface OutgoingMail {
  /** For messages that it could not be delivered; empty: there shall be none. */
  readonly from: string
  readonly to: string
  readonly message: string
}

/** sysexits.h: EX_USAGE, EX_DATAERR, EX_NOUSER, EX_NOHOST: it would fail the next time, too. */
const FOR_GOOD: ReadonlySet<number> = new Set([64, 65, 67, 68])

export async function sendMail(
  program: string,
  { from, to, message }: OutgoingMail,
  {
    signal,
    env = {},
  }: { readonly signal?: AbortSignal; readonly env?: Record<string, string> } = {},
): Promise<Outcome> {
  const end = await runOn(program, {
    // -i: a line with a dot does not end the mail.
    argv: ['-i', '-f', from === '' ? '<>' : addressText(from), '--', addressText(to)],
    input: message,
    env: { ...PLAIN_ENVIRONMENT, ...env },
    milliseconds: SENDMAIL_MILLISECONDS,
    ...(signal ? { signal } : {}),
  })
  if (end.status === 0) return DONE
  const reason = end.status === undefined ? end.why : `exit status ${end.status}`
  const why = `${program}: ${[reason, end.output].filter(text => text !== '').join(': ')}`
  const isFinal = end.status !== undefined && FOR_GOOD.has(end.status)
  return isFinal ? { is: 'refused', why } : { is: 'later', why }
}

/** May programs that this process starts gain privileges by their set-user-ID and set-group-ID bits? */
export function mayGainPrivileges(status = '/proc/self/status'): boolean {
  try {
    return !/^NoNewPrivs:\s*1$/m.test(readFileSync(status, 'utf8'))
  } catch {
    return true
  }
}
