/**
 * Recognises our items by their text: the word after `check_policy_service` names our port on a
 * host that stands for ours. This finds what we wrote, however it was edited since. Whether it
 * reaches the daemon is decided elsewhere (`reach.ts`).
 */

import { isLoopbackHost } from '../../net/loopback.ts'
import { type Endpoint, listenersOf } from '../smtpd/endpoint.ts'
import { tokenise } from '../smtpd/restriction-list.ts'

/** The items of a list that query one of these endpoints, each as it is written there. */
export function recognise(value: string, endpoints: readonly Endpoint[]): string[] {
  const tokens = tokenise(value)
  return tokens.flatMap(({ text, start }, i) => {
    const argument = tokens[i + 1]
    return argument && asks(text, argument.text, endpoints)
      ? [value.slice(start, argument.end)]
      : []
  })
}

/** Whether `restriction argument` queries one of these endpoints. */
export function asks(
  restriction: string,
  argument: string | undefined,
  endpoints: readonly Endpoint[],
): boolean {
  if (restriction.toLowerCase() !== 'check_policy_service' || argument === undefined) return false
  const inner = argument.startsWith('{') ? argument.replace(/^\{|\}$/g, '') : argument
  const server = tokenise(inner)[0]?.text ?? ''
  return endpoints.some(endpoint => isSameServer(server, endpoint))
}

function isSameServer(server: string, endpoint: Endpoint): boolean {
  const written = /^inet:(?:\[(.+)\]|(.+)):(\d+)$/i.exec(server)
  if (!written || Number(written[3]) !== endpoint.port) return false
  const host = (written[1] ?? written[2] ?? '').toLowerCase()
  return listenersOf(endpoint).some(listener => {
    if (listener.kind !== 'inet') return false
    const { address } = listener
    const isWildcard = address === '0.0.0.0' || address === '::'
    return (
      host === address.toLowerCase() ||
      (isLoopbackHost(host) && (isWildcard || isLoopbackHost(address)))
    )
  })
}
