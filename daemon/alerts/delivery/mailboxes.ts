/** Addresses as an administrator writes them: `root`, `a@example.org`, `Name <a@example.org>`. */

import { writtenAddress } from '../../policy/mail-address.ts'
import { oneLine } from './encoded-word.ts'
import type { Mailbox } from './mail-message.ts'

/** RFC 5321, 4.5.3.1: 64 before the @ and 255 after it. */
const LONGEST_ADDRESS = 320
/** Recipients of alerts. */
const MOST_ADDRESSES = 20

/** Those of a list separated by commas; without doubles. */
export function addressesIn(list: string): string[] {
  const found = (list.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [])
    .map(one => mailboxIn(one).address)
    .filter(address => address !== '')
  return [...new Set(found)].slice(0, MOST_ADDRESSES)
}

export function mailboxIn(written: string): Mailbox {
  const text = oneLine(written)
  const [, name = '', bracketed] = /^(.*)<([^<>]*)>$/.exec(text) ?? []
  const address = writtenAddress((bracketed ?? text).trim())
  const shown = name.trim().replace(/^"(.*)"$/, '$1')
  return { name: shown, address: address.length <= LONGEST_ADDRESS ? address : '' }
}

/**
 * The address of an account: only one that is certainly an address of its own. A name with spaces,
 * quotes or slashes is a login name and nothing else.
 */
export function addressOfAccount(account: string, defaultDomain: string): string | undefined {
  const whole =
    account.includes('@') || defaultDomain === '' ? account : `${account}@${defaultDomain}`
  const isAddress = /^[\p{L}\p{N}_][\p{L}\p{N}._+=~'-]*(?:@[\p{L}\p{N}][\p{L}\p{N}.-]*)?$/u.test(
    whole,
  )
  return isAddress && whole.length <= LONGEST_ADDRESS ? whole : undefined
}
