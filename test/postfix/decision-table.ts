// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are Postfix's templates, not ours.
/** Configurations of smtpd, each of which is run by a real Postfix (decision.test.ts). */

import type { ClientName } from '../../daemon/postfix/smtpd/client.ts'

export interface Row {
  readonly name: string
  /** By name, or for a restriction list by its subject: `recipient`. */
  readonly set?: Readonly<Record<string, string>>
  /** What follows `smtpd` in master.cf, with all its lines. */
  readonly raw?: string
  readonly either?: readonly string[]
  readonly to?: readonly string[]
  readonly clients?: readonly ClientName[]
  /**
   * Of two rows with the same name, the later one replaces the former: two entries for one service.
   */
  readonly twin?: string
  /** Behind postscreen. */
  readonly isScreened?: true
  /** By master_service_disable. */
  readonly isDisabled?: true
  /** Rejects mail before our item is reached, by something that the model ignores. */
  readonly refuses?: true
}

export const LISTS: Readonly<Record<string, string>> = {
  client: 'smtpd_client_restrictions',
  helo: 'smtpd_helo_restrictions',
  sender: 'smtpd_sender_restrictions',
  relay: 'smtpd_relay_restrictions',
  recipient: 'smtpd_recipient_restrictions',
  data: 'smtpd_data_restrictions',
  end: 'smtpd_end_of_data_restrictions',
}

const THREE = ['dave@example.org', 'erin@example.org', 'fred@example.org']
const UNAUTH = 'reject_unauth_destination'
const KNOWN = 'permit_mynetworks, permit_sasl_authenticated'
const NOT_DELAYED = { smtpd_delay_reject: 'no' }
const YES_OR_DUNNO = ['TABLES/ok', 'TABLES/dunno']
const ours = (name: string): Row => ({ name, set: { end: 'ASK' } })

/** A row with one list. */
const list = (where: string, value: string, more: Partial<Row> = {}): Row => ({
  name: `${where}: ${value}`,
  ...more,
  set: { [where]: value, ...more.set },
})

const places: readonly Row[] = [
  { name: 'no item anywhere' },
  ours('the item at the end of data'),
  list('end', 'check_policy_service { ADDRESS, default_action=DUNNO, timeout=5s }'),
  list('recipient', `ASK, ${KNOWN}, ${UNAUTH}`),
  list('recipient', `permit_mynetworks, ASK, permit_sasl_authenticated, ${UNAUTH}`),
  list('recipient', `permit_sasl_authenticated, ASK, permit_mynetworks, ${UNAUTH}`),
  list('recipient', `${KNOWN}, ASK, ${UNAUTH}`),
  list('recipient', `${KNOWN}, ${UNAUTH}, reject_unlisted_recipient, ASK`),
  list('recipient', `${UNAUTH}, ASK, permit_sasl_authenticated`),
  list('relay', `ASK, ${KNOWN}, ${UNAUTH}`),
  list('relay', `${KNOWN}, ASK, ${UNAUTH}`),
  list('relay', `${KNOWN}, ${UNAUTH}, ASK`),
  list('relay', `${UNAUTH}, ASK`),
  list('data', 'ASK'),
  list('data', 'permit_mynetworks, ASK'),
  list('data', 'permit_sasl_authenticated, ASK'),
  list('data', 'reject_unauth_pipelining, ASK'),
  list('sender', 'ASK'),
  list('sender', 'permit_sasl_authenticated, ASK'),
  list('client', 'ASK'),
  list('client', 'permit_mynetworks, ASK'),
  list('client', 'permit_sasl_authenticated, ASK'),
  list('helo', 'ASK'),
  list('helo', 'permit_mynetworks, reject_invalid_helo_hostname, ASK'),
  list('end', 'permit_mynetworks, ASK'),
  list('end', 'permit_sasl_authenticated, ASK'),
  list('end', `${KNOWN}, ASK`),
  list('end', 'permit, ASK'),
  list('end', 'ASK, permit'),
  list('end', 'ASK, reject'),
  list('end', 'reject, ASK'),
  list('end', 'defer, ASK'),
  list('recipient', 'permit_sasl_authenticated, reject', { set: { end: 'ASK' } }),
  list('recipient', 'permit_sasl_authenticated, reject, ASK', { refuses: true }),
  list('recipient', 'permit_mynetworks, reject', { set: { end: 'ASK' } }),
  list('recipient', 'reject', { set: { end: 'ASK' } }),
  list('recipient', 'ASK', { set: { end: 'ASK', data: 'ASK' } }),
  { name: 'the list of ETRN', set: { smtpd_etrn_restrictions: 'ASK' } },
  list('end', 'ASK', { to: THREE, name: 'at the end of data, three recipients' }),
  list('recipient', `ASK, ${KNOWN}, ${UNAUTH}`, { to: THREE, name: 'at RCPT, three recipients' }),
]

