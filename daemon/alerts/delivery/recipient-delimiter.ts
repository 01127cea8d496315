/**
 * The character after which this host's mail server takes the rest of a name for an extension (`+` of
 * root+x@example.org). It leaves that away when it looks an address up: to rewrite a sender for a relay host that
 * takes no other one, and to deliver what comes back. Without the right one neither works.
 */

import { resolve } from 'node:path'
import { PLAIN_ENVIRONMENT, runOn } from './program.ts'

const MILLISECONDS = 5000
/** What other mail systems have. */
const USUAL = '+'

/** Empty: there is none, so that nothing may be added to a name. */
export async function recipientDelimiter(etc: string): Promise<string> {
  const postconf = resolve(etc, '../..', 'usr/sbin/postconf')
  const { status, why, output } = await runOn(postconf, {
    argv: ['recipient_delimiter'],
    input: '',
    env: PLAIN_ENVIRONMENT,
    milliseconds: MILLISECONDS,
  })
  if (status === undefined && /\bENOENT\b/.test(why)) return USUAL
  // Postfix 2.11 and later takes several; each of them will do. Warnings may stand around it.
  return /\brecipient_delimiter = ?([^\sA-Za-z0-9"(),:;<>@[\\\]])/.exec(output)?.[1] ?? ''
}
