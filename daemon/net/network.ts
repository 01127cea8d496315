/**
 * Networks of addresses: `192.0.2.0/24`, `192.0.2.0/255.255.255.0`, `2001:db8::/32`, or one address.
 * The only parser of networks; Postfix's own syntax is in postfix/smtpd/mynetworks.ts.
 *
 * An address is the list of its 16-bit groups, two for IPv4 and eight for IPv6, so both kinds are
 * compared alike and never match each other. An IPv4-mapped IPv6 address is the IPv4 address it
 * means.
 */

import { canonicalAddress, formatIPv4, formatIPv6, parseIPv4, parseIPv6 } from './address.ts'

export type AddressGroups = readonly number[]

export interface Network {
  readonly groups: AddressGroups
  /** How many leading bits count, 0 to 32 or 128. */
  readonly bits: number
}

/** Undefined for what is not an address. */
export function addressGroups(text: string): AddressGroups | undefined {
  const canonical = canonicalAddress(text)
  if (canonical === undefined) return undefined
  const ipv4 = parseIPv4(canonical)
  return ipv4 === undefined ? parseIPv6(canonical) : [Math.floor(ipv4 / 65_536), ipv4 % 65_536]
}

/** What parseNetwork reads, for messages. */
export const NETWORK_FORMS =
  'an address or a network such as 192.0.2.1, 192.0.2.0/24, 192.0.2.0/255.255.255.0 or 2001:db8::/32'

/** An address, ADDRESS/BITS, or an IPv4 address with its netmask; undefined for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', suffix] = /^([^/%]+)(?:\/([^/]+))?$/.exec(text) ?? []
  const groups = addressGroups(address)
  if (!groups) return undefined
  const width = groups.length * 16
  if (suffix === undefined) return { groups, bits: width }
  // ::ffff:192.0.2.0/120 is written with the bits of IPv6.
  const surplus = address.includes(':') ? 128 - width : 0
  const bits = (/^\d{1,3}$/.test(suffix) ? Number(suffix) : netmaskBits(suffix, width)) - surplus
  return bits >= 0 && bits <= width ? { groups, bits } : undefined
}

/** The leading ones of a netmask; -1 if it is not one, as 255.0.255.0. */
function netmaskBits(text: string, width: number): number {
  const mask = parseIPv4(text)
  if (mask === undefined || width !== 32) return -1
  const bits = mask.toString(2).padStart(32, '0')
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : -1
}

/** Do the first `bits` bits agree? Never for addresses of different kinds. */
export function isWithin(address: AddressGroups, { groups, bits }: Network): boolean {
  if (address.length !== groups.length) return false
  return groups.every((group, index) => {
    const mask = maskOf(bits, index)
    return (group & mask) === ((address[index] ?? 0) & mask)
  })
}

/** The bits of a group that count. */
function maskOf(bits: number, index: number): number {
  const counted = Math.min(Math.max(bits - index * 16, 0), 16)
  return 0xffff & ~(0xffff >> counted)
}

/** 192.0.2.0/24 for 192.0.2.7/24. */
export function withoutHostBits({ groups, bits }: Network): Network {
  return { groups: groups.map((group, index) => group & maskOf(bits, index)), bits }
}

/** `192.0.2.0/24`, `2001:db8::/32`. */
export function formatNetwork({ groups, bits }: Network): string {
  const [high = 0, low = 0] = groups
  const address = groups.length === 2 ? formatIPv4(high * 65_536 + low) : formatIPv6(groups)
  return `${address}/${bits}`
}