const blocks: readonly Row[] = [
  {
    name: 'the submission block of Debian 12',
    set: { relay: '', recipient: 'permit_sasl_authenticated,reject', client: '', end: 'ASK' },
  },
  {
    name: 'that of Debian 11',
    set: { recipient: '', relay: 'permit_sasl_authenticated,reject', end: 'ASK' },
  },
  {
    name: 'the list of main.cf is replaced by one without the item',
    set: { smtpd_end_of_data_restrictions: 'permit_mynetworks' },
  },
  {
    name: 'from main.cf, by $name',
    set: { recipient: '$asking_list' },
  },
  {
    name: 'a re-injection service',
    set: { end: '', client: '', helo: '', sender: '', recipient: 'permit_mynetworks,reject' },
  },
  { name: 'a content filter', set: { end: 'ASK', content_filter: 'discard:filter' } },
  {
    name: 'receive_override_options',
    set: {
      end: 'ASK',
      receive_override_options: 'no_unknown_recipient_checks,no_header_body_checks',
    },
  },
  { name: 'soft_bounce', set: { end: 'ASK', soft_bounce: 'yes' } },
  { name: 'soft_bounce with reject in front', set: { end: 'reject, ASK', soft_bounce: 'yes' } },
  { name: 'smtpd_helo_required', set: { end: 'ASK', smtpd_helo_required: 'yes' } },
  { name: 'a proxy filter', set: { end: 'ASK', smtpd_proxy_filter: 'PROXY' } },
  {
    name: 'a proxy filter, permit in front',
    set: { end: 'permit_mynetworks, ASK', smtpd_proxy_filter: 'PROXY' },
  },
  {
    name: 'a proxy filter with speed_adjust',
    set: { end: 'ASK', smtpd_proxy_filter: 'PROXY', smtpd_proxy_options: 'speed_adjust' },
  },
]

const delayed: readonly Row[] = [
  list('client', 'ASK', { set: NOT_DELAYED, name: 'not delayed, client: ASK' }),
  list('helo', 'ASK', { set: NOT_DELAYED, name: 'not delayed, helo: ASK' }),
  list('sender', 'ASK', { set: NOT_DELAYED, name: 'not delayed, sender: ASK' }),
  list('relay', `ASK, ${KNOWN}, ${UNAUTH}`, {
    set: NOT_DELAYED,
    name: 'not delayed, relay: ASK first',
  }),
  list('recipient', `${KNOWN}, ASK`, {
    set: NOT_DELAYED,
    name: 'not delayed, recipient: ASK last',
  }),
  list('data', 'ASK', { set: NOT_DELAYED, name: 'not delayed, data: ASK' }),
  list('end', 'ASK', { set: NOT_DELAYED, name: 'not delayed, end: ASK' }),
  list('client', 'permit_sasl_authenticated, reject', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, nobody is logged in at connect',
  }),
  list('helo', 'permit_sasl_authenticated, reject', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, nobody is logged in at HELO',
    refuses: true,
  }),
  list('sender', 'permit_sasl_authenticated, reject', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, at MAIL he is',
  }),
  list('client', 'no_such_word', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, an unknown word',
  }),
  list('client', 'defer_if_permit', {
    set: { ...NOT_DELAYED, end: 'ASK', recipient: `ASK, ${UNAUTH}` },
    name: 'not delayed, defer_if_permit',
  }),
  list('client', 'check_client_access static:DISCARD', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, DISCARD is too early',
  }),
  list('helo', 'check_sender_access static:REJECT', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, no sender is known at HELO',
  }),
  list('sender', 'check_recipient_access static:REJECT', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, no recipient is known at MAIL',
  }),
  list('sender', 'check_sasl_access static:REJECT', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, a login is known at MAIL',
  }),
  list('client', 'check_sasl_access static:REJECT', {
    set: { ...NOT_DELAYED, end: 'ASK' },
    name: 'not delayed, no login at connect',
  }),
]

const early: readonly Row[] = [
  list('client', 'check_ccert_access static:REJECT', {
    name: 'not delayed, no certificate is known before STARTTLS',
    set: { ...NOT_DELAYED, end: 'ASK' },
  }),
  list('client', 'permit_tls_all_clientcerts, reject', {
    name: 'not delayed, permit_tls_all_clientcerts before STARTTLS',
    set: { ...NOT_DELAYED, end: 'ASK' },
  }),
  list('client', 'permit_tls_all_clientcerts, reject', {
    name: 'not delayed, permit_tls_all_clientcerts on port 465',
    set: { ...NOT_DELAYED, end: 'ASK', smtpd_tls_wrappermode: 'yes' },
  }),
]

const order: readonly Row[] = [
  { name: 'relay before recipient', set: { relay: 'reject', recipient: 'ASK' } },
  {
    name: 'recipient before relay',
    set: { relay: 'reject', recipient: 'ASK', smtpd_relay_before_recipient_restrictions: 'no' },
  },
  {
    name: 'compatibility level 3.5',
    set: { relay: 'reject', recipient: 'ASK', compatibility_level: '3.5' },
  },
  {
    name: 'a relay list that ends after the recipient list',
    set: {
      relay: 'ASK, reject',
      recipient: 'reject',
      smtpd_relay_before_recipient_restrictions: 'no',
    },
  },
  {
    name: 'a permit ends only its own list',
    set: { relay: 'permit', recipient: `ASK, ${UNAUTH}` },
  },
  { name: 'a permit of the client list', set: { client: 'permit', recipient: `ASK, ${UNAUTH}` } },
  {
    name: 'permits in all lists',
    set: {
      client: 'permit',
      helo: 'permit',
      sender: 'permit',
      relay: 'permit',
      recipient: UNAUTH,
      data: 'permit',
      end: 'ASK',
    },
  },
  {
    name: 'recipient list alone, no relay list',
    set: { relay: '', recipient: `${KNOWN}, ${UNAUTH}, ASK` },
  },
]

