/**
 * When smtpd evaluates which of its lists. With smtpd_delay_reject=yes the client, HELO and sender
 * lists are evaluated at RCPT; then the relay and the recipient list, in the order given by
 * smtpd_relay_before_recipient_restrictions; then DATA and END-OF-MESSAGE.
 */

import type { Parameters } from './parameters.ts'
import { END_OF_DATA } from './restriction-list.ts'

export type State = 'CONNECT' | 'EHLO' | 'MAIL' | 'RCPT' | 'DATA' | 'END-OF-MESSAGE'

export const STATES: readonly State[] = [
  'CONNECT',
  'EHLO',
  'MAIL',
  'RCPT',
  'DATA',
  'END-OF-MESSAGE',
]

export interface Stage {
  readonly list: string
  readonly state: State
}

/** The lists of a service in the order of their evaluation. */
export function stagesOf(parameters: Parameters): { list: string; state: State }[] {
  const isDelayed = parameters.isYes('smtpd_delay_reject')
  const relay = { list: 'smtpd_relay_restrictions', state: 'RCPT' } as const
  const recipient = { list: 'smtpd_recipient_restrictions', state: 'RCPT' } as const
  const order = 'smtpd_relay_before_recipient_restrictions'
  // Before 3.6 the parameter does not exist, so setting it has no effect.
  const isRelayFirst = parameters.default(order) !== undefined && parameters.isYes(order)
  return [
    { list: 'smtpd_client_restrictions', state: isDelayed ? 'RCPT' : 'CONNECT' },
    { list: 'smtpd_helo_restrictions', state: isDelayed ? 'RCPT' : 'EHLO' },
    { list: 'smtpd_sender_restrictions', state: isDelayed ? 'RCPT' : 'MAIL' },
    ...(isRelayFirst ? [relay, recipient] : [recipient, relay]),
    { list: 'smtpd_data_restrictions', state: 'DATA' },
    { list: END_OF_DATA, state: 'END-OF-MESSAGE' },
  ]
}

/** Does a request at this state contain something that can be counted? */
export function canCount(state: State): boolean {
  return state === 'RCPT' || state === 'DATA' || state === 'END-OF-MESSAGE'
}
