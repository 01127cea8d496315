/**
 * Postfix set-ups in which something is wrong: what `mtpolicyctl doctor` has to find, and what a real
 * Postfix does with them (doctor-in-fact.test.ts). Written after what people report and publish.
 *
 * A row is a main.cf behind a plain one, and smtpd services; without any there is one for the world
 * and one where users log in. In all texts
 *
 *   ITEM        our item as `register` writes it; BARE the same without options
 *   ADDRESS     its endpoint alone; PORT the daemon's port
 *   OTHER       another policy server's item, OTHERPORT its port
 *   SMTP, SUBMISSION, THIRD   addresses of services
 *   FILES       the directory with `files`, QUEUE Postfix's queue, PEM a key with its certificate
 */

import fs from 'node:fs'

export type Fact =
  /** A user's mail is accepted, and the daemon was not queried where it counts. */
  | 'unasked'
  /** The same, after the message has waited for a second or more. */
  | 'unasked and late'
  /** A user's mail is accepted, and the daemon is queried about it without the user's name. */
  | 'asked without a name'
  /** A user's mail is deferred. */
  | 'deferred'
  /** Mail from this host is deferred at the service THIRD. */
  | 'deferred behind the filter'
  /** Clients get no greeting. */
  | 'no greeting'
  /** Postfix does not start at all. */
  | 'no start'
  /** While the daemon is stopped, mail is deferred. */
  | 'deferred without the daemon'
  /** While the daemon hangs, a message waits longer than half a minute. */
  | 'waits for a hanging daemon'
  /** The same while it is stopped. */
  | 'waits for a stopped daemon'
  /** More than one request about one message to one recipient. */
  | 'asked twice'
  /** The daemon says REJECT, and the mail is accepted. */
  | 'refused and accepted'
  /** The daemon says REJECT, and the client is told to retry. */
  | 'refused for now'
  /** The daemon is queried about each of three recipients. */
  | 'asked per recipient'
  /** A network that main.cf names is not trusted. */
  | 'trusts less than a line says'
  /** No service offers AUTH. */
  | 'nobody logs in'
  /** Mail to others is accepted without a login, and the daemon gets no user name. */
  | 'relays without a name'

export interface Row {
  readonly name: string
  /** All findings about Postfix, no more and no less. */
  readonly finds: readonly string[]
  readonly fact: Fact
  readonly main?: string
  readonly services?: string
  readonly files?: Readonly<Record<string, string>>
  /** A second instance, and the one that receives the message. */
  readonly second?: { readonly main?: string; readonly services: string }
  /** A part of the line that the first finding points to. */
  readonly at?: string
  /** The client, and its address: mynetworks is 127.0.0.1. Default: a user from outside. */
  readonly client?: 'inside' | 'with a certificate' | { readonly pretending: string }
  /** The service that the message is sent to; by default SUBMISSION. */
  readonly to?: 'SMTP' | 'SUBMISSION' | 'THIRD'
  /** Where the daemon listens; by default at 127.0.0.1 and ::1. */
  readonly listens?: readonly string[]
  /** The answer of another policy server; OK by default. */
  readonly other?: string
  /** A port on which nothing may listen; if something does, the row is skipped. */
  readonly freePort?: number
  /** Only visible with a running Postfix: its chroot is created when it starts. */
  readonly isRunning?: true
}

const E = 'smtpd_end_of_data_restrictions'
const R = 'smtpd_recipient_restrictions'
const UNAUTH = 'reject_unauth_destination'
const KNOWN = 'permit_mynetworks, permit_sasl_authenticated'

const smtp = 'SMTP inet n - n - - smtpd\n'
/** The service where users log in, with more options. */
const submission = (...options: string[]) =>
  `SUBMISSION inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n${options.map(option => `  -o ${option}\n`).join('')}`
const services = (...options: string[]) => smtp + submission(...options)
export const SERVICES = services()
/** For a second instance. */
const SECOND = 'THIRD inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes\n'
const TLS = 'smtpd_tls_security_level = may\nsmtpd_tls_cert_file = PEM\nsmtpd_tls_key_file = PEM\n'
const CERTIFICATES = `${TLS}smtpd_tls_CAfile = PEM\nsmtpd_tls_ask_ccert = yes\n`

type More = Partial<Omit<Row, 'name' | 'finds' | 'fact'>>

const rowsOf =
  (id: string, fact: Fact) =>
  (name: string, main: string, more: More & { also?: string[]; in?: Fact } = {}): Row => {
    const { also = [], in: own = fact, ...rest } = more
    return { name, finds: [id, ...also], fact: own, main, ...rest }
  }

