/**
 * An administrator of the original points our daemon at what is there: the configuration that
 * Debian ships, with a real memcached, and the examples of its manual. Read from Debian's package
 * at the time of the test, because its text is not ours to keep.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { setMemcachedKey } from '../replay/key-value.ts'
import { CONFIG_FILE, startDaemon } from '../replay/program.ts'
import { askPort } from '../support/daemon.ts'
import { startDnsServer } from '../support/dns-server.ts'
import { freePort } from '../support/free-port.ts'
import { type Example, originalPackage } from '../support/original-package.ts'
import { makeWorld, PORT } from '../support/world.ts'

const original = originalPackage()
if (typeof original === 'string' && process.env.CI) throw new Error(original)
const skip =
  typeof original === 'string' ? original : serverMissing('memcached') || serverMissing('redis')
const { configuration, examples } =
  typeof original === 'string' ? { configuration: '', examples: [] } : original

t.test('the configuration that Debian ships answers as it did', { skip }, async t => {
  const memcached = await startServer('memcached')
  t.teardown(() => memcached.remove())
  const dns = await startDnsServer({
    'example.org': { TXT: ['v=spf1 ip4:192.0.2.10 -all'] },
    'mail.example.org': { A: ['192.0.2.10'] },
    '20.2.0.192.list.dnswl.org': { A: ['127.0.10.0'] },
    '30.2.0.192.zen.spamhaus.org': { A: ['127.0.0.2'], TXT: ['for a reason'] },
    '30.2.0.192.dnsbl.sorbs.net': { A: ['127.0.0.10'] },
    '30.2.0.192.bl.spamcop.net': { A: ['127.0.0.2'] },
    '40.2.0.192.zen.spamhaus.org': { A: ['127.0.0.4'] },
  })
  t.teardown(() => dns.close())
  const folder = mkdtempSync(join(tmpdir(), 'drop-in-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  writeFileSync(
    join(folder, CONFIG_FILE),
    configuration
      .replaceAll('127.0.0.1:11211', `127.0.0.1:${memcached.port}`)
      .replaceAll('/var/lib/mtpolicyd', folder)
      .replaceAll('12345', String(port)),
  )
  const daemon = await startDaemon({ folder, env: dns.env }, 2)
  t.teardown(() => daemon.stop())
  t.ok(daemon.isRunning(), 'it starts')
  t.notMatch(daemon.log(), /error/, 'without an error')

  let mails = 0
  const mail = (client: string, sender: string): Promise<string | undefined> =>
    askPort(port, {
      request: 'smtpd_access_policy',
      protocol_state: 'RCPT',
      instance: `mail.${++mails}`,
      client_address: client,
      client_name: 'mail.example.org',
      reverse_client_name: 'mail.example.org',
      helo_name: 'mail.example.org',
      sender,
      recipient: 'bob@example.net',
    })

  t.equal(
    await mail('192.0.2.10', 'alice@example.org'),
    'action=PREPEND X-MtScore: NO score=-10 [spf=-10]',
    'SPF says the sender is who it says',
  )
  t.match(
    await mail('192.0.2.50', 'alice@example.org'),
    /^action=reject SPF validation failed: /,
    'SPF says it is not',
  )
  t.equal(await mail('192.0.2.20', 'carol@example.com'), 'action=dunno', 'a list of good senders')
  t.equal(
    await mail('192.0.2.30', 'carol@example.com'),
    'action=reject sender ip 192.0.2.30 is blocked ' +
      '(score=15, spamhaus-rbl-sbl=5, sorbs.net=5, spamcop=5)',
    'on three block lists',
  )
  const listed = '192.0.2.40'
  t.equal(
    await mail(listed, 'carol@example.com'),
    'action=defer greylisting is active',
    'on one block list',
  )
  t.match(
    await mail(listed, 'carol@example.com'),
    /^action=defer greylisting is active \((?:300|299|29\d)s left\)$/,
    'too early',
  )
  const past = String(Math.floor(Date.now() / 1000) - 1)
  await setMemcachedKey(memcached.port, `carol@example.com,${listed},bob@example.net`, past)
  t.equal(
    await mail(listed, 'carol@example.com'),
    'action=PREPEND X-MtScore: NO score=0 [greylist=-5, spamhaus-rbl-xbl=5]',
    'it has waited',
  )
})

/** Examples that are sketches, with the part that is missing. */
const SKETCHES: Readonly<Record<string, string>> = {
  'usr/bin/mtpolicyd: vhost_by_policy_context (default: 0)': 'dots for the plugins',
  'usr/bin/mtpolicyd: CONFIGURE CONNECTIONS': 'name and module in brackets',
  'usr/bin/mtpolicyd: Database Connections': 'a module in brackets',
  'usr/bin/mtpolicyd: Session Cache': 'a module in brackets',
  'Cookbook/BasicPlugin.pod: Basic skeleton of a mtpolicyd plugin': 'a plugin yet to be written',
  'Cookbook/BasicPlugin.pod: on_error (default: undef)': 'a plugin yet to be written',
  'Cookbook/ExtendedPlugin.pod: Logging': 'a plugin yet to be written',
  'Cookbook/ExtendedPlugin.pod: A Plugin with user configurable parameters':
    'a plugin yet to be written',
  'Cookbook/HowtoAccountingQuota.pod: Setup a second virtual host': 'no plugin in it yet',
  'Plugin/Condition.pm: EXAMPLE: use of postfix policy_context': 'dots for the plugins',
  'Plugin/SqlList.pm: EXAMPLE WITH A MYSQL TABLE': 'dots for a plugin',
}