const words: readonly Row[] = [
  list('end', 'PERMIT_MYNETWORKS ASK'),
  list('end', 'Check_Policy_Service ADDRESS'),
  list('end', 'check_policy_service,ADDRESS'),
  list('end', 'check_policy_service   ADDRESS   ,,  permit'),
  list('end', 'check_policy_service { ADDRESS default_action=DUNNO timeout=5s }'),
  list('end', 'check_policy_service { ADDRESS, { default_action = DUNNO }, { timeout = 5s } }'),
  list(
    'end',
    'check_policy_service { ADDRESS, policy_context=x, try_limit=1, retry_delay=1s, max_idle=9s, max_ttl=9m, request_limit=7 }',
  ),
  list('end', 'check_policy_service unix:private/ours'),
  list('end', 'check_policy_service { unix:private/ours, default_action=DUNNO }'),
  list('end', 'check_policy_service inet:localhost:PORT'),
  list('end', 'check_policy_service inet:[127.0.0.1]:PORT'),
  list('end', 'warn_if_reject ASK'),
  list('end', 'warn_if_reject reject, ASK'),
  list('end', 'warn_if_reject warn_if_reject reject, ASK'),
  list('end', 'warn_if_reject defer, ASK'),
  list('end', 'warn_if_reject no_such_word, ASK'),
  list('end', 'warn_if_reject defer_if_permit, ASK'),
  list('end', 'warn_if_reject permit_mynetworks, ASK'),
  list('end', 'ASK warn_if_reject'),
  list('end', 'no_such_word, ASK'),
  list('end', 'permit_mynetworks, no_such_word, ASK'),
  list('end', 'ASK, no_such_word'),
  list('end', 'ASK # asks about the limit'),
  list('end', 'ASK, default_action=DUNNO, timeout=5s'),
  list('end', 'check_policy_service'),
  list('end', 'check_policy_service ASKING'),
  list('end', '{ permit_mynetworks } ASK'),
  list('end', 'sleep 0, ASK'),
  list('end', 'sleep soon, ASK'),
  list('end', 'sleep'),
  list('end', 'permit_dnswl_client'),
  list('end', 'reject_rbl_client'),
  list('recipient', `defer_if_permit, ASK, ${UNAUTH}`),
  list('recipient', `defer_if_reject, ASK, ${UNAUTH}`),
  list('recipient', `defer_if_permit, defer_if_reject, ASK, ${UNAUTH}`),
  list('recipient', `defer_if_reject, defer_if_permit, ASK, ${UNAUTH}`),
  list('recipient', 'defer_if_permit', {
    set: { relay: `ASK, ${UNAUTH}`, smtpd_relay_before_recipient_restrictions: 'no' },
  }),
  list('recipient', 'defer_if_reject, permit', {
    set: {
      relay: `defer_if_permit, ASK, ${UNAUTH}`,
      smtpd_relay_before_recipient_restrictions: 'no',
    },
    name: 'defer_if_reject is valid in the second list',
  }),
  list('client', 'defer_if_permit', { set: { recipient: `ASK, ${UNAUTH}`, end: 'ASK' } }),
  list('client', 'defer_if_permit', {
    set: { sender: 'defer_if_reject, ASK', recipient: `ASK, ${UNAUTH}` },
    name: 'client: defer_if_permit, sender: defer_if_reject',
  }),
  list('client', 'defer_if_reject', {
    set: { sender: 'defer_if_permit, ASK' },
    name: 'defer_if_reject of the client list no longer applies in the next',
  }),
  list('data', 'defer_if_permit', { set: { end: 'ASK' } }),
  list('data', 'defer_if_permit, ASK'),
  list('end', 'defer_if_permit, permit_mynetworks, ASK'),
  list('end', 'defer_if_reject, ASK'),
  list('end', 'defer_if_reject, reject, ASK'),
  list('end', 'reject_unauth_destination, ASK'),
  list('end', 'reject_unlisted_recipient, reject_non_fqdn_sender, ASK'),
  list('end', 'reject_sender_login_mismatch, ASK', { refuses: true }),
  list('end', 'reject_plaintext_session, ASK', { refuses: true }),
  list('end', 'reject_unknown_reverse_client_hostname, ASK', { refuses: true }),
  list('recipient', `permit_auth_destination, ASK, ${UNAUTH}`, {
    name: 'permit_auth_destination, ours',
    to: ['dave@example.org'],
  }),
  list('recipient', `permit_auth_destination, ASK, ${UNAUTH}`, {
    name: 'permit_auth_destination, a stranger’s',
    to: ['bob@example.net'],
    refuses: true,
  }),
  list('client', 'permit_auth_destination, ASK', {
    set: NOT_DELAYED,
    name: 'not delayed, permit_auth_destination',
  }),
  list('recipient', 'check_relay_domains, ASK'),
  list('recipient', 'permit_mynetworks, check_relay_domains, ASK'),
  list('end', 'permit_inet_interfaces, ASK'),
  list('recipient', `permit_naked_ip_address, ASK, ${UNAUTH}`),
]

