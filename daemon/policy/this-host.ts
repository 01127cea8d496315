/**
 * Webmail, local programs and content filters send mail from a loopback address, or from the address
 * that it is sent to. Such a client is this host itself: to ban, trap or greylist it, or to look it up
 * in a block list, would stop mail of the host's own users.
 */

import { addressKind, canonicalAddress, parseIPv4 } from '../net/address.ts'
import type { PolicyRequest } from './request.ts'
import { boolean } from './setting.ts'

/** The option of every plugin that exempts this host. */
export const thisHostSetting = boolean({
  doc: 'on: a loopback address, or the server’s own (`server_address`), is treated like any other.',
  fallback: false,
})

/** Is the client this host? IPv4-mapped addresses count as the IPv4 addresses they are. */
export function isThisHost(request: PolicyRequest): boolean {
  return isAddressOfThisHost(request.text('client_address'), request)
}

/** `server_address` is where the client connected to; Postfix sends it since 3.1. */
export function isAddressOfThisHost(address: string, request: PolicyRequest): boolean {
  if (address === '') return false
  return addressKind(address) === 'loopback' || isServerAddress(address, request)
}

/** `server_address` alone, for an address that is known not to be a loopback address. */
export function isServerAddress(address: string, request: PolicyRequest): boolean {
  const own = request.text('server_address')
  if (own === '' || address === own) return own !== ''
  // Only IPv6 addresses, those that carry an IPv4 address included, can be written in several ways.
  if (!address.includes(':') && !own.includes(':')) return false
  return isSame(canonicalAddress(address), canonicalAddress(own))
}

function isSame(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && one === other
}

/**
 * Block lists have entries in 127.0.0.0/8 by which an administrator tests them, and never one for
 * 127.0.0.1 (RFC 5782, 5).
 */
export function isTestEntry(address: string): boolean {
  const ipv4 = parseIPv4(address)
  return ipv4 !== undefined && ipv4 >>> 24 === 127 && ipv4 !== 0x7f_00_00_01
}
