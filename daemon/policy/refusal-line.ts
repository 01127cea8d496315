/** A refusal as a list shows it. */

import type { Refusal, RefusalLine } from './ports/history.ts'

export function refusalLine(refusal: Refusal): RefusalLine {
  const { code, at, account, country, recipients, bytes, action, by, attributes } = refusal
  const told = (name: string): string => attributes[name] ?? ''
  return {
    code,
    at,
    account,
    country,
    recipients,
    bytes,
    client: told('client_address'),
    sender: told('sender'),
    helo: told('helo_name'),
    recipient: told('protocol_state') === 'RCPT' ? told('recipient') : '',
    action,
    by,
  }
}