const classes: readonly Row[] = [
  list('end', 'asking_class', { set: { smtpd_restriction_classes: 'asking_class' } }),
  list('end', 'permit_mynetworks, asking_class', {
    set: { smtpd_restriction_classes: 'asking_class' },
  }),
  list('end', 'asking_class', {
    set: { smtpd_restriction_classes: '' },
    name: 'the list of classes emptied',
  }),
  list('end', 'Asking_Class', {
    set: { smtpd_restriction_classes: 'asking_class' },
    name: 'a class in capitals',
  }),
  list('end', 'known_class, ASK', { set: { smtpd_restriction_classes: 'known_class' } }),
  list('end', 'outer_class', { set: { smtpd_restriction_classes: 'asking_class, outer_class' } }),
  list('end', 'outer_class', {
    set: { smtpd_restriction_classes: 'outer_class' },
    name: 'a class that refers to one that is not listed',
  }),
  list('end', 'warn_if_reject refusing_class, ASK', {
    set: { smtpd_restriction_classes: 'refusing_class' },
  }),
  list('end', 'refusing_class, ASK', { set: { smtpd_restriction_classes: 'refusing_class' } }),
  list('end', 'warning_class, reject, ASK', {
    set: { smtpd_restriction_classes: 'warning_class' },
  }),
  list('recipient', 'unauth_class, ASK', {
    set: { relay: '', smtpd_restriction_classes: 'unauth_class' },
  }),
  list('end', 'check_client_access static:asking_class', {
    set: { smtpd_restriction_classes: 'asking_class' },
  }),
  list('end', 'check_client_access static:known_class, ASK', {
    set: { smtpd_restriction_classes: 'known_class' },
  }),
  list('end', 'check_client_access EITHER', {
    either: ['hash:TABLES/ask.hash', 'hash:TABLES/dunno.hash'],
    set: { smtpd_restriction_classes: 'asking_class' },
  }),
  list('end', 'check_client_access EITHER', {
    name: 'check_client_access texthash with a class',
    either: ['texthash:TABLES/ask', 'texthash:TABLES/dunno'],
    set: { smtpd_restriction_classes: 'asking_class' },
  }),
  list('end', 'class_of_o', {
    set: { smtpd_restriction_classes: 'class_of_o', class_of_o: 'permit_mynetworks, ASK' },
  }),
]

