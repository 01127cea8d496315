/**
 * Where we listen: TCP on IPv4 and IPv6, several ports, and unix sockets, as the option `port`
 * names them: `12345`, `addr:port`, `[::1]:12345`, `/path/sock|unix`.
 */

import { isIPv6, SocketAddress } from 'node:net'
import { excerpt } from '../policy/excerpt.ts'

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

/** The endpoints of a `port` option, or a message that says which part is not one. */
export function parseEndpoints(
  text: string,
  defaultHost: string,
): readonly Endpoint[] | { readonly mistake: string } {
  const endpoints: Endpoint[] = []
  for (const part of text.split(',').map(piece => piece.trim())) {
    if (part === '') continue
    const endpoint = parseEndpoint(part, defaultHost)
    if (!endpoint) {
      return {
        mistake: `expected PORT, ADDRESS:PORT, [ADDRESS]:PORT or /PATH|unix, found "${excerpt(part)}"`,
      }
    }
    endpoints.push(...(Array.isArray(endpoint) ? endpoint : [endpoint]))
  }
  return endpoints.length > 0 ? endpoints : { mistake: 'expected at least one port, found none' }
}

function parseEndpoint(part: string, defaultHost: string): Endpoint | Endpoint[] | undefined {
  const unix = /^(\/.*)\|unix$/.exec(part)
  if (unix?.[1]) return { kind: 'unix', path: unix[1] }
  const tcp = /^(?:\[([0-9A-Fa-f:.%]+)\]:|([^\s:[\]|]+):)?(\d{1,5})(?:\/tcp|\|tcp)?$/.exec(part)
  const port = Number(tcp?.[3])
  if (!tcp || port < 1 || port > 65535) return undefined
  const host = tcp[1] ?? tcp[2] ?? defaultHost
  // A name would take only the first address its resolver gives; Postfix connects to 127.0.0.1.
  if (host === 'localhost') {
    return [
      { kind: 'tcp', host: '127.0.0.1', port },
      { kind: 'tcp', host: '::1', port },
    ]
  }
  return { kind: 'tcp', host: host === '*' ? '0.0.0.0' : host, port }
}