const notAsked = rowsOf('not-asked', 'unasked')
const notAskedRows: readonly Row[] = [
  notAsked('nothing asks', ''),
  notAsked(
    'logins are switched on in main.cf, so at port 25 as well',
    'smtpd_sasl_auth_enable = yes',
    {
      services: smtp,
      to: 'SMTP',
    },
  ),
  notAsked('logins are switched on by $name of $name', 'logins = $really\nreally = yes', {
    services: `${smtp}SUBMISSION inet n - n - - smtpd -o smtpd_sasl_auth_enable=$logins\n`,
  }),
  notAsked('the parameter is misspelt', 'smtpd_end_of_message_restrictions = ITEM'),
  notAsked(
    'the line is indented, so it continues the one above',
    `biff = no\n\n# ours:\n  ${E} = ITEM`,
  ),
  notAsked('$name of a list that is written differently', `own_list = ITEM\n${E} = $ownlist`, {
    at: 'own_list =',
  }),
  notAsked('the list has a name of its own that nothing uses', 'mtpolicyd = ITEM'),
  notAsked('it is commented out', `#${E} = ITEM`),
  notAsked('only the service for the world asks', '', {
    services: `SMTP inet n - n - - smtpd -o { ${E} = ITEM }\n${submission()}`,
  }),
  notAsked('options of the service in one line, without a blank', '', {
    services: 'SUBMISSION inet n - n - - smtpd -osmtpd_sasl_auth_enable=yes -osyslog_name=x\n',
  }),
  notAsked(
    'the primary is a null client and asks, mail comes by a second instance',
    `${E} = ITEM\nmaster_service_disable = inet`,
    {
      second: { services: services() },
    },
  ),
  notAsked('the primary is asked about, a second instance is not', `${E} = ITEM`, {
    second: { services: SECOND },
    to: 'THIRD',
  }),
]

const REPORTED: readonly Row[] = [
  notAsked('of a misspelt name, smtp_ for smtpd_', 'smtp_end_of_data_restrictions = ITEM'),
  notAsked('comments in a list have switched off all of it', `${E} =\n#    BARE\n\nbiff = no`),
  notAsked(
    'a comment in the middle of a list, which goes on behind it',
    `${R} =\n# off #  BARE\n  ${KNOWN}\n  ${UNAUTH}`,
  ),
  notAsked('only where a before-queue filter hands mail back', `own = ITEM`, {
    services: `${smtp}${submission('smtpd_proxy_filter=127.0.0.1:THIRD')}127.0.0.1:THIRD inet n - n - - smtpd
  -o smtpd_proxy_filter=
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o ${E}=$own\n`,
    in: 'asked without a name',
  }),
  notAsked('not while the server is under stress', `${E} = \${stress?{}:{ITEM}}`, {
    // master adds this while it has no more processes for a service.
    services: `${services()}THIRD inet n - n - - smtpd -o stress=yes -o smtpd_sasl_auth_enable=yes\n`,
    to: 'THIRD',
    also: ['not-asked'],
  }),
]

const broken = rowsOf('broken-item', 'no greeting')
const brokenRows: readonly Row[] = [
  broken('blanks around = in braces', `${E} = check_policy_service { ADDRESS, timeout = 5s }`, {
    at: E,
  }),
  broken(
    'an option with an unknown name',
    `${E} = check_policy_service { ADDRESS, default-action=DUNNO }`,
  ),
  broken('no inet: in front', `${E} = check_policy_service 127.0.0.1:PORT`),
  broken(
    'a brace that is not closed',
    `${E} = check_policy_service { ADDRESS, default_action=DUNNO`,
  ),
  broken('no port', `${E} = check_policy_service inet:127.0.0.1`),
  broken(
    'a time that is none',
    `${E} = check_policy_service { ADDRESS, timeout=soon, default_action=DUNNO }`,
  ),
  broken(
    'an action of several words without braces of its own',
    `${E} = check_policy_service { ADDRESS, default_action = 450 4.7.1 try later }`,
  ),
  broken(
    'nothing between brace and next word',
    `${E} = check_policy_service { ADDRESS, default_action=DUNNO }permit`,
  ),
  broken('an item with blanks behind -o', '', {
    services: services(`${E}=check_policy_service { ADDRESS, default_action=DUNNO }`),
    at: E,
  }),
  broken('a value with blanks behind -o, at its name', '', {
    services: services(`${E} = ITEM`),
  }),
  broken('yes in another word', `${E} = ITEM`, {
    services: `${smtp}SUBMISSION inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=true\n`,
    at: 'smtpd_sasl_auth_enable=true',
  }),
  broken('a line without =', `mydomain example.org\n${E} = ITEM`, {
    in: 'no start',
    at: 'mydomain',
  }),
  broken('a comment behind the value', `${E} = ITEM # mtpolicyd`, { in: 'deferred', at: E }),
  broken(
    'options without braces',
    `${E} = check_policy_service ADDRESS default_action=DUNNO timeout=5s`,
    {
      in: 'deferred',
    },
  ),
  broken('a misspelt restriction', `${E} = check_policy_servce ADDRESS`, { in: 'deferred' }),
  broken('quotes around the item', `${E} = "check_policy_service ADDRESS"`, { in: 'deferred' }),
  broken('semicolons between', `${R} = check_policy_service ADDRESS; ${KNOWN}; ${UNAUTH}`),
  broken(
    'two colons in front of the port',
    `${R} = check_policy_service inet:127.0.0.1::PORT, ${KNOWN}, ${UNAUTH}`,
  ),
  broken('a transport that smtpd does not know', `${E} = check_policy_service tcp:127.0.0.1:PORT`),
  broken('a blank in the place of the colon', `${E} = check_policy_service inet 127.0.0.1:PORT`),
  broken('a whole list with blanks behind -o', `${E} = ITEM`, {
    services: services(
      `smtpd_sender_restrictions=check_sender_access static:DUNNO, permit_sasl_authenticated`,
    ),
    at: 'smtpd_sender_restrictions',
  }),
  broken(
    'nothing is left that refuses to relay',
    `smtpd_relay_restrictions =\n${R} = ITEM, permit_sasl_authenticated`,
  ),
  broken('quotes around a whole list, as in a compose file', `${R} = "BARE, ${KNOWN}, ${UNAUTH}"`, {
    in: 'deferred',
  }),
  broken(
    'a block list has lost its name',
    `${R} = reject_rbl_client, ${UNAUTH} zen.example.invalid, ITEM`,
    { in: 'deferred' },
  ),
  broken(
    'the hint of a README is pasted with the line',
    `${R} =\n  ITEM,  # <-- Insert this line before "permit_mynetworks"\n  ${KNOWN},\n  ${UNAUTH}`,
    { in: 'deferred' },
  ),
  broken('the service line is a remark, its options are not', `${E} = ITEM`, {
    services: `SMTP inet n - n - - smtpd\n#SUBMISSION inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n  -o ${R}=permit_sasl_authenticated, reject\n`,
    to: 'SMTP',
    at: `${R}=`,
  }),
  broken('nothing behind check_policy_service', `${E} = check_policy_service`, { in: 'deferred' }),
  broken('a class that is not declared', `asking = ITEM\n${E} = asking`, { in: 'deferred' }),
  broken(
    'a blank that is none, from a web page',
    `${E} = check_policy_service\u00c2\u00a0ADDRESS`,
    { in: 'deferred' },
  ),
  broken(
    'a class in main.cf, and a service behind a filter that knows no classes',
    `smtpd_restriction_classes = asking\nasking = ITEM\n${E} = asking`,
    {
      services: `${services()}127.0.0.1:THIRD inet n - n - - smtpd
  -o smtpd_restriction_classes=
  -o smtpd_client_restrictions=permit_mynetworks,reject
  -o receive_override_options=no_header_body_checks\n`,
      in: 'deferred behind the filter',
      to: 'THIRD',
      at: E,
    },
  ),
]