/** `static:` returns this to every client that has such a key. */
const answers = [
  'OK',
  'ok',
  'RELAY',
  'DUNNO',
  'PERMIT',
  'permit_mynetworks',
  'permit_sasl_authenticated',
  'REJECT',
  'reject',
  'DEFER',
  'HOLD',
  'DISCARD',
  'WARN',
  'INFO',
  '123',
  '450',
  '550',
  'HANGUP',
  'DEFER_IF_PERMIT',
  'DEFER_IF_REJECT',
  'defer',
  'no_such_word',
  'sleep',
  'REDIRECT',
  'FILTER',
  'BCC',
  'PREPEND',
  'asking_class',
  'warn_if_reject',
  'reject_unauth_destination',
  'inet:x',
]
const tables: readonly Row[] = [
  ...answers.map(answer =>
    list('recipient', `check_sender_access static:${answer}, ASK, ${UNAUTH}`),
  ),
  ...[
    '{450 later}',
    '{550 never}',
    '{123 hm}',
    '{OK by me}',
    '{DISCARD it}',
    '{permit_mynetworks, reject}',
    '{ permit_sasl_authenticated }',
    '{warn_if_reject reject}',
    '{REJECT no}',
  ].map(answer => list('recipient', `check_sender_access static:${answer}, ASK, ${UNAUTH}`)),
  list('sender', 'check_sender_access static:DISCARD', { set: { end: 'ASK' } }),
  list('sender', 'check_sender_access static:DISCARD', {
    set: { end: 'ASK', smtpd_proxy_filter: 'PROXY' },
    name: 'DISCARD with a proxy filter',
  }),
  list('sender', 'check_sender_access static:OK', { set: { end: 'ASK' } }),
  list('end', 'warn_if_reject check_sender_access static:REJECT, ASK'),
  list('end', 'warn_if_reject check_sender_access static:DEFER_IF_PERMIT, ASK'),
  list('end', 'check_client_access static:OK, ASK'),
  list('end', 'check_helo_access static:OK, ASK'),
  list('end', 'check_sender_access static:OK, ASK'),
  list('end', 'check_recipient_access static:OK, ASK'),
  list('end', 'check_recipient_access static:OK, ASK', {
    to: THREE,
    name: 'check_recipient_access with three recipients',
  }),
  list('end', 'check_recipient_access static:REJECT, ASK', {
    to: THREE,
    name: 'check_recipient_access static:REJECT with three recipients',
  }),
  list('data', 'check_recipient_access static:OK, ASK'),
  list('end', 'check_sasl_access static:OK, ASK'),
  list('end', 'check_sasl_access static:REJECT, ASK'),
  list('end', 'check_ccert_access static:OK, ASK'),
  list('end', 'check_ccert_access static:REJECT, ASK'),
  list('end', 'check_ccert_access static:OK, ASK', {
    set: { smtpd_tls_ask_ccert: 'no' },
    name: 'check_ccert_access where none is requested',
  }),
  list('end', 'check_etrn_access static:REJECT, ASK'),
  list('end', 'check_reverse_client_hostname_access static:OK, ASK'),
  list('end', 'check_reverse_client_hostname_access static:DUNNO, ASK'),
  list('end', 'check_client_access ok, ASK'),
  list('end', 'check_client_access, ASK'),
  list('end', 'static:OK, ASK'),
  list('data', 'static:OK, ASK'),
  list('client', 'static:OK, ASK'),
  list('helo', 'static:REJECT, ASK'),
  list('sender', 'static:OK, ASK'),
  list('relay', `static:OK, ASK, ${UNAUTH}`),
  list('recipient', `static:DUNNO, ASK, ${UNAUTH}`),
  list('client', 'check_recipient_access static:OK, ASK'),
  list('client', 'check_sasl_access static:OK, ASK'),
  list('end', 'check_sender_access inline:{example.com=OK}, ASK'),
  list('end', 'check_sender_access inline:{example.edu=OK}, ASK'),
  list('end', 'check_sender_access inline:{example.com=DUNNO, example.edu=REJECT}, ASK'),
  list('end', 'check_sender_access inline:{{example.com = REJECT sorry}}, ASK', { refuses: true }),
  list('end', 'check_client_access EITHER, ASK', {
    either: YES_OR_DUNNO.map(file => `texthash:${file}`),
  }),
  list('end', 'check_client_access EITHER, ASK', {
    either: YES_OR_DUNNO.map(file => `hash:${file}.hash`),
  }),
  list('end', 'check_client_access EITHER, ASK', {
    either: YES_OR_DUNNO.map(file => `cidr:${file}.cidr`),
  }),
  list('end', 'check_sender_access EITHER, ASK', {
    either: YES_OR_DUNNO.map(file => `pcre:${file}.pcre`),
  }),
  list('end', 'check_sender_access EITHER, ASK', {
    either: YES_OR_DUNNO.map(file => `regexp:${file}.pcre`),
  }),
  list('end', 'check_client_access texthash:TABLES/none, ASK', { refuses: true }),
  list('end', 'check_client_access nosuchtype:TABLES/ok, ASK', { refuses: true }),
  list('end', 'check_client_access fail:x, ASK', { refuses: true }),
  list('end', 'check_client_access texthash:TABLES/hold, ASK'),
  list('end', 'check_client_access texthash:TABLES/number, ASK'),
  list('recipient', `OTHER, ASK, ${UNAUTH}`, { either: ['OK', 'DUNNO'] }),
  list('end', 'OTHER, ASK', { either: ['OK', 'DUNNO'] }),
  list('client', 'OTHER, ASK', { either: ['OK', 'DUNNO'] }),
  list('relay', `OTHER, ${UNAUTH}`, { either: ['OK', 'DUNNO'], set: { end: 'ASK' } }),
  list('end', 'ASK, OTHER', { either: ['OK', 'DUNNO'] }),
]

const clients: readonly Row[] = [
  { name: 'no logins', set: { smtpd_sasl_auth_enable: 'no', end: 'ASK' } },
  {
    name: 'no logins, permit_sasl_authenticated',
    set: { smtpd_sasl_auth_enable: 'no', end: 'permit_sasl_authenticated, ASK' },
  },
  { name: 'logins by $name', set: { smtpd_sasl_auth_enable: '$with_logins', end: 'ASK' } },
  {
    name: 'logins depending on a condition',
    set: {
      smtpd_sasl_auth_enable: '${with_logins?{$with_logins}:{no}}',
      end: 'permit_sasl_authenticated, ASK',
    },
  },
  { name: 'YES', set: { smtpd_sasl_auth_enable: 'YES', end: 'ASK' } },
  {
    name: 'logins only over TLS, which is not offered',
    set: { smtpd_tls_auth_only: 'yes', end: 'ASK' },
  },
  {
    name: 'logins only over TLS, which is not there',
    set: { smtpd_tls_auth_only: 'yes', smtpd_tls_security_level: 'none', end: 'ASK' },
  },
  {
    name: 'TLS for everybody',
    set: { smtpd_tls_security_level: 'encrypt', end: 'permit_sasl_authenticated, ASK' },
  },
  {
    name: 'TLS by its older parameter',
    set: { smtpd_tls_security_level: '', smtpd_use_tls: 'yes', end: 'ASK' },
  },
  {
    name: 'TLS enforced by its older parameter',
    set: { smtpd_tls_security_level: '', smtpd_enforce_tls: 'yes', end: 'ASK' },
  },
  { name: 'port 465', set: { smtpd_tls_wrappermode: 'yes', end: 'ASK' } },
  {
    name: 'port 465 with level none',
    set: {
      smtpd_tls_wrappermode: 'yes',
      smtpd_tls_security_level: 'none',
      end: 'permit_sasl_authenticated, ASK',
    },
  },
  {
    name: 'port 465 without any level',
    set: {
      smtpd_tls_wrappermode: 'yes',
      smtpd_tls_security_level: '',
      smtpd_tls_auth_only: 'yes',
      end: 'ASK',
    },
  },
  list('end', 'permit_tls_all_clientcerts, ASK'),
  list('end', 'permit_tls_all_clientcerts, ASK', {
    set: { smtpd_tls_ask_ccert: 'no' },
    name: 'no certificates are requested',
  }),
  list('end', 'permit_tls_all_clientcerts, ASK', {
    set: { smtpd_tls_ask_ccert: 'no', smtpd_tls_req_ccert: 'yes' },
    name: 'certificates are required, TLS is not',
  }),
  list('end', 'permit_tls_all_clientcerts, ASK', {
    set: {
      smtpd_tls_ask_ccert: 'no',
      smtpd_tls_req_ccert: 'yes',
      smtpd_tls_security_level: 'encrypt',
    },
    name: 'certificates are required, so is TLS',
    refuses: true,
  }),
  list('end', 'permit_tls_all_clientcerts, ASK', {
    set: { smtpd_tls_wrappermode: 'yes', smtpd_tls_ask_ccert: 'no', smtpd_tls_req_ccert: 'yes' },
    name: 'certificates are required, port 465',
    refuses: true,
  }),
  list('end', 'permit_tls_all_clientcerts, ASK', {
    set: { smtpd_tls_security_level: 'none' },
    name: 'certificates without TLS',
  }),
  list('end', 'permit_tls_clientcerts, ASK'),
  list('end', 'permit_tls_clientcerts, ASK', {
    set: { relay_clientcerts: 'EITHER' },
    either: ['static:yes', 'inline:{a=b}'],
    name: 'listed certificates',
  }),
  list('recipient', `permit_tls_all_clientcerts, permit_sasl_authenticated, ASK, ${UNAUTH}`),
  { name: 'mynetworks is empty', set: { mynetworks: '', end: 'permit_mynetworks, ASK' } },
  {
    name: 'mynetworks is somewhere else',
    set: { mynetworks: '192.0.2.0/24', end: 'permit_mynetworks, ASK' },
  },
  {
    name: 'mynetworks by $name',
    set: { mynetworks: '$other_networks', end: 'permit_mynetworks, ASK' },
  },
  {
    name: 'no logins from mynetworks',
    set: { smtpd_sasl_exceptions_networks: '$mynetworks', end: 'ASK' },
    clients: ['authenticated', 'mynetworks', 'stranger'],
  },
]

