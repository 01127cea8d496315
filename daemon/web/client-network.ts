/** Whom an address stands for: bounds for single addresses would be none with IPv6. */

import { canonicalAddress, formatIPv6, parseIPv6 } from '../net/address.ts'

/** The network, with IPv6: a host has 2^64 addresses of its own. Anything else is left as it is. */
export function clientNetwork(address: string): string {
  const known = canonicalAddress(address) ?? address
  const groups = parseIPv6(known)
  return groups ? formatIPv6([...groups.slice(0, 4), 0, 0, 0, 0]) : known
}
