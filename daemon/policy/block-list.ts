/**
 * What the address that a DNS block list answers with says (RFC 5782, 2.1 and 2.3).
 *
 * A listing is an address in 127.0.0.0/8. Large lists answer from 127.255.255.0/24 to say that
 * this server may not ask, or asks too often; an address outside 127.0.0.0/8 comes from a zone
 * that is no list any more, or from a provider's server that knows every name.
 */

export function isListing(address: string): boolean {
  return address.startsWith('127.') && !address.startsWith('127.255.255.')
}