const behind = rowsOf('behind-permit', 'unasked')
const behindRows: readonly Row[] = [
  behind('behind both permits', `${E} = ${KNOWN}, ITEM`, { at: E }),
  behind('behind permit_mynetworks: webmail', `${E} = permit_mynetworks, ITEM`, {
    client: 'inside',
  }),
  behind(
    'last in the recipient list, as it is written everywhere',
    `${R} = ${KNOWN}, ${UNAUTH}, ITEM`,
    {
      at: R,
    },
  ),
  behind(
    'in several lines with remarks',
    `${E} =\n  # who is known\n  permit_sasl_authenticated,\n# the daemon\n  ITEM`,
  ),
  behind('by $name', `known = permit_sasl_authenticated\n${E} = $known, ITEM`, { at: `${E} =` }),
  behind(
    'by a class',
    `smtpd_restriction_classes = known\nknown = permit_sasl_authenticated\n${E} = known, ITEM`,
  ),
  behind('a table that says OK, as text', `${E} = check_client_access cidr:FILES/clients, ITEM`, {
    files: { clients: '127.0.0.0/8 OK\n' },
  }),
  behind('a table that says OK, in the list', `${E} = check_sasl_access inline:{ alice=OK }, ITEM`),
  behind(
    'a table that cannot be looked into',
    `${E} = check_sender_access texthash:FILES/senders, ITEM`,
    {
      files: { senders: 'example.net PERMIT\n' },
    },
  ),
  behind(
    'a table at the head of the list',
    `${R} = check_recipient_access pcre:FILES/ok, ITEM, ${KNOWN}, ${UNAUTH}`,
    {
      files: { ok: '/./ OK\n' },
    },
  ),
  behind(
    'a recipient table, and another that says nothing',
    `${R} = check_recipient_access texthash:FILES/rcpt, check_sender_access pcre:FILES/dunno, ITEM, ${KNOWN}, ${UNAUTH}`,
    {
      files: { rcpt: 'bob@example.com OK\n', dunno: '/./ DUNNO\n' },
    },
  ),
  behind(
    'who logs in is welcome',
    `${R} = check_sasl_access pcre:FILES/ok, ITEM, ${KNOWN}, ${UNAUTH}`,
    {
      files: { ok: '/./ OK\n' },
    },
  ),
  behind('the sender list, permits in front', `smtpd_sender_restrictions = ${KNOWN}, ITEM`),
  behind(
    'a web mailer in a container next door',
    `${R} = permit_mynetworks, ITEM, permit_sasl_authenticated, ${UNAUTH}`,
    {
      client: 'inside',
    },
  ),
  behind(
    'this server itself',
    `${R} = permit_inet_interfaces, ITEM, permit_sasl_authenticated, ${UNAUTH}`,
    {
      client: 'inside',
    },
  ),
  behind('permit', `${E} = permit, ITEM`),
  behind('permit_tls_all_clientcerts', `${CERTIFICATES}${E} = permit_tls_all_clientcerts, ITEM`, {
    client: 'with a certificate',
  }),
  behind('the service has such a list', `${E} = ITEM`, {
    services: services(`{ ${E} = permit_sasl_authenticated, ITEM }`),
    at: 'permit_sasl_authenticated',
  }),
  behind('the own addresses of the server', `${E} = permit_inet_interfaces, ITEM`, {
    client: 'inside',
  }),
  behind('by a condition', `strict =\n${E} = \${strict?{}:{permit_sasl_authenticated}} ITEM`),
]

