/** Where a mail program connects to, of the services in master.cf, and how XCLIENT is allowed there. */

import t from 'tap'
import { doorOf, doorText } from '../../daemon/postfix/smtpd/door.ts'
import type { PostfixInstance, SmtpdService } from '../../daemon/postfix/smtpd/instance.ts'
import { readServices } from '../../daemon/postfix/smtpd/master-cf.ts'
import { parametersOf, readSettings } from '../../daemon/postfix/smtpd/parameters.ts'
import type { Answer, Protection } from '../../daemon/postfix/smtpd/protection.ts'
import { addressOf, submissionService } from '../../daemon/postfix/smtpd/submission-service.ts'
import { xclientCommands } from '../../daemon/postfix/smtpd/xclient.ts'

const DEFAULTS = new Map([
  ['inet_interfaces', 'all'],
  ['inet_protocols', 'all'],
  ['myhostname', 'mail.example.org'],
  ['myorigin', '$myhostname'],
  ['smtpd_tls_auth_only', 'no'],
])

/** A line of master.cf, and what main.cf sets. */
function service(line: string, mainCf = ''): SmtpdService {
  const [master] = readServices(`${line}\n`)
  if (master === undefined) throw new Error(line)
  const settings = readSettings(mainCf, 'main.cf')
  const parameters = parametersOf(settings, DEFAULTS, { service: master, file: 'master.cf' })
  return { name: master.name, master, parameters, isChrooted: false, mistake: undefined }
}

const entry = (address: string, options = '', type = 'inet'): string =>
  `${address} ${type} n - n - - smtpd ${options}`

function doorAt(address: string, mainCf = '', options = ''): string | undefined {
  const door = doorOf(service(entry(address, options), mainCf))
  return door && `${doorText(door)}${door.isWrapped ? ' TLS' : ''}`
}

t.test('a service is reached where it listens', async t => {
  t.equal(doorAt('submission'), '127.0.0.1:587')
  t.equal(doorAt('587', 'inet_protocols = ipv6\n'), '[::1]:587')
  t.equal(doorAt('587', 'inet_interfaces = loopback-only\n'), '127.0.0.1:587')
  t.equal(doorAt('587', 'inet_interfaces = 192.0.2.1, localhost\n'), 'localhost:587')
  t.equal(doorAt('587', 'inet_interfaces = $myhostname\n'), 'mail.example.org:587')
  t.equal(doorAt('587', 'inet_interfaces = [2001:db8::1]\n'), '[2001:db8::1]:587')
  t.equal(doorAt('192.0.2.1:submission'), '192.0.2.1:587')
  t.equal(doorAt('0.0.0.0:587'), '127.0.0.1:587')
  t.equal(doorAt('[::1]:10587'), '[::1]:10587')
  t.equal(doorAt('smtps', '', '-o smtpd_tls_wrappermode=yes'), '127.0.0.1:465 TLS')
})

t.test('a service that no mail program can connect to has no door', async t => {
  t.equal(doorOf(service(entry('smtpd', '', 'pass'))), undefined)
  t.equal(doorAt('mysmtp'), undefined, 'services(5) is not read for others')
  t.equal(doorAt('587', '', '-o smtpd_upstream_proxy_protocol=haproxy'), undefined)
})

const LOGINS = '-o smtpd_sasl_auth_enable=yes'

/** As much of a Postfix as is looked at. */
function protection(address: string, answer: Answer): Protection {
  const found = service(entry(address, answer === 'no logins' ? '' : LOGINS))
  // The rest is not read.
  return { service: found, answer } as Protection
}

t.test('mail goes through the service that users know', async t => {
  const all = [
    protection('smtp', 'no logins'),
    protection('2525', 'asked'),
    protection('smtps', 'asked'),
    protection('submission', 'not asked'),
    protection('127.0.0.1:10025', 'return path'),
  ]
  const nameAt = (list: Protection[], port?: number) => submissionService(list, port).door.service
  t.equal(nameAt(all), 'submission/inet')
  t.equal(nameAt(all.slice(0, 3)), 'smtps/inet')
  t.equal(nameAt(all.slice(0, 2)), '2525/inet')
  t.equal(nameAt(all, 2525), '2525/inet')
  t.equal(nameAt(all, 10025), '127.0.0.1:10025/inet', 'named, it is what is wanted')
  t.throws(() => nameAt(all, 25), {
    message: 'nobody can log in at port 25 (smtp/inet); users log in at 2525, 465, 587',
  })
  t.throws(() => nameAt(all, 1), { message: /^no service of Postfix listens at port 1; users/ })
  t.throws(() => nameAt(all.slice(0, 1)), { message: /at none of the services/ })
})

t.test('an account without a domain has an address in that of Postfix', async t => {
  const at = (origin: string) => addressOf('alice', service(entry('587'), `myorigin = ${origin}\n`))
  t.equal(addressOf('a@example.net', service(entry('587'))), 'a@example.net')
  t.equal(at('$myhostname'), 'alice@mail.example.org')
  const folder = t.testdir({ mailname: 'example.org\n' })
  t.equal(at(`${folder}/mailname`), 'alice@example.org')
  t.equal(at(`${folder}/missing`), 'alice@mail.example.org')
})

t.test('XCLIENT is allowed, and taken back, where it is set', async t => {
  const commands = (line: string, mainCf = '', configDir = '/etc/postfix') =>
    // The rest is not read.
    xclientCommands({ configDir } as PostfixInstance, service(line, mainCf), '127.0.0.1')
  t.strictSame(commands(entry('587')), {
    allow: ["postconf -e 'smtpd_authorized_xclient_hosts = 127.0.0.1'", 'postfix reload'],
    takeBack: ['postconf -X smtpd_authorized_xclient_hosts', 'postfix reload'],
  })
  const main = 'smtpd_authorized_xclient_hosts = 192.0.2.1\n'
  t.strictSame(commands(entry('587'), main, '/etc/postfix-out'), {
    allow: [
      "postconf -c /etc/postfix-out -e 'smtpd_authorized_xclient_hosts = 192.0.2.1 127.0.0.1'",
      'postfix -c /etc/postfix-out reload',
    ],
    takeBack: [
      "postconf -c /etc/postfix-out -e 'smtpd_authorized_xclient_hosts = 192.0.2.1'",
      'postfix -c /etc/postfix-out reload',
    ],
  })
  t.match(commands(entry('587', '-o smtpd_authorized_xclient_hosts=')), {
    allow: ["postconf -P '587/inet/smtpd_authorized_xclient_hosts = 127.0.0.1'"],
    takeBack: ["postconf -P '587/inet/smtpd_authorized_xclient_hosts ='"],
  })
})