const spellings: readonly Row[] = [
  {
    name: '-o without a space',
    raw: '-osmtpd_end_of_data_restrictions=check_policy_service,ADDRESS',
  },
  { name: '-o with commas', raw: '-o smtpd_end_of_data_restrictions=check_policy_service,ADDRESS' },
  {
    name: '-o with braces in it',
    raw: '-o smtpd_end_of_data_restrictions=check_policy_service,{ADDRESS,default_action=DUNNO}',
  },
  {
    name: 'braces with spaces in them',
    raw: '-o smtpd_end_of_data_restrictions=check_policy_service,{ ADDRESS, default_action=DUNNO }',
  },
  {
    name: 'the last of two counts',
    raw: '-o smtpd_end_of_data_restrictions=permit -o smtpd_end_of_data_restrictions=check_policy_service,ADDRESS',
  },
  {
    name: 'the last of two counts, and is empty',
    raw: '-o smtpd_end_of_data_restrictions=check_policy_service,ADDRESS -o smtpd_end_of_data_restrictions=',
  },
  { name: '-v in front', raw: '-vo smtpd_end_of_data_restrictions=check_policy_service,ADDRESS' },
  {
    name: 'several lines',
    raw: '\n  -o { smtpd_end_of_data_restrictions =\n# a comment\n\n    ASK,\n    permit }',
  },
  {
    name: 'several lines, with a comment in it',
    raw: '\n  -o smtpd_sasl_auth_enable=yes\n  # -o smtpd_end_of_data_restrictions=permit\n  -o { smtpd_end_of_data_restrictions = permit_mynetworks, ASK }',
  },
  { name: 'white space of all kinds', raw: '-o {smtpd_end_of_data_restrictions=ASK}' },
  {
    name: 'an -o whose name is surrounded by spaces',
    raw: '-o {   smtpd_end_of_data_restrictions   =   ASK   }',
  },
  { name: 'a stray word', raw: '-o smtpd_end_of_data_restrictions=check_policy_service ADDRESS' },
  { name: 'a stray word at the end', raw: '-o { smtpd_end_of_data_restrictions = ASK } permit' },
  { name: '-- and then', raw: '-o { smtpd_end_of_data_restrictions = ASK } --' },
  { name: '-o without =', raw: '-o smtpd_end_of_data_restrictions' },
  { name: '-o with a space in the name', raw: '-o { smtpd_end_of_data restrictions = ASK }' },
  { name: '-o without a name', raw: '-o { = ASK }' },
  { name: '-o at the end', raw: '-o { smtpd_end_of_data_restrictions = ASK } -o' },
  {
    name: 'an unknown option letter',
    raw: '-x -o { smtpd_end_of_data_restrictions = ASK }',
  },
  { name: 'a word for -m', raw: '-m 5 -o { smtpd_end_of_data_restrictions = ASK }' },
  { name: 'a word for -i, and -v', raw: '-i 5 -v -o { smtpd_end_of_data_restrictions = ASK }' },
]