const override = rowsOf('service-override', 'unasked')
const overrideRows: readonly Row[] = [
  override('an empty list', `${E} = ITEM`, { services: services(`${E}=`), at: `${E}=` }),
  override("another server's item", `${E} = ITEM`, {
    services: services(`${E}=check_policy_service,inet:127.0.0.1:OTHERPORT`),
  }),
  override(
    "Debian's block, and our item in main.cf's recipient list",
    `${R} = ITEM, ${KNOWN}, ${UNAUTH}`,
    {
      services: services(`${R}=permit_sasl_authenticated,reject`),
      at: `${R}=`,
    },
  ),
  override('by $mua_…, which is not set', `${E} = ITEM`, {
    services: services(`${E}=$mua_end_of_data_restrictions`),
  }),
  override('without a blank behind -o', `${E} = ITEM`, {
    services: `${smtp}SUBMISSION inet n - n - - smtpd -osmtpd_sasl_auth_enable=yes -o${E}=\n`,
  }),
  override('in braces', `${E} = ITEM`, {
    services: services(`{ ${E} = reject_unauth_pipelining }`),
  }),
  override('all of Debian 12', `${R} = ITEM, ${KNOWN}, ${UNAUTH}`, {
    services: services(
      'smtpd_client_restrictions=',
      'smtpd_helo_restrictions=',
      'smtpd_sender_restrictions=',
      'smtpd_relay_restrictions=',
      `${R}=permit_sasl_authenticated,reject`,
    ),
    at: `${R}=`,
  }),
  override('an empty recipient list, and a relay list', `${R} = ITEM, ${KNOWN}, ${UNAUTH}`, {
    services: services(`${R}=`, 'smtpd_relay_restrictions=permit_sasl_authenticated,reject'),
  }),
  override(
    '$mua_… and a word behind it',
    `mua_sender = permit_sasl_authenticated\nsmtpd_sender_restrictions = ITEM`,
    {
      services: services('smtpd_sender_restrictions=$mua_sender,reject'),
    },
  ),
  override(
    'strict lists are cleared, and the item was in one',
    'smtpd_sender_restrictions = ITEM',
    {
      services: services(
        'smtpd_client_restrictions=',
        'smtpd_helo_restrictions=',
        'smtpd_sender_restrictions=',
        'smtpd_relay_restrictions=permit_sasl_authenticated,reject',
      ),
    },
  ),
  override(
    'behind postscreen',
    `postscreen_greet_wait = 1s\nsmtpd_sasl_auth_enable = yes\n${E} = ITEM`,
    {
      services: `SMTP inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n  -o ${E}=\n${submission()}dnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n`,
      to: 'SMTP',
    },
  ),
  override('the list of DATA', 'smtpd_data_restrictions = ITEM', {
    services: services('smtpd_data_restrictions=reject_unauth_pipelining'),
  }),
  override('port 465 has none of its own and asks, 587 does not', `${E} = ITEM`, {
    services: `${services(`${E}=`)}THIRD inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes\n`,
  }),
]

const earlier = rowsOf('earlier-policy-may-permit', 'unasked')
const earlierRows: readonly Row[] = [
  earlier('greylisting in front', `${E} = OTHER, ITEM`, { at: E }),
  earlier('in the recipient list', `${R} = OTHER, ITEM, ${KNOWN}, ${UNAUTH}`, { at: R }),
  earlier('by $name', `spf = OTHER\n${E} = $spf ITEM`),
  earlier(
    'by a class',
    `smtpd_restriction_classes = greylist\ngreylist = OTHER\n${E} = greylist, ITEM`,
  ),
  earlier('on a socket of its own', `${E} = check_policy_service unix:private/other, ITEM`),
  earlier(
    'one that is down and says OK by default',
    `${E} = check_policy_service { inet:127.0.0.1:1, default_action=OK, try_limit=1 }, ITEM`,
  ),
  earlier('at the service', '', { services: services(`{ ${E} = OTHER, ITEM }`), at: E }),
]

