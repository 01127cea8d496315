/**
 * Postfix's restrictions (postconf(5), generic_checks in smtpd_check.c): what each may do to the
 * list that contains it.
 *
 * Only two things matter here: whether it may end the list with a permit, because then nothing
 * after it is evaluated, and whether it always rejects, because then no mail passes. A restriction
 * that may reject some mail does not matter: what it rejects does not pass.
 */

import { compareLevels } from './expand.ts'
import { tokenise } from './restriction-list.ts'

/** For whom a permit holds. */
export type PermitFor =
  | 'everybody'
  | 'mynetworks'
  | 'authenticated'
  | 'listed certificates'
  | 'trusted certificates'
  /** This host's own addresses. */
  | 'own addresses'
  /** Depends on the recipient. */
  | 'recipient'
  /** As above, but clients for whom it does not hold are rejected. */
  | 'recipient, or refused'
  /** Depends on what a list on the network says. */
  | 'remote list'
  /** Depends on what the client says about itself. */
  | 'HELO name'

export type Effect =
  | { readonly does: 'nothing' }
  | { readonly does: 'permit'; readonly for: PermitFor }
  | { readonly does: 'refuse' }
  | {
      readonly does: 'table'
      readonly key: TableKey
      /** It is queried with names from the DNS. */
      readonly isLookedUp: boolean
      /** A permit is a mistake here, and rejects. */
      readonly mayPermit: boolean
    }
  | { readonly does: 'policy' }
  | { readonly does: 'sleep' }
  | { readonly does: 'warn' }
  | { readonly does: 'defer-if-permit' }
  | { readonly does: 'defer-if-reject' }

/** The key that a table is queried with; it is skipped if the client has no such attribute. */
export type TableKey = 'client' | 'HELO' | 'sender' | 'recipient' | 'certificate' | 'login' | 'ETRN'

export interface Restriction {
  readonly effect: Effect
  /** The following word belongs to it. */
  readonly hasArgument: boolean
}

const nothing = (hasArgument = false): Restriction => ({ effect: { does: 'nothing' }, hasArgument })
const permit = (whom: PermitFor, hasArgument = false): Restriction => ({
  effect: { does: 'permit', for: whom },
  hasArgument,
})
const table = (key: TableKey, isLookedUp = false, mayPermit = !isLookedUp): Restriction => ({
  effect: { does: 'table', key, isLookedUp, mayPermit },
  hasArgument: true,
})
const plain = (does: 'refuse' | 'warn' | 'defer-if-permit' | 'defer-if-reject'): Restriction => ({
  effect: { does },
  hasArgument: false,
})

const WITHOUT_ARGUMENT = `
  reject_authenticated_sender_login_mismatch reject_invalid_helo_hostname reject_invalid_hostname
  reject_known_sender_login_mismatch reject_maps_rbl reject_multi_recipient_bounce
  reject_non_fqdn_helo_hostname reject_non_fqdn_hostname reject_non_fqdn_recipient
  reject_non_fqdn_sender reject_plaintext_session reject_sender_login_mismatch
  reject_unauth_destination defer_unauth_destination reject_unauth_pipelining
  reject_unauthenticated_sender_login_mismatch reject_unknown_address reject_unknown_client
  reject_unknown_client_hostname reject_unknown_helo_hostname reject_unknown_hostname
  reject_unknown_recipient_domain reject_unknown_reverse_client_hostname
  reject_unknown_sender_domain reject_unlisted_recipient reject_unlisted_sender
  reject_unverified_recipient reject_unverified_sender check_recipient_maps`
const WITH_DOMAIN = `
  reject_rbl reject_rbl_client reject_rhsbl_client reject_rhsbl_helo reject_rhsbl_recipient
  reject_rhsbl_reverse_client reject_rhsbl_sender`

/** The version in which the word became a mistake. */
const REMOVED: Readonly<Record<string, string>> = { permit_naked_ip_address: '3.9' }

const CATALOGUE: ReadonlyMap<string, Restriction> = new Map([
  ...words(WITHOUT_ARGUMENT).map(name => [name, nothing()] as const),
  ...words(WITH_DOMAIN).map(name => [name, nothing(true)] as const),
  ['permit', permit('everybody')],
  ['permit_mynetworks', permit('mynetworks')],
  ['permit_sasl_authenticated', permit('authenticated')],
  ['permit_tls_clientcerts', permit('listed certificates')],
  ['permit_tls_all_clientcerts', permit('trusted certificates')],
  ['permit_inet_interfaces', permit('own addresses')],
  ['permit_auth_destination', permit('recipient')],
  ['permit_mx_backup', permit('recipient')],
  ['check_relay_domains', permit('recipient, or refused')],
  ['permit_dnswl_client', permit('remote list', true)],
  ['permit_rhswl_client', permit('remote list', true)],
  ['permit_naked_ip_address', permit('HELO name')],
  ['reject', plain('refuse')],
  ['defer', plain('refuse')],
  ['warn_if_reject', plain('warn')],
  ['defer_if_permit', plain('defer-if-permit')],
  ['defer_if_reject', plain('defer-if-reject')],
  ['sleep', { effect: { does: 'sleep' }, hasArgument: true }],
  ['check_policy_service', { effect: { does: 'policy' }, hasArgument: true }],
  ...tables('client', 'check_client'),
  ...tables('client', 'check_reverse_client_hostname'),
  ...tables('HELO', 'check_helo'),
  ...tables('sender', 'check_sender'),
  ...tables('recipient', 'check_recipient'),
  ['check_reverse_client_hostname_access', table('client', false, false)],
  ['check_ccert_access', table('certificate')],
  ['check_sasl_access', table('login')],
  ['check_etrn_access', table('ETRN')],
])

/** By name, in any case; undefined: this version of Postfix has no such restriction. */
export function restriction(name: string, version: string): Restriction | undefined {
  const lower = name.toLowerCase()
  const isGone = REMOVED[lower] !== undefined && compareLevels(version, REMOVED[lower]) >= 0
  return isGone ? undefined : CATALOGUE.get(lower)
}

/**
 * In addition to the table for a name itself, those for its addresses, mail servers and name
 * servers.
 */
function tables(key: TableKey, name: string) {
  return ['', '_a', '_mx', '_ns'].map(
    suffix => [`${name}${suffix}_access`, table(key, suffix !== '')] as const,
  )
}

function words(text: string): string[] {
  return text.trim().split(/\s+/)
}

/** The restrictions of a list, each with the argument that belongs to it. */
export function restrictionsOf(list: string): string[] {
  const words = tokenise(list).map(({ text }) => text)
  const found: string[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    const hasArgument = CATALOGUE.get(word.toLowerCase())?.hasArgument === true
    found.push(hasArgument ? `${word} ${words[++at] ?? ''}`.trim() : word)
  }
  return found
}
