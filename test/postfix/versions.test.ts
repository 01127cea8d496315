// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are Postfix's templates, not ours.
/**
 * What differs between versions of Postfix, by feature: the model with each version's defaults, as
 * its
 */

import t from 'tap'
import { CLIENTS, type ClientName } from '../../daemon/postfix/smtpd/client.ts'
import { decide } from '../../daemon/postfix/smtpd/decision.ts'
import { type PostfixInstance, readInstance } from '../../daemon/postfix/smtpd/instance.ts'
import { readPolicyItem } from '../../daemon/postfix/smtpd/policy-item.ts'
import { restriction } from '../../daemon/postfix/smtpd/restrictions.ts'
import type { Run } from '../../daemon/system/external-program.ts'

const COMMON = `compatibility_level = 0
mynetworks = 127.0.0.0/8
queue_directory = /nonexistent
smtpd_delay_reject = yes
smtpd_sasl_auth_enable = no
smtpd_recipient_limit = 1000
smtpd_timeout = \${stress?{10}:{300}}s
soft_bounce = no
`
const KNOWN = 'permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination'
const DEFAULTS = {
  '2.11.0': `${COMMON}smtpd_relay_restrictions = ${KNOWN}\n`,
  '3.4.14': `${COMMON}smtpd_relay_restrictions = \${{$compatibility_level} < {1} ? {} : {${KNOWN}}}\n`,
  '3.5.25': `${COMMON}smtpd_relay_restrictions = \${{$compatibility_level} < {1} ? {} : {${KNOWN}}}\n`,
  '3.6.4': `${COMMON}smtpd_relay_restrictions = \${{$compatibility_level} <level {1} ? {} : {${KNOWN}}}
smtpd_relay_before_recipient_restrictions = \${{$compatibility_level} <level {3.6} ? {no} : {yes}}\n`,
  '3.10.5': `${COMMON}smtpd_relay_restrictions = \${{$compatibility_level} <level {1} ? {} : {${KNOWN}}}
smtpd_relay_before_recipient_restrictions = \${{$compatibility_level} <level {3.6} ? {no} : {yes}}\n`,
} as const
type Version = keyof typeof DEFAULTS

const ASK = 'check_policy_service inet:127.0.0.1:12345'

async function instanceOf(version: Version, mainCf: string, line = 'n'): Promise<PostfixInstance> {
  const run: Run = async () => ({
    status: 0,
    stdout: `mail_version = ${version}\n${DEFAULTS[version]}`,
    stderr: '',
  })
  const masterCf = `smtp inet n - ${line} - - smtpd\n`
  const instance = await readInstance(run, '/etc/postfix', { mainCf, masterCf })
  if ('absent' in instance) throw new Error(instance.reason)
  return instance
}

async function serviceOf(version: Version, mainCf: string, line?: string) {
  const { services } = await instanceOf(version, mainCf, line)
  const [service] = services
  if (!service) throw new Error('no service')
  return service
}

async function asked(version: Version, mainCf: string, client: ClientName) {
  const { parameters } = await serviceOf(version, mainCf)
  return decide({ parameters, version, isOurs: () => true }, CLIENTS[client]).asked
}

const LOGINS = 'smtpd_sasl_auth_enable = yes\n'

t.test('relay before recipient restrictions: from 3.6 on, by the compatibility level', async t => {
  const lists = `smtpd_relay_restrictions = reject\nsmtpd_recipient_restrictions = ${ASK}\n`
  for (const [version, more, expected] of [
    ['2.11.0', '', 'yes'],
    ['3.4.14', '', 'yes'],
    ['3.4.14', 'compatibility_level = 2\n', 'yes'],
    ['3.4.14', 'compatibility_level = 3.6\n', 'yes'],
    ['3.5.25', 'compatibility_level = 2\n', 'yes'],
    ['3.6.4', '', 'yes'],
    ['3.6.4', 'compatibility_level = 2\n', 'yes'],
    ['3.6.4', 'compatibility_level = 3.5\n', 'yes'],
    ['3.6.4', 'compatibility_level = 3.6\n', 'no'],
    ['3.10.5', 'compatibility_level = 3.10\n', 'no'],
    ['3.10.5', 'compatibility_level = 3.9\n', 'no'],
    ['3.10.5', 'smtpd_relay_before_recipient_restrictions = yes\n', 'no'],
    [
      '3.10.5',
      'compatibility_level = 3.9\nsmtpd_relay_before_recipient_restrictions = no\n',
      'yes',
    ],
    ['3.4.14', 'smtpd_relay_before_recipient_restrictions = yes\n', 'yes'],
    ['3.5.25', 'smtpd_relay_before_recipient_restrictions = yes\n', 'yes'],
    ['3.6.4', 'smtpd_relay_before_recipient_restrictions = no\ncompatibility_level = 3.6\n', 'yes'],
  ] as const) {
    t.equal(await asked(version, more + lists, 'stranger'), expected, `${version} ${more}`)
  }
})