const stage = rowsOf('wrong-stage', 'unasked')
const stageRows: readonly Row[] = [
  stage('when a client connects', 'smtpd_delay_reject = no\nsmtpd_client_restrictions = ITEM', {
    at: 'smtpd_client_restrictions',
  }),
  stage('at EHLO', 'smtpd_delay_reject = no\nsmtpd_helo_restrictions = ITEM'),
  stage('at MAIL', 'smtpd_delay_reject = no\nsmtpd_sender_restrictions = ITEM'),
  stage('at the service', '', {
    services: services('smtpd_delay_reject=no', '{ smtpd_client_restrictions = ITEM }'),
    at: 'smtpd_client_restrictions',
  }),
  stage('the list of ETRN', 'smtpd_etrn_restrictions = ITEM', { at: 'smtpd_etrn_restrictions' }),
  stage('the sender list', 'smtpd_sender_restrictions = ITEM', { in: 'asked per recipient' }),
  stage('the client list', 'smtpd_client_restrictions = ITEM', { in: 'asked per recipient' }),
  stage('the HELO list, by $name', 'own = ITEM\nsmtpd_helo_restrictions = $own', {
    in: 'asked per recipient',
  }),
]

const noAction = rowsOf('no-default-action', 'deferred without the daemon')
const noActionRows: readonly Row[] = [
  noAction('a bare item', `${E} = BARE`, { also: ['timeout-too-long'], at: E }),
  noAction('only a time', `${E} = check_policy_service { ADDRESS, timeout=5s }`),
  noAction(
    'first in the recipient list',
    `${R} = check_policy_service {ADDRESS,timeout=5s} ${KNOWN}, ${UNAUTH}`,
  ),
  noAction('at the service', '', {
    services: services(`${E}=check_policy_service,{ADDRESS,timeout=3s}`),
    at: E,
  }),
  noAction('by $name', `ask = check_policy_service { ADDRESS, timeout=5s }\n${E} = $ask`),
  noAction(
    'by a class',
    `smtpd_restriction_classes = asking\nasking = check_policy_service { ADDRESS, timeout=5s }\n${E} = asking`,
  ),
]

const slow = rowsOf('timeout-too-long', 'waits for a hanging daemon')
const slowRows: readonly Row[] = [
  slow("Postfix's own 100 s", `${E} = check_policy_service { ADDRESS, default_action=DUNNO }`, {
    at: E,
  }),
  slow('a minute', `${E} = check_policy_service { ADDRESS, default_action=DUNNO, timeout=1m }`),
  slow(
    'many tries',
    `${E} = check_policy_service { ADDRESS, default_action=DUNNO, timeout=5s, try_limit=9 }`,
  ),
  slow(
    'a long rest between two tries',
    `${E} = check_policy_service { ADDRESS, default_action=DUNNO, timeout=5s, retry_delay=40s }`,
    {
      in: 'waits for a stopped daemon',
    },
  ),
  slow(
    'by main.cf for all policy servers',
    `smtpd_policy_service_timeout = 300s\n${E} = check_policy_service { ADDRESS, default_action=DUNNO }`,
  ),
  slow('by main.cf for all, the rest', `smtpd_policy_service_retry_delay = 35s\n${E} = ITEM`, {
    in: 'waits for a stopped daemon',
  }),
  slow('at the service', `${E} = check_policy_service { ADDRESS, default_action=DUNNO }`, {
    services: submission('smtpd_policy_service_timeout=60'),
    at: 'smtpd_policy_service_timeout',
  }),
]

const unknown = rowsOf('unresolvable-host', 'unasked and late')
const unknownRows: readonly Row[] = [
  unknown(
    'a name that does not exist',
    `${E} = check_policy_service { inet:policy.example.invalid:PORT, default_action=DUNNO, timeout=5s }`,
    { at: E },
  ),
  unknown(
    'in the recipient list, with 451',
    `${R} = check_policy_service { inet:policy.example.invalid:PORT, timeout=5s }, ${KNOWN}, ${UNAUTH}`,
    {
      in: 'deferred',
    },
  ),
  unknown(
    'a name that its chroot does not know',
    `${E} = check_policy_service { inet:localhost:PORT, default_action=DUNNO, timeout=5s }`,
    {
      services: `${smtp}SUBMISSION inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes\n`,
      isRunning: true,
    },
  ),
]

const socket = rowsOf('socket-unreachable', 'unasked and late')
const unix = (name: string) =>
  `${E} = check_policy_service { unix:${name}, default_action=DUNNO, timeout=5s }`
const socketRows: readonly Row[] = [
  socket('a socket that is not there', unix('private/mtpolicyd'), { at: E }),
  socket('an absolute path that the chroot does not have', unix('FILES/mtpolicyd.sock'), {
    services: `${smtp}SUBMISSION inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes\n`,
    listens: ['FILES/mtpolicyd.sock'],
  }),
  socket(
    'the same with -, which is y without a compatibility level',
    `compatibility_level = 0\nsmtpd_relay_restrictions = ${KNOWN}, ${UNAUTH}\n${unix('FILES/mtpolicyd.sock')}`,
    {
      services: 'SUBMISSION inet n - - - - smtpd -o smtpd_sasl_auth_enable=yes\n',
      listens: ['FILES/mtpolicyd.sock'],
    },
  ),
  socket('Postfix may not write to it', unix('FILES/closed.sock'), {
    listens: ['FILES/closed.sock'],
  }),
  socket('Postfix may not enter its folder', unix('FILES/closed/mtpolicyd.sock'), {
    listens: ['FILES/closed/mtpolicyd.sock'],
  }),
  socket('with 451', `${E} = check_policy_service unix:private/mtpolicyd`, { in: 'deferred' }),
]