const broken: readonly Row[] = [
  list('end', 'empty_class, ASK', {
    set: { smtpd_restriction_classes: 'empty_class', empty_class: '' },
  }),
  list('end', 'check_policy_service { ADDRESS, timeout = 5s }'),
  list('end', 'check_policy_service { ADDRESS, timeout=5x }'),
  list('end', 'check_policy_service { ADDRESS, timeout=5 }'),
  list('end', 'check_policy_service { ADDRESS, timeout=5min }'),
  list('end', 'check_policy_service { ADDRESS, timeout= }'),
  list('end', 'check_policy_service { ADDRESS, try_limit=0 }'),
  list('end', 'check_policy_service { ADDRESS, try_limit=two }'),
  list('end', 'check_policy_service { ADDRESS, request_limit=0 }'),
  list('end', 'check_policy_service { ADDRESS, timeout=0 }'),
  list('end', 'check_policy_service { ADDRESS, max_idle=0 }'),
  list('end', 'check_policy_service { ADDRESS, default_action= }'),
  list('end', 'check_policy_service { ADDRESS, no_such_option=1 }'),
  list('end', 'check_policy_service { ADDRESS, DEFAULT_ACTION=DUNNO }'),
  list('end', 'check_policy_service { }'),
  list('end', 'check_policy_service { default_action=DUNNO, ADDRESS }'),
  list('end', 'check_policy_service 127.0.0.1:PORT'),
  list('end', 'check_policy_service inet:'),
  list('end', 'check_policy_service tcp:127.0.0.1:PORT'),
  list('end', 'check_policy_service INET:127.0.0.1:PORT'),
  list('end', 'check_policy_service inet:PORT'),
  list('end', 'check_policy_service { inet:PORT, default_action=DUNNO }'),
  list('end', 'check_policy_service { ADDRESS, policy_context= }'),
  list('end', 'check_policy_service { ADDRESS, retry_delay=0 }'),
  list('end', 'check_policy_service { ADDRESS, max_ttl=0 }'),
  list('end', 'check_policy_service unix:'),
  list('end', 'check_policy_service {ADDRESS}'),
  list('end', 'check_policy_service {ADDRESS}x'),
  list('end', 'check_policy_service { {ADDRESS} }'),
  list('end', '$unclosed_item'),
  list('end', '$unclosed_option'),
  list('end', '$closed_too_often'),
  list('client', 'check_policy_service tcp:127.0.0.1:PORT', { set: { end: 'ASK' } }),
  {
    name: 'a broken item in the ETRN list',
    set: { end: 'ASK', smtpd_etrn_restrictions: 'check_policy_service tcp:127.0.0.1:1' },
  },
  list('end', 'ASK', {
    set: { smtpd_restriction_classes: 'no_such_class' },
    name: 'a class that is not defined',
  }),
  list('end', 'ASK', {
    set: { smtpd_restriction_classes: 'bad_class', bad_class: 'check_policy_service tcp:x:1' },
    name: 'a broken item in a class',
  }),
  { name: 'an open relay', set: { relay: '', recipient: 'permit_mynetworks', end: 'ASK' } },
  { name: 'an open relay, both lists empty', set: { relay: '', recipient: '', end: 'ASK' } },
  {
    name: 'an open relay, warn_if_reject',
    set: { relay: '', recipient: 'warn_if_reject reject_unauth_destination', end: 'ASK' },
  },
  {
    name: 'an open relay, permit in front',
    set: { relay: '', recipient: 'permit, reject', end: 'ASK' },
  },
  {
    name: 'an open relay through a class of permits',
    set: {
      relay: '',
      recipient: 'known_class',
      smtpd_restriction_classes: 'known_class',
      end: 'ASK',
    },
  },
  {
    name: 'not an open relay: permit in a class, followed by reject',
    set: {
      relay: '',
      recipient: 'permitting_class, reject',
      smtpd_restriction_classes: 'permitting_class',
      end: 'ASK',
    },
  },
  {
    name: 'not an open relay: defer_if_permit',
    set: {
      relay: '',
      recipient: 'permit_mynetworks, permit_sasl_authenticated, defer_if_permit',
      end: 'ASK',
    },
  },
  { name: 'neither yes nor no', set: { smtpd_sasl_auth_enable: 'maybe', end: 'ASK' } },
  { name: 'yes or no, nothing', set: { smtpd_sasl_auth_enable: '', end: 'ASK' } },
  { name: 'another value that is neither', set: { smtpd_helo_required: 'true', end: 'ASK' } },
  { name: 'an invalid time', set: { smtpd_timeout: 'long', end: 'ASK' } },
  { name: 'an invalid number', set: { smtpd_recipient_limit: 'many', end: 'ASK' } },
  { name: 'an invalid TLS level', set: { smtpd_tls_security_level: 'yes', end: 'ASK' } },
  { name: 'a dollar sign without a name', set: { end: 'ASK, $' } },
  { name: 'a dollar sign and a space', set: { end: '$ ASK' } },
  { name: 'a macro that is not closed', set: { end: 'ASK $(asking_list' } },
  { name: 'a value that refers to itself', set: { end: 'ASK, $smtpd_end_of_data_restrictions' } },
  { name: 'a wrong operator', set: { end: '${{a} = {b} ? {x} : {y}} ASK' } },
]

