/**
 * Networks of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
 *
 * An address is the list of its 16-bit groups, two for IPv4 and eight for IPv6, so both kinds are
 * compared alike and never match each other. An IPv4-mapped IPv6 address is the IPv4 address it
 * means.
 */

import { canonicalAddress, parseIPv4, parseIPv6 } from './address.ts'

export type AddressGroups = readonly number[]

export interface Network {
  readonly groups: AddressGroups
  /** How many leading bits count, 0 to 32 or 128. */
  readonly bits: number
}

/** Undefined for what is no address. */
export function addressGroups(text: string): AddressGroups | undefined {
  const canonical = canonicalAddress(text)
  if (canonical === undefined) return undefined
  const ipv4 = parseIPv4(canonical)
  return ipv4 === undefined ? parseIPv6(canonical) : [Math.floor(ipv4 / 65_536), ipv4 % 65_536]
}

/** An address, or ADDRESS/BITS; undefined for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const groups = addressGroups(address)
  if (!groups) return undefined
  const width = groups.length * 16
  // ::ffff:192.0.2.0/120 is written with the bits of IPv6.
  const surplus = address.includes(':') ? 128 - width : 0
  const bits = length === undefined ? width : Number(length) - surplus
  return bits >= 0 && bits <= width ? { groups, bits } : undefined
}

/** Do the first `bits` bits agree? Never for addresses of different kinds. */
export function isWithin(address: AddressGroups, { groups, bits }: Network): boolean {
  if (address.length !== groups.length) return false
  return groups.every((group, index) => {
    const counted = Math.min(Math.max(bits - index * 16, 0), 16)
    const mask = 0xffff & ~(0xffff >> counted)
    return (group & mask) === ((address[index] ?? 0) & mask)
  })
}