const wrong = rowsOf('wrong-endpoint', 'unasked and late')
const wrongRows: readonly Row[] = [
  wrong(
    'IPv4 where smtpd has IPv6 only',
    `inet_protocols = ipv6\ninet_interfaces = ::1\nmynetworks = [::1]/128\n${E} = ITEM`,
    { at: E },
  ),
  wrong(
    'IPv6 where smtpd has IPv4 only',
    `${E} = check_policy_service { inet:[::1]:PORT, default_action=DUNNO, timeout=5s }`,
  ),
  wrong('the daemon has moved to ::1', `inet_protocols = all\n${E} = ITEM`, {
    listens: ['[::1]:PORT'],
  }),
  wrong(
    'the daemon listens on ::1, and smtpd has IPv4 only',
    `${E} = check_policy_service { inet:localhost:PORT, default_action=DUNNO, timeout=5s }`,
    {
      listens: ['[::1]:PORT'],
    },
  ),
  wrong(
    "this host's own address, where the daemon listens on the loopback",
    `${E} = check_policy_service { inet:LAN:PORT, default_action=DUNNO, timeout=5s }`,
  ),
  wrong(
    'another loopback address',
    `${E} = check_policy_service { inet:127.0.0.3:PORT, default_action=DUNNO, timeout=5s }`,
    {
      listens: ['127.0.0.1:PORT'],
    },
  ),
  wrong(
    'the default port, and the daemon has another',
    `${E} = check_policy_service { inet:127.0.0.1:12345, default_action=DUNNO, timeout=5s }`,
    { freePort: 12_345 },
  ),
  wrong('at the service', `inet_protocols = all\n${E} = ITEM`, {
    services: services(`${E}=check_policy_service,{inet:127.0.0.1:PORT,default_action=DUNNO}`),
    listens: ['[::1]:PORT'],
    at: `${E}=`,
  }),
]

const double = rowsOf('duplicate-parameter', 'unasked')
const doubleRows: readonly Row[] = [
  double('the second takes away what the first says', `${E} = ITEM\nbiff = no\n${E} =`, {
    at: `${E} =`,
  }),
  double('another package appended its own', `${E} = ITEM\n${E} = OTHER`, { other: 'DUNNO' }),
  double('recipient lists', `${R} = ITEM, ${KNOWN}, ${UNAUTH}\n${R} = ${KNOWN}, ${UNAUTH}`),
  double('a service twice', `${E} = OTHER`, {
    other: 'DUNNO',
    services: services(`{ ${E} = ITEM }`) + submission('syslog_name=postfix/submission'),
  }),
  double('an option twice', '', {
    services: services(`{ ${E} = ITEM }`, `${E}=`),
    at: `${E}=`,
  }),
  double(
    'mynetworks',
    'mynetworks = 127.0.0.1/32 127.0.0.2/32\nmynetworks = 127.0.0.1/32\nsmtpd_end_of_data_restrictions = ITEM',
    {
      in: 'trusts less than a line says',
      at: 'mynetworks',
    },
  ),
]

const twice = rowsOf('asked-twice', 'asked twice')
const twiceRows: readonly Row[] = [
  twice('at RCPT and at the end of data', `${R} = ITEM, ${KNOWN}, ${UNAUTH}\n${E} = ITEM`),
  twice('at DATA and at the end of data', `smtpd_data_restrictions = ITEM\n${E} = ITEM`),
  twice(
    'in three lists',
    `${E} = ITEM\n${R} = ITEM, ${KNOWN}, ${UNAUTH}\nsmtpd_sender_restrictions = ITEM, ${KNOWN}`,
  ),
  twice('twice in one list', `own = ITEM\n${E} = $own, ITEM`, { at: `${E} =` }),
  twice(
    'by a class as well',
    `smtpd_restriction_classes = asking\nasking = ITEM\n${E} = ITEM\nsmtpd_sender_restrictions = asking`,
  ),
]

const soft = rowsOf('soft-bounce', 'refused for now')
const softRows: readonly Row[] = [
  soft('left over from a trial', `soft_bounce = yes\n${E} = ITEM`, { at: 'soft_bounce' }),
  soft('at the service', `${E} = ITEM`, {
    services: services('soft_bounce=yes'),
    at: 'soft_bounce=yes',
  }),
  soft('by $name', `trial = yes\nsoft_bounce = $trial\n${E} = ITEM`, { at: 'soft_bounce' }),
]

const nobody = rowsOf('no-authentication', 'nobody logs in')
const nobodyRows: readonly Row[] = [
  nobody('logins are switched on nowhere', `${E} = ITEM`, { services: smtp }),
  nobody('the submission block is a remark', `${E} = ITEM`, {
    services: `${smtp}#SUBMISSION inet n - n - - smtpd\n#  -o smtpd_sasl_auth_enable=yes\n`,
  }),
  nobody('only with TLS, and there is none', `smtpd_tls_auth_only = yes\n${E} = ITEM`, {
    at: 'smtpd_tls_auth_only',
  }),
  nobody('switched off by the service', `smtpd_sasl_auth_enable = yes\n${E} = ITEM`, {
    services: 'SUBMISSION inet n - n - - smtpd -o smtpd_sasl_auth_enable=no\n',
  }),
]

