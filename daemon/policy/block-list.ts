/**
 * What the address that a DNS block list answers with means (RFC 5782, 2.1 and 2.3).
 *
 * A listing is an address in 127.0.0.0/8, except for the list's error codes. An address outside
 * 127.0.0.0/8 comes from a zone that is no longer a list, or from a provider's server that knows
 * every name.
 */

import { addressGroups, isWithin, type Network } from '../net/network.ts'

export interface BlockList {
  /** The domain below which names are looked up; lower case, without the final dot. */
  readonly zone: string
  /** Answers that are about the query and not about the name that was looked up. */
  readonly errorCodes: readonly Network[]
}

/**
 * Spamhaus and others answer from 127.255.255.0/24, and the domain lists of Spamhaus (DBL, ZRD) with
 * 127.0.1.255 or 127.0.2.255 when queried for an address. DNSWL answers 127.0.0.255 to clients over
 * its limit, and 127.0.10.3, "highest trust" for everybody, to clients that do not stop.
 */
export const ERROR_CODES = '127.255.255.0/24, 127.0.0.255, 127.0.1.255, 127.0.2.255, 127.0.10.3'

/**
 * URIBL and SURBL refuse with 127.0.0.1, the bit that stands for no category. Some lists of
 * addresses use that code for a listing: a good sender at HostKarma, for one.
 */
export const DOMAIN_LIST_ERROR_CODES = `127.0.0.1, ${ERROR_CODES}`

/**
 * The list as messages name it. Some providers' lists have the customer's key in front,
 * `KEY.zen.dq.spamhaus.net`: with the key anybody can query at the customer's expense.
 */
export function listName(zone: string): string {
  return zone.replace(/^[a-z0-9]{20,}(?=\.)/i, '***')
}

export function isListing(address: string, errorCodes: readonly Network[]): boolean {
  if (!address.startsWith('127.')) return false
  const groups = addressGroups(address)
  return groups !== undefined && !errorCodes.some(network => isWithin(groups, network))
}

/** Error codes whose meaning is documented by those who use them. */
const MEANINGS: Readonly<Record<string, string>> = {
  '127.0.1.255': 'it lists domains, not addresses',
  '127.0.2.255': 'it lists domains, not addresses',
  '127.255.255.252': 'the name of the list is misspelt',
  '127.255.255.254': 'it refuses queries from this server, which come through a public resolver',
  '127.255.255.255': 'it refuses queries from this server because there are too many',
}

/** Why an answer is not a listing, as far as the address tells. */
export function describeNoListing(address: string): string {
  if (!address.startsWith('127.')) return 'that is not an answer of a block list'
  return MEANINGS[address] ?? 'it refuses queries from this server'
}
