/**
 * Set-ups with which somebody tried to make status say ok while mail of users passed unasked; each
 * was seen on a real Postfix. And some that work although they look wrong.
 */

import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { inspectInstance } from '../../daemon/postfix/findings/findings.ts'
import type { Answer } from '../../daemon/postfix/smtpd/protection.ts'
import type { Target } from '../../daemon/postfix/smtpd/reach.ts'
import { runProgram } from '../../daemon/system/external-program.ts'

const skip = spawnSync('postconf', ['-d', 'mail_version']).status === 0 ? false : 'needs Postfix'
if (skip && process.env.CI) throw new Error(skip)

const PORT = 12345
const item = (server: string) =>
  `check_policy_service { inet:${server}, default_action=DUNNO, timeout=5s }`
const ITEM = item(`127.0.0.1:${PORT}`)
const AT_END = `smtpd_end_of_data_restrictions = ${ITEM}\n`
const SUBMISSION = 'submission inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=yes\n'
const target: Target = {
  listeners: [{ kind: 'inet', address: '127.0.0.1', port: PORT }],
  formerPorts: [],
}

async function answersOf(
  t: Test,
  main: string,
  master = SUBMISSION,
  towards: Target = target,
): Promise<Readonly<Record<string, Answer>>> {
  const directory = t.testdir({
    'main.cf':
      'compatibility_level = 3.6\nmynetworks = 127.0.0.0/8\nsmtpd_tls_security_level = may\n' +
      main,
    'master.cf': master,
  })
  const { protections } = await inspectInstance(runProgram, directory, towards)
  return Object.fromEntries(protections.map(one => [one.service.name, one.answer]))
}

t.test('not queried, although it looks like it', { skip }, async t => {
  const filtered = ' -o content_filter=\n -o smtpd_milters=\n -o smtpd_end_of_data_restrictions=\n'
  const rows: Readonly<Record<string, readonly [main: string, master?: string]>> = {
    'only in the HELO list, and EHLO is not needed': [`smtpd_helo_restrictions = ${ITEM}\n`],
    'webmail behind permit_mynetworks': [
      `smtpd_end_of_data_restrictions = permit_mynetworks, ${ITEM}\n`,
    ],
    'webmail behind permit_inet_interfaces, without mynetworks': [
      `mynetworks =\nsmtpd_end_of_data_restrictions = permit_inet_interfaces, ${ITEM}\n`,
    ],
    'a list that depends on the name of the service': [
      `smtpd_end_of_data_restrictions = \${{$service_name} == {submission} ? {} : {${ITEM}}}\n`,
    ],
    'a list that depends on the name of the program': [
      `smtpd_end_of_data_restrictions = \${{$process_name} == {smtpd} ? {} : {${ITEM}}}\n`,
    ],
    'braces after -o, which belong to the name': [
      '',
      `submission inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=yes\n -o{smtpd_end_of_data_restrictions=check_policy_service,inet:127.0.0.1:${PORT}}\n`,
    ],
    'an option in braces with its letter': [
      AT_END,
      `${SUBMISSION} {-o smtpd_end_of_data_restrictions=}\n`,
    ],
    'a service for users on loopback, behind a proxy': [
      AT_END,
      `127.0.0.1:2587 inet n - n - - smtpd\n -o smtpd_upstream_proxy_protocol=haproxy\n -o smtpd_sasl_auth_enable=yes\n${filtered}`,
    ],
    'a service for webmail on loopback': [
      AT_END,
      `127.0.0.1:2587 inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=yes\n${filtered}`,
    ],
    'smtpd by a path': [
      AT_END,
      '2587 inet n - n - - ./smtpd\n -o smtpd_sasl_auth_enable=yes\n -o smtpd_end_of_data_restrictions=\n',
    ],
    'the number of a port that follows its name': [
      AT_END,
      `${SUBMISSION}587 inet n - n - - smtpd\n -o smtpd_sasl_auth_enable=yes\n -o smtpd_end_of_data_restrictions=\n`,
    ],
  }
  for (const [name, [main, master]] of Object.entries(rows)) {
    await t.test(name, async t => {
      const answers = Object.values(await answersOf(t, main, master))
      t.equal(answers.length, 1)
      t.match(answers[0], /^(?:not asked|perhaps)$/)
    })
  }
})

t.test('queried, although it does not look like it', { skip }, async t => {
  const rows: Readonly<Record<string, string>> = {
    'a wildcard as an address': item(`0.0.0.0:${PORT}`),
    'an IPv4 address in IPv6 clothes': item(`[::ffff:127.0.0.1]:${PORT}`),
    'in capitals': ITEM.replace('check_policy_service', 'CHECK_POLICY_SERVICE'),
    'after restrictions that can only reject': `reject_unauth_pipelining, ${ITEM}, permit`,
  }
  for (const [name, list] of Object.entries(rows)) {
    await t.test(name, async t => {
      const answers = await answersOf(t, `smtpd_end_of_data_restrictions = ${list}\n`)
      t.strictSame(answers, { 'submission/inet': 'asked' })
    })
  }
})

t.test('each instance has its own table', { skip }, async t => {
  const main = `smtpd_end_of_data_restrictions = check_client_access cidr:$config_directory/own, ${ITEM}\n`
  const directory = t.testdir({
    'main.cf': `compatibility_level = 3.6\nsmtpd_tls_security_level = may\n${main}`,
    'master.cf': SUBMISSION,
    own: '0.0.0.0/0 OK\n',
  })
  const ask = async () => {
    const { protections } = await inspectInstance(runProgram, directory, target)
    return protections.map(({ answer }) => answer)
  }
  t.strictSame(await ask(), ['perhaps'])
  fs.writeFileSync(path.join(directory, 'own'), '0.0.0.0/0 DUNNO\n')
  t.strictSame(await ask(), ['asked'])
})

t.test('the first of two addresses that answers counts', { skip }, async t => {
  // localhost is ::1 first; another program listens there.
  const stranger = net.createServer()
  const isThere = await new Promise<boolean>(resolve => {
    stranger.once('error', () => resolve(false))
    stranger.listen(0, '::1', () => resolve(true))
  })
  if (!isThere) return t.comment('there is no IPv6 here')
  t.teardown(() => stranger.close())
  const address = stranger.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const towards: Target = {
    listeners: [{ kind: 'inet', address: '127.0.0.1', port }],
    formerPorts: [],
    isListening: (host, at) => host === '::1' && at === port,
  }
  const main = `inet_protocols = all\nsmtpd_end_of_data_restrictions = ${item(`localhost:${port}`)}\n`
  const hosts = fs.readFileSync('/etc/hosts', 'utf8')
  const expected = /^::1\s.*\blocalhost\b/m.test(hosts) ? 'not asked' : 'asked'
  t.strictSame(await answersOf(t, main, SUBMISSION, towards), { 'submission/inet': expected })
})