const certificate = rowsOf('certificate-clients', 'relays without a name')
const certificateRows: readonly Row[] = [
  certificate(
    'of any trusted authority',
    `${CERTIFICATES}${E} = ITEM\nsmtpd_relay_restrictions = permit_tls_all_clientcerts, permit_sasl_authenticated, ${UNAUTH}`,
    {
      client: 'with a certificate',
      at: 'smtpd_relay_restrictions',
    },
  ),
  certificate(
    'by their fingerprints',
    `${CERTIFICATES}smtpd_tls_fingerprint_digest = sha256\nrelay_clientcerts = static:OK\n${E} = ITEM\nsmtpd_relay_restrictions = permit_tls_clientcerts, permit_sasl_authenticated, ${UNAUTH}`,
    {
      client: 'with a certificate',
    },
  ),
  certificate(
    'at the service',
    `${CERTIFICATES}${E} = ITEM\nsmtpd_relay_restrictions = permit_sasl_authenticated, ${UNAUTH}`,
    {
      client: 'with a certificate',
      services: services('{ smtpd_relay_restrictions = permit_tls_all_clientcerts, reject }'),
      at: 'permit_tls_all_clientcerts',
    },
  ),
]

const wide = rowsOf('trusted-networks-wide', 'relays without a name')
const wideRows: readonly Row[] = [
  wide('all the world', `mynetworks = 0.0.0.0/0\n${E} = ITEM`, { at: 'mynetworks' }),
  wide('a file with too much in it', `mynetworks = 127.0.0.1 FILES/trusted\n${E} = ITEM`, {
    files: { trusted: '# offices\n203.0.0.0/8\n' },
    client: { pretending: '203.0.113.9' },
  }),
  wide('a table', `mynetworks = cidr:FILES/trusted\n${E} = ITEM`, {
    files: { trusted: '198.0.0.0/8 OK\n' },
    client: { pretending: '198.51.100.4' },
  }),
  wide('by $name', `offices = 192.0.0.0/16\nmynetworks = 127.0.0.1, $offices\n${E} = ITEM`, {
    client: { pretending: '192.0.2.9' },
    at: 'mynetworks',
  }),
  wide('IPv6', `inet_protocols = all\nmynetworks = 127.0.0.1 [2001:d00::]/24\n${E} = ITEM`, {
    client: { pretending: '2001:db8::9' },
  }),
  wide('all private addresses', `mynetworks = 127.0.0.0/8 10.0.0.0/8\n${E} = ITEM`, {
    client: { pretending: '10.200.3.4' },
  }),
]

const warned = rowsOf('warn-if-reject', 'refused and accepted')
const warnedRows: readonly Row[] = [
  warned('at the end of data', `${E} = warn_if_reject ITEM`, { at: E }),
  warned('first in the recipient list', `${R} = warn_if_reject ITEM, ${KNOWN}, ${UNAUTH}`),
  warned(
    'before a class',
    `smtpd_restriction_classes = asking\nasking = reject_unauth_pipelining, ITEM\n${E} = warn_if_reject asking`,
  ),
  warned('at the service', '', {
    services: services(`{ ${E} = warn_if_reject ITEM }`),
    at: 'warn_if_reject',
  }),
  warned('by $name', `trial = warn_if_reject\n${E} = $trial ITEM`, { at: `${E} =` }),
]

const unused = rowsOf('unused-restriction-class', 'unasked')
const unusedRows: readonly Row[] = [
  unused('declared and named nowhere', 'smtpd_restriction_classes = asking\nasking = ITEM', {
    at: 'asking =',
  }),
  unused(
    'named in a list that is replaced',
    `smtpd_restriction_classes = asking\nasking = ITEM\n${R} = ${KNOWN}, ${UNAUTH}`,
  ),
]

export const rows: readonly Row[] = [
  ...notAskedRows,
  ...REPORTED,
  ...brokenRows,
  ...behindRows,
  ...overrideRows,
  ...earlierRows,
  ...stageRows,
  ...noActionRows,
  ...slowRows,
  ...unknownRows,
  ...socketRows,
  ...wrongRows,
  ...doubleRows,
  ...twiceRows,
  ...softRows,
  ...nobodyRows,
  ...certificateRows,
  ...wideRows,
  ...warnedRows,
  ...unusedRows,
]

/** Set-ups in which nothing is wrong; in fact the daemon is queried about users' mail. */
const good = (name: string, main: string, more: More = {}): Row => ({
  name,
  main,
  finds: [],
  fact: 'unasked',
  ...more,
})

