/**
 * Whose count a mail belongs to.
 *
 * One subject has one spelling: names and domains are folded, domains are in ASCII (xn--), an
 * IPv4-mapped address is the IPv4 address. The null sender, and one without a domain, has nothing to be counted by; it must not be a way
 * around the limit, and bounces of strangers must not share a count. So it is counted by the login, or
 * else by the client's address.
 */

import { ownText } from '../../memory/own-text.ts'
import { canonicalAddress, formatIPv6, parseIPv4, parseIPv6 } from '../../net/address.ts'
import { asciiDomain, domainOf, localPartOf } from '../../policy/mail-address.ts'
import type { PolicyRequest } from '../../policy/request.ts'

export const SUBJECTS = ['user', 'domain', 'client', 'network', 'sender', 'server'] as const
export type SubjectKind = (typeof SUBJECTS)[number]

/** Longest sender that is told apart; an address has at most 320 (RFC 5321). */
const MOST_CHARACTERS = 512

/** Begins the subject of mail whose sender has nothing to be counted by. */
export const NULL_SENDER = '<> '

/** Undefined: the mail has no such subject, and is not counted. `account` is folded; empty: no login. */
export type SubjectOf = (request: PolicyRequest, account: string) => string | undefined

/** @param defaultDomain the domain of accounts without one; empty: unknown */
export function subjectOf(kind: SubjectKind, defaultDomain: string): SubjectOf {
  switch (kind) {
    case 'user':
      return (_, account) => (account === '' ? undefined : account)
    case 'domain': {
      const domainOfAccount = accountDomains(defaultDomain)
      return (request, account) =>
        domainOfAccount(account) || domainOf(senderOf(request)) || withoutSender(request, account)
    }
    case 'client':
      return request => canonicalAddress(request.text('client_address'))
    case 'network':
      return request => networkOf(request.text('client_address'))
    case 'sender':
      return (request, account) => senderOf(request) || withoutSender(request, account)
    case 'server':
      return () => ''
  }
}

/**
 * The same for whatever an account may send; undefined: that depends on the mail, for each account or for
 * this one, which has no domain.
 */
export function subjectOfAccount(
  kind: SubjectKind,
  defaultDomain: string,
): ((account: string) => string | undefined) | undefined {
  switch (kind) {
    case 'user':
      return account => account || undefined
    case 'domain': {
      const domainOfAccount = accountDomains(defaultDomain)
      return account => domainOfAccount(account) || undefined
    }
    case 'server':
      return () => ''
    default:
      return undefined
  }
}

/**
 * Finds the domain of an account; empty if it has none. Usually that is the domain of the account before,
 * and then it is the same string.
 */
export function accountDomains(defaultDomain: string): (account: string) => string {
  const ofOthers = asciiDomain(defaultDomain)
  let last = ''
  let ending = '@'
  return account => {
    if (account.endsWith(ending)) return last
    if (!account.includes('@')) return account === '' ? '' : ofOthers
    last = ownText(asciiDomain(domainOf(account)))
    ending = ownText(`@${last}`)
    return last
  }
}

/** Folded, the local part too: who sends as Alice and as alice has one count. */
function senderOf(request: PolicyRequest): string {
  const written = request.text('sender')
  const local = localPartOf(written).toLowerCase()
  const sender = written.includes('@') ? `${local}@${asciiDomain(domainOf(written))}` : local
  return sender.length > MOST_CHARACTERS ? sender.slice(0, MOST_CHARACTERS).toWellFormed() : sender
}

function withoutSender(request: PolicyRequest, account: string): string | undefined {
  if (account !== '') return NULL_SENDER + account
  const client = canonicalAddress(request.text('client_address'))
  return client === undefined ? undefined : NULL_SENDER + client
}

/** The /24 of an IPv4 address, the /64 of an IPv6 address: what one customer has. */
export function networkOf(text: string): string | undefined {
  const address = canonicalAddress(text)
  if (address === undefined) return undefined
  if (parseIPv4(address) !== undefined) return `${address.slice(0, address.lastIndexOf('.'))}.0/24`
  const groups = parseIPv6(address)
  return groups && `${formatIPv6([...groups.slice(0, 4), 0, 0, 0, 0])}/64`
}
