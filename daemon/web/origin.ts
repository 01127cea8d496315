/**
 * By which name a browser has come here, and whether the page that sends something is ours.
 *
 * A name that an attacker owns can be made to lead to this host (DNS rebinding); the browser then takes the
 * attacker's page for ours. So only names that lead here by themselves are answered, and those that the
 * administrator has listed.
 */

import type { IncomingHttpHeaders } from 'node:http'
import { canonicalAddress } from '../net/address.ts'
import { isLoopbackHost } from '../net/loopback.ts'
import { WebError } from './reply.ts'

export interface Names {
  /** What the console listens on: a name, an address or a path. */
  readonly host: string
  /** Names by which a reverse proxy is reached, in lower case. */
  readonly names: readonly string[]
}

/** Misdirected Request, RFC 9110 15.5.20. */
const MISDIRECTED = 421
const FORBIDDEN = 403
/** What can be typed as a name without harm. */
const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/

/**
 * @param reached the address of this host that the browser has connected to; undefined: a unix socket.
 * Throws unless all names in the request are ours.
 */
export function checkHost(
  headers: IncomingHttpHeaders,
  reached: string | undefined,
  own: Names,
): void {
  for (const given of [headers.host ?? '', ...forwardedHosts(headers)]) {
    const name = nameIn(given)
    if (name !== undefined && isOurs(name, reached, own)) continue
    const what =
      name === undefined || !NAME.test(name)
        ? 'the request does not say by which name it comes'
        : `the console does not answer to the name ${name}; if it leads here by a proxy of yours: mtpolicyctl set mtpolicyd/web/names=${[...own.names, name].join(',')}`
    throw new WebError(MISDIRECTED, what)
  }
}

function isOurs(name: string, reached: string | undefined, { host, names }: Names): boolean {
  if (isLoopbackHost(name) || names.includes(name) || name === host.toLowerCase()) return true
  const address = canonicalAddress(name)
  return address !== undefined && reached !== undefined && address === canonicalAddress(reached)
}

/**
 * A request that changes something, with a cookie: throws unless it comes from a page of ours. Browsers
 * send `Sec-Fetch-Site` (Fetch Metadata), older ones `Origin` alone (RFC 6454), and a page cannot forge
 * either. The header of our own and the content type are checked as well: another page cannot send them
 * without asking first (CORS), which is never answered.
 */
export function checkOrigin(headers: IncomingHttpHeaders, { names }: Names): void {
  if (headers['x-requested-with'] !== 'mtpolicyd') {
    throw new WebError(FORBIDDEN, 'the header X-Requested-With: mtpolicyd is missing')
  }
  const site = headers['sec-fetch-site']
  const { origin } = headers
  if (site === undefined && origin === undefined) {
    throw new WebError(FORBIDDEN, 'the request does not say from which page it comes (Origin)')
  }
  if (site !== undefined && site !== 'same-origin') {
    throw new WebError(FORBIDDEN, 'the request comes from a page of another origin')
  }
  if (origin === undefined) return
  const from = URL.canParse(origin) ? new URL(origin) : undefined
  if (!from || from.host === '') {
    throw new WebError(FORBIDDEN, 'the request does not say from which page it comes (Origin)')
  }
  const hosts = [headers.host ?? '', ...forwardedHosts(headers)].map(withoutDefaultPort)
  if (hosts.includes(from.host) || names.includes(from.hostname)) return
  const hint = NAME.test(from.hostname)
    ? `; if that is a proxy of yours: mtpolicyctl set mtpolicyd/web/names=${[...names, from.hostname].join(',')}`
    : ''
  throw new WebError(FORBIDDEN, `the request comes from a page of ${from.host}${hint}`)
}

/** `console.example.org:8443` → `console.example.org`; `[::1]:80` → `::1`. Undefined: neither. */
function nameIn(host: string): string | undefined {
  const [, six, name] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(host) ?? []
  return (six ?? name)?.toLowerCase()
}

/** What a proxy was asked for; each proxy on the way may add one. */
function forwardedHosts(headers: IncomingHttpHeaders): readonly string[] {
  const given = headers['x-forwarded-host']
  if (given === undefined) return []
  return [given].flat().flatMap(text => text.split(',').map(one => one.trim()))
}

/** RFC 7239, RFC 9110 7.6.3, and what proxies send besides; one of them may be the only one. */
const OF_PROXIES =
  /^(?:forwarded|via|x-(?:original-)?forwarded-[\w-]+|x-real-ip|true-client-ip|cf-connecting-ip)$/

/** As URL.host has it. */
function withoutDefaultPort(host: string): string {
  return host.toLowerCase().replace(/:(?:80|443)$/, '')
}

/** Does the request come through a proxy that says so? */
export function isForwarded(headers: IncomingHttpHeaders): boolean {
  return Object.keys(headers).some(name => OF_PROXIES.test(name))
}

/** Has the browser an encrypted connection to the proxy? */
export function isEncrypted(headers: IncomingHttpHeaders): boolean {
  const given = [headers['x-forwarded-proto'] ?? ''].flat().join(',')
  return given.split(',')[0]?.trim().toLowerCase() === 'https'
}

/**
 * Where a request comes from, as far as that is known: a proxy on this host says it (the last entry, for
 * what stands before it anybody may have written).
 *
 * @param remote undefined: a unix socket.
 */
export function clientOf(headers: IncomingHttpHeaders, remote: string | undefined): string {
  if (remote !== undefined && !isLoopbackHost(remote)) return canonicalAddress(remote) ?? remote
  const given = [headers['x-forwarded-for'] ?? ''].flat().join(',').split(',').at(-1) ?? ''
  return forwardedAddress(given.trim()) ?? canonicalAddress(remote ?? '') ?? 'local'
}

/** Some proxies add its port: `192.0.2.7:61598`, `[2001:db8::7]:61598`, also in quotes. */
function forwardedAddress(text: string): string | undefined {
  const plain = text.replace(/^"(.*)"$/, '$1')
  const [, six, four] = /^(?:\[([^\]]+)\]|([\d.]+))(?::\d{1,5})?$/.exec(plain) ?? []
  return canonicalAddress(six ?? four ?? plain)
}

/** RFC 6750. */
export function bearerIn({ authorization }: IncomingHttpHeaders): string | undefined {
  return /^Bearer +([\w.~+/-]+=*) *$/i.exec(authorization ?? '')?.[1]
}
