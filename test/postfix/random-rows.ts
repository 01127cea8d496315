/**
 * Restriction lists by chance, for decision.test.ts: what nobody would think of writing, but a model
 * that claims to know smtpd has to foresee. The same seed gives the same rows.
 */

import type { Row } from './decision-table.ts'

const ITEMS = ['ASK', 'ASK', 'ASK', 'asking_class', 'outer_class', 'mixed_class', 'deep_class']
/** With these in it a list accepts most mail. */
const HARMLESS = [
  'permit_mynetworks',
  'permit_sasl_authenticated',
  'permit_tls_all_clientcerts',
  'permit',
  'warn_if_reject',
  'defer_if_reject',
  'reject_unauth_destination',
  'reject_unlisted_recipient',
  'sleep 0',
  'OTHER',
  'known_class',
  'permitting_class',
  'warning_class',
  'permit_auth_destination',
  'permit_inet_interfaces',
  'check_relay_domains',
  'static:DUNNO',
  'check_client_access static:OK',
  'check_client_access static:450',
  'check_client_access static:HOLD',
  'check_client_access static:DEFER_IF_REJECT',
  'check_client_access static:asking_class',
  'check_client_access static:deep_class',
  'check_client_access static:{warn_if_reject,reject}',
  'check_client_access hash:TABLES/dunno.hash',
  'check_client_access texthash:TABLES/ask',
  'check_helo_access static:known_class',
  'check_sender_access static:DUNNO',
  'check_sender_access static:warn_if_reject',
  'check_sender_access inline:{example.com=OK}',
  'check_sender_access inline:{{example.com=mixed_class}}',
  'check_recipient_access static:OK',
  'check_sasl_access static:OK',
  'check_ccert_access static:OK',
  'check_etrn_access static:REJECT',
  'check_reverse_client_hostname_access static:DUNNO',
]
/** Nothing, or little, passes these. */
const STRICT = [
  'reject',
  'defer',
  'defer_if_permit',
  'no_such_word',
  'static:OK',
  'refusing_class',
  'reject_plaintext_session',
  'check_client_access fail:x',
  'check_client_access static:DISCARD',
  'check_client_access static:{450 x}',
  'check_client_access static:DEFER_IF_PERMIT',
  'check_sender_access static:REJECT',
  'check_sender_access static:{permit_mynetworks,reject}',
  'check_recipient_access static:REJECT',
  'check_sasl_access static:REJECT',
  'check_ccert_access static:REJECT',
  'check_reverse_client_hostname_access static:OK',
]
const CLASSES =
  'known_class, asking_class, outer_class, permitting_class, refusing_class, warning_class, ' +
  'mixed_class, deep_class'
const UNAUTH = 'reject_unauth_destination'

export function randomRows(count: number, seed: number): Row[] {
  const random = generator(seed)
  const isLikely = (probability: number) => random() < probability
  const oneOf = (words: readonly string[]) => words[Math.floor(random() * words.length)] ?? ''
  const word = () => (isLikely(0.12) ? oneOf(STRICT) : oneOf(isLikely(0.3) ? ITEMS : HARMLESS))
  const list = (...behind: string[]) =>
    [...Array.from({ length: Math.floor(random() * 4) }, word), ...behind].join(', ')
  return Array.from({ length: count }, (_, at) => {
    const set: Record<string, string> = {
      smtpd_restriction_classes: CLASSES,
      recipient: list(UNAUTH),
    }
    if (isLikely(0.5)) set.relay = list(UNAUTH)
    for (const name of ['client', 'helo', 'sender', 'data', 'end']) {
      if (isLikely(0.5)) set[name] = list()
    }
    if (isLikely(0.2)) set.smtpd_delay_reject = 'no'
    if (isLikely(0.3)) set.smtpd_relay_before_recipient_restrictions = 'no'
    if (isLikely(0.1)) set.smtpd_helo_required = 'yes'
    if (isLikely(0.1)) set.smtpd_sasl_auth_enable = 'no'
    const to = ['dave@example.org', 'erin@example.org'].slice(isLikely(0.2) ? 0 : 1)
    const either = [isLikely(0.5) ? 'OK' : 'DUNNO']
    return { name: `certificates, seed ${seed}, row ${at}`, set, to, either, refuses: true }
  })
}

/** mulberry32: numbers from 0 to 1. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
