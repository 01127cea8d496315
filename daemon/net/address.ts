/**
 * What an address tells about a client by itself.
 *
 * Each address has one spelling (RFC 5952; IPv4-mapped IPv6 is written as the IPv4 address) and one
 * kind. Every function takes whatever Postfix sends, also `unknown` or nonsense, and never throws:
 * anything but an address has no canonical form and no kind. Plain dotted IPv4, as in nearly every
 * request, is parsed without regular expressions or allocation.
 *
 * Countries, names and the operator's networks are not known here.
 */

import { isIPv6 } from 'node:net'

/**
 * `private` also covers carrier NAT, ULA, site-local and the benchmark and translation networks
 * that never cross the Internet; `reserved` is multicast and class E.
 */
export type AddressKind =
  | 'public'
  | 'documentation'
  | 'loopback'
  | 'private'
  | 'link-local'
  | 'unspecified'
  | 'reserved'

/** The one spelling of an address, undefined for anything else. A zone (`%eth0`) is dropped. */
export function canonicalAddress(text: string): string | undefined {
  if (parseIPv4(text) !== undefined) return text
  const groups = parseIPv6(text)
  if (groups === undefined) return undefined
  return isMapped(groups) ? formatIPv4(mappedIPv4(groups)) : formatIPv6(groups)
}

export function addressKind(text: string): AddressKind | undefined {
  const ipv4 = parseIPv4(text)
  if (ipv4 !== undefined) return kindOfIPv4(ipv4)
  const groups = parseIPv6(text)
  if (groups === undefined) return undefined
  return isMapped(groups) ? kindOfIPv4(mappedIPv4(groups)) : kindOfIPv6(groups)
}

/**
 * Can this address be somewhere on the Internet, so that it makes sense to look up its country?
 * Documentation and reserved networks count: a database does not know them, and a forged 240.0.0.1
 * must not pass as one of our own.
 */
export function isPublic(text: string): boolean {
  switch (addressKind(text)) {
    case 'public':
    case 'documentation':
    case 'reserved':
      return true
    default:
      return false
  }
}

/** A strict dotted quad as a number; leading zeros are refused, as by inet_pton. */
export function parseIPv4(text: string): number | undefined {
  const length = text.length
  if (length < 7 || length > 15) return undefined
  let address = 0
  let octet = -1
  let dots = 0
  for (let i = 0; i < length; i++) {
    const c = text.charCodeAt(i)
    if (c === 46) {
      if (octet < 0) return undefined
      address = address * 256 + octet
      octet = -1
      dots++
    } else if (c >= 48 && c <= 57) {
      if (octet === 0) return undefined
      octet = octet < 0 ? c - 48 : octet * 10 + c - 48
      if (octet > 255) return undefined
    } else {
      return undefined
    }
  }
  return dots === 3 && octet >= 0 ? address * 256 + octet : undefined
}

