/**
 * The key of what an account was seen with: a number that is found fast. That of a country or of a network of IPv4 is
 * made of its bytes; anything else has a hash for a key, and is told from others by its bytes.
 */

import { hashOf } from '../memory/name.ts'
import { formatNetwork } from '../net/network.ts'

export type Kind = 'country' | 'network' | 'client'

export const KINDS: readonly Kind[] = ['country', 'network', 'client']
export const [COUNTRY, NETWORK, CLIENT] = [0, 1, 2]
/** Below it the key of a network of IPv4, its three bytes; from it on that of a country, its two letters. */
export const COUNTRIES = 2 ** 24
/** From it on a hash: one range for each kind. */
export const HASHES = 2 ** 32

/** The key of what these bytes name. */
export function keyOf(kind: number, bytes: Buffer, from: number, end: number): number {
  const length = end - from
  const [high = 0, middle = 0] = [bytes[from], bytes[from + 1]]
  if (kind === COUNTRY && length === 2) return COUNTRIES + high * 256 + middle
  if (kind === NETWORK && length === 3) return high * 65_536 + middle * 256 + (bytes[end - 1] ?? 0)
  return HASHES * (1 + kind) + hashOf(bytes, from, end, 0)
}

/** A place of KINDS. */
export function kindOf(key: number): number {
  if (key >= HASHES) return Math.floor(key / HASHES) - 1
  return key < COUNTRIES ? NETWORK : COUNTRY
}

/** The first three bytes of an address as Postfix writes it; -1: it is none of IPv4. */
export function ipv4Network(bytes: Buffer, from: number, end: number): number {
  let address = 0
  let octet = -1
  let dots = 0
  for (let at = from; at < end; at++) {
    const digit = (bytes[at] ?? 0) - 48
    if (digit >= 0 && digit <= 9) {
      // As inet_pton, without leading zeros.
      if (octet === 0) return -1
      octet = octet < 0 ? digit : octet * 10 + digit
      if (octet > 255) return -1
    } else {
      if (digit !== -2 || octet < 0) return -1
      if (dots < 3) address = address * 256 + octet
      dots++
      octet = -1
    }
  }
  return dots === 3 && octet >= 0 ? address : -1
}

/** As people read it; `text`: the bytes of what has a hash for a key. */
export function nameOf(key: number, text: string): string {
  const [high, middle, low] = [(key >>> 16) & 255, (key >>> 8) & 255, key & 255]
  if (key < COUNTRIES) {
    return formatNetwork({ groups: [high * 256 + middle, low * 256], bits: 24 })
  }
  if (key < HASHES) return String.fromCharCode(middle, low)
  const bytes = Buffer.from(text, 'latin1')
  if (kindOf(key) !== NETWORK) return bytes.toString()
  const all = Buffer.alloc(16)
  bytes.copy(all)
  const groups = Array.from({ length: 8 }, (_, i) => all.readUInt16BE(i * 2))
  return formatNetwork({ groups, bits: 64 })
}