/** Examples that the original refuses, and so do we; with what is said. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'usr/bin/mtpolicyd: Database Connections (2)': /<Connection db> needs "module"/,
  'usr/bin/mtpolicyd: Session Cache (2)': /<Connection memcached> needs "module"/,
  'Connection/Redis.pm: SYNOPSIS': /<Connection redis> needs "module"/,
  'Plugin/Action.pm: EXAMPLE': /there is no plugin "action"; did you mean "Action"\?/,
  'Plugin/PostfixMap.pm: SYNOPSIS': /<Plugin blacklist> needs "module"/,
}

/** Failures of plugins whose service, file or table the example does not bring along. */
const NOT_HERE = /ECONNREFUSED|there is no such file|no such table/

t.test('the examples of its manual load and answer', { skip }, async t => {
  const memcached = await startServer('memcached')
  t.teardown(() => memcached.remove())
  const redis = await startServer('redis')
  t.teardown(() => redis.remove())
  const known = new Set(examples.map(({ where }) => where))
  for (const where of [...Object.keys(SKETCHES), ...Object.keys(REFUSED)]) {
    t.ok(known.has(where), `${where} is there`)
  }
  t.ok(examples.length > 55, 'examples were found')

  for (const example of examples.filter(({ where }) => !(where in SKETCHES))) {
    const world = await makeWorld(completed(example, memcached.port, redis.port))
    const fatal = world.problems.filter(({ severity }) => severity === 'fatal')
    const refused = REFUSED[example.where]
    if (refused) t.match(world.messages.join('\n'), refused, `${example.where} is refused`)
    else {
      t.strictSame(fatal, [], `${example.where} loads`)
      const answer = await world.ask({
        request: 'smtpd_access_policy',
        protocol_state: 'RCPT',
        instance: example.where,
        client_address: '192.0.2.1',
        client_name: 'mail.example.org',
        reverse_client_name: 'mail.example.org',
        helo_name: 'mail.example.org',
        sender: 'alice@example.org',
        recipient: 'bob@example.net',
        recipient_count: '1',
        size: '1000',
        stress: 'yes',
      })
      t.type(answer, 'string', `${example.where} answers`)
      const failures = world.errors.filter(text => !NOT_HERE.test(text))
      t.strictSame(failures, [], `${example.where}: nothing else fails`)
    }
    world.close()
  }
})

/** An example with what it takes for granted. */
function completed({ text }: Example, memcached: number, redis: number): string {
  const nothing = '<Plugin a>\nmodule = "Action"\naction = "dunno"\n</Plugin>'
  const connections = [
    ['db', 'module = "Sql"', 'dsn = "dbi:SQLite:dbname=:memory:"'],
    ['memcached', 'module = "Memcached"', `servers = "127.0.0.1:${memcached}"`],
    ['redis', 'module = "Redis"', `server = "127.0.0.1:${redis}"`],
    ['ldap', 'module = "Ldap"', 'host = "127.0.0.1"', 'starttls = 0'],
  ]
  const missing = connections
    .filter(([name]) => !text.includes(`<Connection ${name}>`))
    .map(([name, ...lines]) => `<Connection ${name}>\n${lines.join('\n')}\n</Connection>\n`)
  const ours = text.replaceAll('127.0.0.1:11211', `127.0.0.1:${memcached}`)
  if (ours.includes('<VirtualHost ')) return missing.join('') + ours
  const topLevel = /^ {2}<(?:Connection|SessionCache)\b[\s\S]*?^ {2}<\/\w+>$|^ {2}\w+ *=.*$/gm
  const plugins = ours.replace(topLevel, '').trim()
  return [
    ...missing,
    ...(ours.match(topLevel) ?? []),
    `<VirtualHost ${PORT}>\nname = "example"`,
    plugins.includes('<Plugin ') ? plugins : nothing,
    '</VirtualHost>\n',
  ].join('\n')
}
