/**
 * Where the daemon listens: TCP on IPv4 and IPv6, several ports, and unix sockets, as the option
 * `port` names them: `12345`, `addr:port`, `[::1]:12345`, `/path/sock|unix`.
 */

import { isIPv6, SocketAddress } from 'node:net'
import { excerpt } from '../text/excerpt.ts'
import { listenAddresses } from './loopback.ts'

export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** The key of the <VirtualHost> that serves an endpoint: the port alone, or the socket's path. */
export function endpointKey(endpoint: Endpoint): string {
  return endpoint.kind === 'tcp' ? String(endpoint.port) : endpoint.path
}

/** As the operator writes it. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `${endpoint.path}|unix`
  return endpoint.host.includes(':')
    ? `[${endpoint.host}]:${endpoint.port}`
    : `${endpoint.host}:${endpoint.port}`
}

/** The same for every spelling of an address, so that a bound socket can be recognised. */
export function bindingName(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix' || !isIPv6(endpoint.host) || endpoint.host.includes('%')) {
    return formatEndpoint(endpoint)
  }
  const { address } = new SocketAddress({ address: endpoint.host, family: 'ipv6' })
  return formatEndpoint({ ...endpoint, host: address })
}

/** The endpoints of a `port` option, or a message that names the part that is not one. */
export function parseEndpoints(
  text: string,
  defaultHost: string,
): readonly Endpoint[] | { readonly mistake: string } {
  const endpoints: Endpoint[] = []
  for (const part of text.split(',').map(piece => piece.trim())) {
    if (part === '') continue
    const read = parseEndpoint(part, defaultHost)
    if (!read) {
      return {
        mistake: `expected PORT, ADDRESS:PORT, [ADDRESS]:PORT or /PATH|unix, found "${excerpt(part)}"`,
      }
    }
    endpoints.push(...read)
  }
  return endpoints.length > 0 ? endpoints : { mistake: 'expected at least one port, found none' }
}

/** What separates the parts of an endpoint, as Net::Server has it. */
const SEPARATOR = '[|\\s:]+'
const IP_VERSION = new RegExp(`(?<=[\\w*\\]])${SEPARATOR}ipv([46*])`, 'i')
const PROTOCOL = new RegExp(`(?<=[\\w*\\]])(?:${SEPARATOR}|/)tcp$`, 'i')
const ADDRESS_AND_PORT = new RegExp(`^(?:(.*?)${SEPARATOR})?(\\d{1,5})$`)

/**
 * One endpoint, in every form that Net::Server reads and this daemon can serve: a host may be
 * missing (`:12345`, every address), stand in brackets or not (`::1:12345`), and the protocol and
 * the version of IP may follow (`12345|tcp`, `*:12345|ipv6`).
 */
function parseEndpoint(part: string, defaultHost: string): readonly Endpoint[] | undefined {
  const unix = /^(\/.*)\|unix$/.exec(part)?.[1]
  if (unix) return [{ kind: 'unix', path: unix }]
  // Net::Server reads an address alone as every address and a port: ::1 as port 1.
  if (isIPv6(part)) return undefined

  let versions = ''
  let rest = part
  for (let times = 0; times < 2; times++) {
    rest = rest.replace(IP_VERSION, (_whole, version: string) => {
      versions += version
      return ''
    })
  }
  const [, written, digits = ''] = ADDRESS_AND_PORT.exec(rest.replace(PROTOCOL, '')) ?? []
  const port = Number(digits)
  if (port < 1 || port > 65_535) return undefined
  const host = (written ?? defaultHost).replace(/^\[(.*)\]$/, '$1')
  if (!isHost(host)) return undefined
  const addresses = listenAddresses(host, versions)
  return addresses.length === 0
    ? undefined
    : addresses.map(address => ({ kind: 'tcp', host: address, port }))
}

/** A name, `*`, nothing, or an address, perhaps with a zone. */
function isHost(host: string): boolean {
  return host.includes(':') ? isIPv6(host) : /^(?:[\w.-]*|\*)$/.test(host)
}
