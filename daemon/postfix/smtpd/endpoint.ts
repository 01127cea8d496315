/**
 * Where the daemon listens, and the item with which a Postfix reaches it there.
 *
 * `mtpolicyd/host` and `mtpolicyd/port` say where it listens; `localhost` is 127.0.0.1 and ::1. A
 * Postfix connects over IPv4, IPv6 or both (inet_protocols), and its chroot may be unable to
 * resolve names. So the item contains one address at which the daemon listens and which that
 * Postfix can use.
 */

import { isIP, isIPv6 } from 'node:net'
import { listenAddresses, reachableAddress } from '../../net/loopback.ts'
import { formatServer, type PolicyServer } from './policy-item.ts'

export interface Endpoint {
  /** As in `mtpolicyd/host`: a name, an address, `localhost`. */
  readonly host: string
  readonly port: number
}

export type Listener =
  | { readonly kind: 'inet'; readonly address: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export type Protocol = 'ipv4' | 'ipv6'

/** Where the daemon would listen, for when it is not running. A name is left as it is. */
export function listenersOf({ host, port }: Endpoint): Listener[] {
  return listenAddresses(host).map(address => ({ kind: 'inet', address, port }))
}

/** The address as a running daemon reports it: `127.0.0.1:12345`, `[::1]:12345`, `/path|unix`. */
export function readListener(text: string): Listener | undefined {
  const path = /^(\/.*)\|unix$/.exec(text)?.[1]
  if (path !== undefined) return { kind: 'unix', path }
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^[\]]+)):(\d+)$/.exec(text) ?? []
  const address = bracketed ?? plain
  return address === undefined ? undefined : { kind: 'inet', address, port: Number(port) }
}

export function formatListener(listener: Listener): string {
  if (listener.kind === 'unix') return listener.path
  const { address, port } = listener
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** `inet_protocols`: `all`, or a list. */
export function protocolsOf(inetProtocols: string): readonly Protocol[] {
  const words = inetProtocols.toLowerCase().split(/[\s,]+/)
  const isAll = words.includes('all')
  return (['ipv4', 'ipv6'] as const).filter(protocol => isAll || words.includes(protocol))
}

/** The server to put into a Postfix's item; or why it can reach none of these. */
export function serverFor(
  listeners: readonly Listener[],
  protocols: readonly Protocol[],
): PolicyServer | { readonly why: string } {
  const inet = listeners.flatMap(listener => (listener.kind === 'inet' ? [listener] : []))
  const usable = inet.flatMap(({ address, port }) => {
    const host = reachableAddress(address)
    const protocol = isIPv6(host) ? 'ipv6' : 'ipv4'
    const isUsable = isIP(host) === 0 || protocols.includes(protocol)
    return isUsable ? [{ kind: 'inet', host, port: String(port) } as const] : []
  })
  const isFirst = (host: string) => host === '127.0.0.1'
  const best = usable.find(({ host }) => isFirst(host)) ?? usable.find(({ host }) => host === '::1')
  const found = best ?? usable[0]
  if (found) return found
  const unix = listeners.find(listener => listener.kind === 'unix')
  if (unix) return { kind: 'unix', path: unix.path }
  const where = listeners.map(formatListener).join(' and ')
  const only = protocols.includes('ipv6') ? 'IPv6' : 'IPv4'
  return {
    why: `this Postfix connects over ${only} only (inet_protocols), and the daemon listens on ${where}`,
  }
}

/**
 * The item for a Postfix of this version. From 3.0 on it says what happens if the daemon does not
 * answer: mail is accepted after 5 s. An older Postfix has no such option and answers 451.
 */
export function restrictionItem(server: PolicyServer, mailVersion: string): string {
  const name = formatServer(server)
  if (Number.parseInt(mailVersion, 10) < 3) return `check_policy_service ${name}`
  return `check_policy_service { ${name}, default_action=DUNNO, timeout=5s }`
}

/** For `-o NAME=VALUE` in master.cf, where a space ends the value. */
export function withoutBlanks(item: string): string {
  return item.replace(/,? +/g, ',').replace('{,', '{').replace(',}', '}')
}

/**
 * An endpoint in a form that suits both address families: `inet:127.0.0.1:12345`. Two endpoints
 * with the same name are the same.
 */
export function endpointName(endpoint: Endpoint): string {
  const server = serverFor(listenersOf(endpoint), ['ipv4', 'ipv6'])
  return 'why' in server ? '' : formatServer(server)
}