t.test('without a compatibility level there is no relay list', async t => {
  for (const [version, more, value] of [
    ['2.11.0', '', KNOWN],
    ['3.4.14', '', ''],
    ['3.4.14', 'compatibility_level = 1\n', KNOWN],
    ['3.4.14', 'compatibility_level = 2\n', KNOWN],
    ['3.6.4', '', ''],
    ['3.6.4', 'compatibility_level = 0\n', ''],
    ['3.6.4', 'compatibility_level = 0.9\n', ''],
    ['3.6.4', 'compatibility_level = 3.6\n', KNOWN],
    ['3.10.5', 'compatibility_level = 3.10\n', KNOWN],
  ] as const) {
    const { parameters } = await serviceOf(version, more)
    t.equal(parameters.value('smtpd_relay_restrictions'), value, `${version} ${more}`)
  }
})

t.test('then the recipient list must reject, or smtpd does not start', async t => {
  const end = `smtpd_end_of_data_restrictions = ${ASK}\n`
  const open = `${end}smtpd_recipient_restrictions = permit_mynetworks\n`
  for (const version of ['3.4.14', '3.5.25', '3.6.4', '3.10.5'] as const) {
    t.match((await serviceOf(version, open)).mistake, { text: /relay/ }, `${version}: level 0`)
    const level = `${open}compatibility_level = 2\n`
    t.equal((await serviceOf(version, level)).mistake, undefined, `${version}: level 2`)
  }
  t.equal((await serviceOf('2.11.0', open)).mistake, undefined, '2.11 always has a relay list')
})

t.test('a dash in the chroot column means yes up to level 0', async t => {
  for (const [version, more, isChrooted] of [
    ['2.11.0', '', true],
    ['3.4.14', '', true],
    ['3.4.14', 'compatibility_level = 1\n', false],
    ['3.6.4', 'compatibility_level = 3.6\n', false],
    ['3.10.5', '', true],
    ['3.10.5', 'compatibility_level = 3.10\n', false],
  ] as const) {
    t.equal((await serviceOf(version, more, '-')).isChrooted, isChrooted, `${version} ${more}`)
    t.equal((await serviceOf(version, more, 'y')).isChrooted, true)
    t.equal((await serviceOf(version, more, 'n')).isChrooted, false)
  }
})

t.test('an item is understood from the version that introduced its form', async t => {
  const bare = 'inet:127.0.0.1:12345'
  const braced = `{ ${bare}, default_action=DUNNO, timeout=5s }`
  const context = `{ ${bare}, policy_context=submission }`
  for (const [version, isBraced, hasContext] of [
    ['2.11.0', false, false],
    ['3.0.11', true, false],
    ['3.1.15', true, true],
    ['3.4.14', true, true],
    ['3.10.5', true, true],
    ['4.0.0', true, true],
  ] as const) {
    t.type(readPolicyItem(bare, version), 'object', `${version}: bare`)
    t.type(readPolicyItem(braced, version), isBraced ? 'object' : 'string', `${version}: braces`)
    t.type(
      readPolicyItem(context, version),
      hasContext ? 'object' : 'string',
      `${version}: context`,
    )
  }
})

t.test('and a service with an item of a later form does not start', async t => {
  const level = 'compatibility_level = 2\n'
  const end = `${level}smtpd_end_of_data_restrictions = check_policy_service { inet:127.0.0.1:1 }\n`
  t.match((await serviceOf('2.11.0', end)).mistake, { parameter: 'smtpd_end_of_data_restrictions' })
  t.equal((await serviceOf('3.4.14', end)).mistake, undefined)
})

t.test('permit_naked_ip_address was removed in 3.9', async t => {
  for (const version of ['2.11.0', '3.4.14', '3.6.4', '3.8.6']) {
    t.ok(restriction('permit_naked_ip_address', version), version)
  }
  for (const version of ['3.9.0', '3.10.5']) {
    t.notOk(restriction('permit_naked_ip_address', version), version)
  }
  const list = `smtpd_end_of_data_restrictions = permit_naked_ip_address, ${ASK}\n${LOGINS}`
  t.equal(await asked('3.6.4', list, 'authenticated'), 'perhaps')
  t.equal(await asked('3.10.5', list, 'authenticated'), 'no')
})

t.test('what all versions have in common', async t => {
  for (const version of ['2.11.0', '3.4.14', '3.5.25', '3.6.4', '3.10.5'] as const) {
    const base = `compatibility_level = 2\n${LOGINS}`
    const recipient = `${base}smtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, ${ASK}\n`
    t.equal(await asked(version, recipient, 'authenticated'), 'no', version)
    t.equal(await asked(version, recipient, 'mynetworks'), 'no', version)
    t.equal(await asked(version, recipient, 'stranger'), 'yes', version)
    const end = `${base}smtpd_end_of_data_restrictions = ${ASK}\n`
    for (const name of Object.keys(CLIENTS) as ClientName[]) {
      t.equal(await asked(version, end, name), 'yes', `${version}: ${name}`)
    }
    const early = `${base}smtpd_delay_reject = no\nsmtpd_sender_restrictions = ${ASK}\n`
    t.equal(await asked(version, early, 'authenticated'), 'no', version)
  }
})
