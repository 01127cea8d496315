/**
 * Mistakes that keep smtpd from starting: master then waits a minute, and connecting clients wait
 * for a greeting that never comes (smtpd_check_init in smtpd_check.c, Postfix 3.7).
 */

import type { MasterService } from './master-cf.ts'
import type { Parameters, Setting } from './parameters.ts'
import { readPolicyItem } from './policy-item.ts'
import { END_OF_DATA, tokenise } from './restriction-list.ts'

export interface FatalMistake {
  /** The parameter; absent: the service's line in master.cf. */
  readonly parameter?: string
  readonly setting?: Setting
  readonly text: string
}

const LISTS = [
  'smtpd_client_restrictions',
  'smtpd_helo_restrictions',
  'smtpd_sender_restrictions',
  'smtpd_relay_restrictions',
  'smtpd_recipient_restrictions',
  'smtpd_data_restrictions',
  END_OF_DATA,
  'smtpd_etrn_restrictions',
]
/** One of these must occur in the relay or the recipient list. */
const RELAY_PROTECTION = [
  'reject_unauth_destination',
  'defer_unauth_destination',
  'reject',
  'defer',
  'defer_if_permit',
  'check_relay_domains',
]
/** What smtpd reads in addition to everything that begins with `smtpd_`. */
const OTHERS = [
  'allow_untrusted_routing',
  'broken_sasl_auth_clients',
  'disable_vrfy_command',
  'mynetworks',
  'relay_clientcerts',
  'show_user_unknown_table_name',
  'soft_bounce',
  'strict_rfc821_envelopes',
]
/** Their defaults look like a number or like yes and no, but more is allowed. */
const WORDS = ['smtpd_forbid_bare_newline', 'smtpd_tls_loglevel']
const TLS_LEVELS = ['none', 'may', 'encrypt', 'fingerprint', 'verify', 'secure']

/** The first mistake found; undefined: as far as can be seen, this smtpd starts. */
export function fatalMistake(
  service: MasterService,
  parameters: Parameters,
  version: string,
): FatalMistake | undefined {
  if (service.strayWord !== undefined) {
    return { text: `smtpd does not understand the word "${service.strayWord}"` }
  }
  const classes = tokenise(parameters.value('smtpd_restriction_classes')).map(({ text }) => text)
  const read = parameters.set.filter(name => name.startsWith('smtpd_') || OTHERS.includes(name))
  for (const name of [...LISTS, ...read, ...classes]) {
    const text = badValue(parameters, name) ?? (classes.includes(name) && noClass(parameters, name))
    if (text) return { parameter: name, setting: parameters.setting(name), text }
  }
  return badItem(parameters, version) ?? openRelay(parameters)
}

function badValue(parameters: Parameters, name: string): string | undefined {
  const mistake = parameters.mistake(name)
  if (mistake !== undefined) return `${name} cannot be read: ${mistake}`
  const value = parameters.value(name)
  const isWrapped = parameters.isYes('smtpd_tls_wrappermode')
  if (name === 'smtpd_tls_security_level' && value !== '' && !isWrapped) {
    return TLS_LEVELS.includes(value.toLowerCase()) ? undefined : `${name}=${value} is not a level`
  }
  const usual = parameters.default(name)
  if (usual === undefined || WORDS.includes(name)) return undefined
  const [, what] = KINDS.find(([kind]) => kind.test(usual)) ?? []
  return what && !what.pattern.test(value) ? `${name}=${value} is not ${what.text}` : undefined
}

/** A parameter's type can be told from its default. */
const KINDS = [
  [/^(yes|no)$/, { pattern: /^(yes|no)$/i, text: 'yes or no' }],
  [/^\d+$/, { pattern: /^-?\d+$/, text: 'a number' }],
  [/^\d+[smhdw]$/, { pattern: /^\d+([smhdw]|$)/, text: 'a time' }],
] as const

function noClass(parameters: Parameters, name: string): string | undefined {
  if (parameters.value(name) !== '') return undefined
  return `${name} is a restriction class, but has no value`
}

function badItem(parameters: Parameters, version: string): FatalMistake | undefined {
  const classes = tokenise(parameters.value('smtpd_restriction_classes')).map(({ text }) => text)
  for (const parameter of [...LISTS, ...classes]) {
    const words = tokenise(parameters.value(parameter))
    for (const [at, { text }] of words.entries()) {
      const argument = words[at + 1]?.text
      if (text.toLowerCase() !== 'check_policy_service' || argument === undefined) continue
      const item = readPolicyItem(argument, version)
      if (typeof item !== 'string') continue
      const setting = parameters.setting(parameter)
      return { parameter, setting, text: `check_policy_service ${argument}: ${item}` }
    }
  }
  return undefined
}

function openRelay(parameters: Parameters): FatalMistake | undefined {
  const parameter = 'smtpd_recipient_restrictions'
  const lists = ['smtpd_relay_restrictions', parameter]
  if (lists.some(list => protectsRelay(parameters, parameters.value(list), 0))) return undefined
  const text = 'neither the relay nor the recipient list refuses to relay for everybody'
  return { parameter, setting: parameters.setting(parameter), text }
}

function protectsRelay(parameters: Parameters, value: string, depth: number): boolean {
  if (depth > 20) return false
  const classes = tokenise(parameters.value('smtpd_restriction_classes'))
  const words = tokenise(value).map(({ text }) => text)
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    const lower = word.toLowerCase()
    if (lower === 'warn_if_reject' && at + 1 < words.length) at++
    // Postfix stops looking here, even if a reject follows.
    else if (lower === 'permit') return false
    else if (RELAY_PROTECTION.includes(lower)) return true
    else if (
      classes.some(({ text }) => text === word) &&
      protectsRelay(parameters, parameters.value(word), depth + 1)
    ) {
      return true
    }
  }
  return false
}
