/** Where a mail program on this host connects to a service, and whether TLS comes first there. */

import { isIPv6 } from 'node:net'
import { isLoopbackHost, reachableAddress } from '../../net/loopback.ts'
import { protocolsOf } from './endpoint.ts'
import type { SmtpdService } from './instance.ts'
import { listensAt } from './master-cf.ts'

export interface Door {
  /** `submission/inet` */
  readonly service: string
  /** An address or a name. */
  readonly host: string
  readonly port: number
  /** TLS from the first byte on. */
  readonly isWrapped: boolean
}

/** Undefined: no TCP port, one with a name that is not known here, or only a proxy can connect to it. */
export function doorOf({ name, master, parameters }: SmtpdService): Door | undefined {
  const place = listensAt(master)
  if (place === undefined || parameters.value('smtpd_upstream_proxy_protocol') !== '') {
    return undefined
  }
  const interfaces = parameters.value('inet_interfaces')
  const protocols = protocolsOf(parameters.value('inet_protocols'))
  const loopback = protocols.includes('ipv4') ? '127.0.0.1' : '::1'
  const host = place.host === '' ? fromInside(interfaces, loopback) : reachableAddress(place.host)
  const isWrapped = parameters.isYes('smtpd_tls_wrappermode')
  return { service: name, host, port: place.port, isWrapped }
}

/** `all`, `loopback-only`, or a list of names and addresses. */
function fromInside(interfaces: string, loopback: string): string {
  const names = interfaces.split(/[\s,]+/).map(name => name.replace(/^\[(.*)\]$/, '$1'))
  const isEverywhere = names.some(name => /^(?:all|loopback-only)$/i.test(name))
  if (isEverywhere || names.includes(loopback)) return loopback
  const [first = loopback] = names
  return names.find(isLoopbackHost) ?? first
}

/** `127.0.0.1:587`, `[::1]:587` */
export function doorText({ host, port }: Pick<Door, 'host' | 'port'>): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}