/** The eight groups of an IPv6 address. */
export function parseIPv6(text: string): number[] | undefined {
  if (!isIPv6(text)) return undefined
  const zone = text.indexOf('%')
  const bare = zone < 0 ? text : text.slice(0, zone)
  const gap = bare.indexOf('::')
  if (gap < 0) return groupsOf(bare)
  const head = groupsOf(bare.slice(0, gap))
  const tail = groupsOf(bare.slice(gap + 2))
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

function groupsOf(part: string): number[] {
  if (part === '') return []
  return part.split(':').flatMap(group => {
    const ipv4 = parseIPv4(group)
    return ipv4 === undefined
      ? Number.parseInt(group, 16)
      : [Math.floor(ipv4 / 65536), ipv4 % 65536]
  })
}

/**
 * The IPv4 address inside an IPv6 address, which says more about the client than the prefix of the
 * relay or translator around it; undefined if there is none. IPv4-mapped addresses are IPv4
 * addresses and not meant here.
 */
export function embeddedIPv4(text: string): string | undefined {
  const groups = text.includes(':') ? parseIPv6(text) : undefined
  if (groups === undefined) return undefined
  const [first = 0, second = 0, third = 0] = groups
  const last = mappedIPv4(groups)
  // 6to4, RFC 3056.
  if (first === 0x2002) return formatIPv4(second * 65536 + third)
  // Teredo, RFC 4380: the client's address, inverted.
  if (first === 0x2001 && second === 0) return formatIPv4(0xffffffff - last)
  return isTranslated(groups) ? formatIPv4(last) : undefined
}

/**
 * An address as the other side of a NAT64 translator has it (64:ff9b::/96, RFC 6052): to a server in
 * an IPv6-only network all IPv4 clients come from there. Any other address is returned unchanged.
 */
export function untranslatedAddress(text: string): string {
  const groups = text.includes(':') ? parseIPv6(text) : undefined
  if (groups === undefined || !isTranslated(groups)) return text
  const ipv4 = mappedIPv4(groups)
  // A translator hands on public addresses only: anything else has been made up.
  return kindOfIPv4(ipv4) === 'public' ? formatIPv4(ipv4) : text
}

/** 64:ff9b::/96 */
function isTranslated(groups: readonly number[]): boolean {
  return (
    groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every(group => group === 0)
  )
}

/** ::ffff:0:0/96 */
function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every(group => group === 0)
}

function mappedIPv4(groups: readonly number[]): number {
  return (groups[6] ?? 0) * 65536 + (groups[7] ?? 0)
}

export function formatIPv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}

/** RFC 5952: lower case, the first longest run of at least two zero groups becomes `::`. */
export function formatIPv6(groups: readonly number[]): string {
  let start = -1
  let longest = 1
  for (let i = 0; i < groups.length; i++) {
    let end = i
    while (groups[end] === 0) end++
    if (end - i > longest) {
      start = i
      longest = end - i
    }
    if (end > i) i = end
  }
  const hex = groups.map(group => group.toString(16))
  if (start < 0) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + longest).join(':')}`
}

/** IANA's special-purpose registry (RFC 6890), as far as it matters for a mail client. */
function kindOfIPv4(address: number): AddressKind {
  const first = address >>> 24
  const second = (address >>> 16) & 255
  const third = (address >>> 8) & 255
  if (first >= 224) return 'reserved'
  switch (first) {
    case 0:
      return 'unspecified'
    case 10:
      return 'private'
    case 100:
      return (second & 0xc0) === 64 ? 'private' : 'public'
    case 127:
      return 'loopback'
    case 169:
      return second === 254 ? 'link-local' : 'public'
    case 172:
      return (second & 0xf0) === 16 ? 'private' : 'public'
    case 192:
      if (second === 168) return 'private'
      if (second !== 0) return 'public'
      if (third === 2) return 'documentation'
      return third === 0 ? 'private' : 'public'
    case 198:
      if ((second & 0xfe) === 18) return 'private'
      return second === 51 && third === 100 ? 'documentation' : 'public'
    case 203:
      return second === 0 && third === 113 ? 'documentation' : 'public'
    default:
      return 'public'
  }
}

function kindOfIPv6(groups: readonly number[]): AddressKind {
  const [first = 0, second = 0, third = 0] = groups
  if (first === 0 && groups.slice(0, 7).every(group => group === 0)) {
    if (groups[7] === 0) return 'unspecified'
    if (groups[7] === 1) return 'loopback'
  }
  if (first >= 0xff00) return 'reserved'
  if ((first & 0xffc0) === 0xfe80) return 'link-local'
  if ((first & 0xffc0) === 0xfec0 || (first & 0xfe00) === 0xfc00) return 'private'
  // RFC 8215: translation prefix for use inside one network only.
  if (first === 0x64 && second === 0xff9b && third === 1) return 'private'
  if (first === 0x2001 && second === 0x0db8) return 'documentation'
  // RFC 9637.
  if (first === 0x3fff && second < 0x1000) return 'documentation'
  return 'public'
}
