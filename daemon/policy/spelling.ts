/**
 * One value, several spellings: `Example.org.` is example.org, ALICE logs in as alice, and
 * ::ffff:192.0.2.7 is 192.0.2.7. Lists, traps, tables and counters must not treat them as different.
 */

import { canonicalAddress } from '../net/address.ts'
import { accountName } from './account.ts'
import { plainAddress, plainDomain, quotedAddress, writtenAddress } from './mail-address.ts'

function isMailAddress(attribute: string): boolean {
  return attribute === 'sender' || attribute === 'recipient'
}

/** The one spelling under which a value of the request is kept or counted. */
export function plainValue(attribute: string, value: string): string {
  switch (attribute) {
    case 'sender':
    case 'recipient':
      return plainAddress(value)
    case 'helo_name':
      return plainDomain(value)
    case 'sasl_username':
      return accountName(value, '')
    case 'client_address':
      return canonicalAddress(value) ?? value
    default:
      return value
  }
}

/** The same for what a configuration compares the value with. */
export function plainWritten(attribute: string, written: string): string {
  return isMailAddress(attribute) ? writtenAddress(written) : plainValue(attribute, written)
}

/** All spellings under which a list may contain a value: as it came, then plain, then quoted. */
export function spellings(attribute: string, value: string): readonly string[] {
  const plain = plainValue(attribute, value)
  const quoted = isMailAddress(attribute) ? quotedAddress(plain) : plain
  return plain === value && quoted === value ? [value] : [...new Set([value, plain, quoted])]
}

/** The attribute of the request that a key (`policy/fields.ts`) names, if it does. */
export function attributeOf(key: string): string | undefined {
  const [, scope, name] = /^(?:([^:]*):)?(.*)$/s.exec(key) ?? []
  return scope === undefined || scope === 'r' || scope === 'request' ? name : undefined
}
