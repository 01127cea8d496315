/**
 * What the address that a DNS block list answers with says (RFC 5782, 2.1 and 2.3).
 *
 * A listing is an address in 127.0.0.0/8. Large lists answer from 127.255.255.0/24 to say that
 * this server may not ask, or asks too often; an address outside 127.0.0.0/8 comes from a zone
 * that is no list any more, or from a provider's server that knows every name.
 */

/**
 * The list as messages name it. Some providers' lists have the customer's key in front,
 * `KEY.zen.dq.spamhaus.net`: whoever reads it may ask at the customer's expense.
 */
export function listName(zone: string): string {
  return zone.replace(/^[a-z0-9]{20,}(?=\.)/i, '***')
}

export function isListing(address: string): boolean {
  return address.startsWith('127.') && !address.startsWith('127.255.255.')
}