export const goodRows: readonly Row[] = [
  good('as register writes it', `${E} = ITEM`),
  good(
    "an administrator's own options",
    `${E} = check_policy_service { ADDRESS, { default_action = 451 4.7.1 later }, timeout=3s, try_limit=1, policy_context=x }`,
  ),
  good('first in the recipient list', `${R} = ITEM, ${KNOWN}, ${UNAUTH}`),
  good(
    'in the recipient list behind what refuses',
    `${R} = reject_non_fqdn_recipient, reject_unknown_recipient_domain, ITEM, ${KNOWN}, ${UNAUTH}`,
  ),
  good('first in the relay list', `smtpd_relay_restrictions = ITEM, ${KNOWN}, ${UNAUTH}`),
  good('at DATA', 'smtpd_data_restrictions = reject_unauth_pipelining, ITEM'),
  good('in front of the permits, in several lines', `${E} =\n  ITEM,\n# who is known\n  ${KNOWN}`),
  good(
    'a unix socket',
    `${E} = check_policy_service { unix:private/mtpolicyd, default_action=DUNNO, timeout=5s }`,
    {
      listens: ['QUEUE/private/mtpolicyd'],
    },
  ),
  good(
    'a unix socket in a chroot',
    `${E} = check_policy_service { unix:private/mtpolicyd, default_action=DUNNO, timeout=5s }`,
    {
      listens: ['QUEUE/private/mtpolicyd'],
      services: `${smtp}SUBMISSION inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes\n`,
    },
  ),
  good(
    'IPv6 only',
    `inet_protocols = ipv6\ninet_interfaces = ::1\nmynetworks = [::1]/128\n${E} = check_policy_service { inet:[::1]:PORT, default_action=DUNNO, timeout=5s }`,
  ),
  good(
    'localhost, over both families',
    `inet_protocols = all\n${E} = check_policy_service { inet:localhost:PORT, default_action=DUNNO, timeout=5s }`,
  ),
  good('each service has its own list', '', {
    services: `SMTP inet n - n - - smtpd\n${submission(`{ ${E} = ITEM }`)}THIRD inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n  -o ${E}=check_policy_service,{ADDRESS,default_action=DUNNO,timeout=5s}\n`,
  }),
  good('our item first in a list with others', `${E} = ITEM, permit_mynetworks, OTHER`),
  good(
    'by $name of $name',
    `inner = ITEM\nouter = reject_unauth_pipelining, $inner\n${E} = $outer`,
  ),
  good('by $mua_…', `mua_end = ITEM`, { services: services(`${E}=$mua_end`) }),
  good('by a class', `smtpd_restriction_classes = asking\nasking = ITEM\n${E} = asking`),
  good(
    'the default for all policy servers',
    `smtpd_policy_service_default_action = DUNNO\nsmtpd_policy_service_timeout = 5s\n${E} = BARE`,
  ),
  good('options without a blank', `own = ITEM`, {
    services: `SUBMISSION inet n - n - - smtpd -osmtpd_sasl_auth_enable=yes -o${E}=$own\n`,
  }),
  good('a permit in another list', `smtpd_client_restrictions = ${KNOWN}, reject\n${E} = ITEM`),
  good(
    'tables that never permit',
    `${E} = check_client_access inline:{ 192.0.2.1=REJECT, 192.0.2.2=DUNNO }, check_sender_access static:DUNNO, ITEM`,
  ),
  good(
    'a filter hands mail back to a service that asks nobody',
    `${E} = ITEM\ncontent_filter = smtp:[127.0.0.1]:10024`,
    {
      services: `${services()}127.0.0.1:THIRD inet n - n - - smtpd\n  -o content_filter=\n  -o ${E}=\n  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n`,
    },
  ),
  good('the same parameter twice, to the same value', `${E} = ITEM\n${E} = ITEM`),
  good('certificates are asked for, and nobody may relay by them', `${CERTIFICATES}${E} = ITEM`),
  good(
    'a service that is switched off does not ask',
    `${E} = ITEM\nmaster_service_disable = THIRD.inet`,
    {
      services: `${services()}THIRD inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n  -o ${E}=\n`,
    },
  ),
  good('the primary is a null client, the second instance asks', 'master_service_disable = inet', {
    second: { main: `${E} = ITEM`, services: SECOND },
  }),
  good(
    'small networks',
    `mynetworks = 127.0.0.0/8 [::1]/128 192.168.0.0/16 172.18.0.0/16 203.0.113.0/24\n${E} = ITEM`,
  ),
  good('a port of its own', `${E} = ITEM`, {
    services: '127.0.0.1:SUBMISSION inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n',
  }),
  good(
    'capital letters',
    `${E} = Check_Policy_Service { ADDRESS, default_action=dunno, timeout=5s }`,
  ),
]

/** The rows that can be tested here; ONLY selects some of them. */
export function possible(all: readonly Row[]): Row[] {
  const only = process.env.ONLY ?? ''
  return all.filter(row => !isTaken(row.freePort) && `${row.finds[0]}: ${row.name}`.includes(only))
}

export function leftOut(): string {
  const names = rows.filter(row => isTaken(row.freePort)).map(({ name }) => name)
  return names.length === 0 ? 'none' : `${names.join(', ')} (somebody listens there)`
}

function isTaken(port: number | undefined): boolean {
  if (port === undefined) return false
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return ['tcp', 'tcp6'].some(name => {
    const file = `/proc/net/${name}`
    const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
    return new RegExp(`:${hex} [0-9A-F]+:0000 0A`).test(text)
  })
}