/** Names that this test's main.cf defines itself, or in unusual ways. */
const values: readonly Row[] = [
  list('end', '$plain_name'),
  list('end', '$(plain_name)'),
  list('end', '${plain_name}'),
  list('end', '$nested_name'),
  list('end', '$unknown_name ASK'),
  list('end', '${unknown_name}ASK'),
  list('end', '${unknown_name?permit_mynetworks,} ASK'),
  list('end', '${plain_name?{permit_mynetworks,}} ASK'),
  list('end', '${unknown_name:permit_mynetworks,} ASK'),
  list('end', '${unknown_name?{ASK}:{permit_mynetworks, ASK}}'),
  list('end', '${plain_name?{ASK}:{permit_mynetworks, ASK}}'),
  list('end', '${{$compatibility_level} <level {4} ? {ASK} : {permit}}'),
  list('end', '${{$compatibility_level} <level {3.5} ? {ASK} : {permit}}'),
  list('end', '${{$compatibility_level} >=level {3.6} ? {ASK}}'),
  list('end', '${{$mydomain} == {example.org} ? {ASK} : {permit}}'),
  list('end', '${{$mydomain} != {example.org} ? {ASK} : {permit}}'),
  list('end', '${{10} > {9} ? {ASK}}'),
  list('end', '${stress?{ASK}:{permit}}'),
  list('end', '${stress?{ASK}:{permit}}', { set: { stress: 'yes' }, name: 'under stress' }),
  list('end', 'stress_class', {
    set: { smtpd_restriction_classes: 'stress_class' },
    name: 'a class that depends on stress',
  }),
  list('end', 'stress_class', {
    set: { smtpd_restriction_classes: 'stress_class', stress: 'yes' },
    name: 'a class that depends on stress, under stress',
  }),
  list('end', '$on_several_lines'),
  list('end', '$with_comments'),
  list('end', '$indented_by_accident'),
  list('end', '$value_below'),
  list('end', '$with_tabs'),
]

/** Two entries for one service: the latter counts. */
const twins: readonly Row[] = [
  { name: 'the first of two entries', twin: 'a', set: { end: 'ASK' } },
  { name: 'the second of two entries', twin: 'a' },
  { name: 'the first of two entries, without', twin: 'b' },
  { name: 'the second of two entries, with', twin: 'b', set: { end: 'ASK' } },
]

export const rows: readonly Row[] = [
  ...places,
  ...blocks,
  ...delayed,
  ...early,
  ...order,
  ...words,
  ...classes,
  ...tables,
  ...clients,
  ...values,
  ...twins,
  { name: 'switched off', isDisabled: true, set: { end: 'ASK' } },
  { name: 'behind postscreen', isScreened: true, set: { end: 'ASK' } },
  {
    name: 'behind postscreen, with a permit in front',
    isScreened: true,
    set: { end: `${KNOWN}, ASK` },
  },
]

/** Lines of main.cf that all rows share. A parameter of Postfix is set here at most once. */
export const MAIN_CF = `max_idle = 5s
smtpd_sasl_auth_enable = yes
smtpd_tls_ask_ccert = yes
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
asking_list = ASK, permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
asking_class = ASK
outer_class = permit_mynetworks, asking_class
known_class = permit_mynetworks, permit_sasl_authenticated
permitting_class = permit_mynetworks, permit
refusing_class = reject
warning_class = warn_if_reject
unauth_class = permit_mynetworks, reject_unauth_destination
mixed_class = permit_sasl_authenticated, ASK
deep_class = warn_if_reject refusing_class, outer_class, mixed_class
stress_class = \${stress?{ASK}:{permit}}
with_logins = yes
other_networks = 192.0.2.0/24
plain_name = ASK
nested_name = permit_mynetworks, $plain_name
on_several_lines = permit_mynetworks,
  ASK,
\treject
with_comments = permit_mynetworks,
# permit,

   # permit,
  ASK
value_below =
  ASK
with_tabs\t=\tASK\t
# an accident:
indented_by_accident = permit_mynetworks

  # not a comment's end
  permit ASK
`

/** Lines for the second Postfix: some of them would make the first one log too much. */
export const oddRows: readonly Row[] = [
  ...spellings,
  ...broken,
  { name: 'the last of two definitions counts' },
  list('end', '$twice_defined'),
  list('end', '$twice_emptied'),
  list('recipient', `${KNOWN}, ${UNAUTH}, ASK`, { name: 'no compatibility level' }),
]

/** Without a compatibility level, with parameters that are defined twice. */
export const ODD_MAIN_CF = `${MAIN_CF.replace(/^smtpd_relay_restrictions.*\n/m, '')}
smtpd_end_of_data_restrictions = ASK
smtpd_recipient_restrictions = ASK, permit_mynetworks, reject_unauth_destination
unclosed_item = check_policy_service { ADDRESS, default_action=DUNNO
unclosed_option = check_policy_service { ADDRESS, { default_action = DUNNO }
closed_too_often = check_policy_service { ADDRESS, default_action=DUNNO }}, permit
twice_defined = permit
twice_emptied = ASK
smtpd_end_of_data_restrictions =
smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated,
  reject_unauth_destination
twice_defined = ASK
twice_emptied =
smtpd_sasl_auth_enable = yes
`
