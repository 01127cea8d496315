/** A password stands in the file where it was written, and nowhere else. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkConfiguration } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { openResolver } from '../../daemon/lookup/resolver.ts'
import { listName } from '../../daemon/policy/block-list.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { askPort, dist, freePort, installDaemon, runProgram } from '../support/daemon.ts'
import { startDnsServer } from '../support/dns-server.ts'
import { SQL_SERVERS } from '../support/sql-databases.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

/** Looks like nothing else, so that it can be looked for. */
const SECRET = 'Geheim7Wort'

function notIn(t: Test, text: string, what: string): void {
  const at = text.indexOf(SECRET)
  if (at >= 0)
    t.fail(`${what} shows it: ${JSON.stringify(text.slice(Math.max(0, at - 60), at + 20))}`)
}

const HOST =
  '<VirtualHost 1>\nname = v\n<Plugin a>\nmodule = Action\naction = dunno\n</Plugin>\n</VirtualHost>\n'

/** All that is said about a configuration, on one place per line. */
async function problemsOf(t: Test, text: string): Promise<string> {
  const root = t.testdir({ 'my.conf': text })
  const problems = await checkConfiguration(pathsBelow(root), join(root, 'my.conf'), undefined)
  return JSON.stringify(problems)
}

const sql = (lines: string): string => `<Connection db>\nmodule = Sql\n${lines}\n</Connection>\n`

/** Every slip of the pen in or beside the line with the password, and what is said of it. */
const SLIPS: readonly (readonly [title: string, lines: string, said: RegExp])[] = [
  ['a quote that does not end', `password = "${SECRET}`, /begins with a double quote/],
  ['a colon instead of =', `password:${SECRET}`, /unknown option/],
  ['no sign at all', `password${SECRET}`, /unknown option/],
  ['a hash inside', `password = "x#${SECRET}"`, /starts a comment/],
  ['a C comment inside', `password = "x/*${SECRET}*/"`, /cut out as a comment/],
  ['a tag at its end', `password = x<${SECRET}/>`, /read as an empty block/],
  ['a tag as a whole', `password = <${SECRET}/>`, /read as an empty block/],
  ['what looks like a here-document', `password = <<${SECRET}`, /here-document/],
  ['a here-document without its end', `password <<EOT\n${SECRET}\nEOTX`, /here-document/],
  ['a tag that is not closed', `<password = ${SECRET}`, /has no .* at the end of the line/],
  ['something behind a tag', `</Connection> password = ${SECRET}`, /nothing may follow a tag/],
  ['an include that is none', `<<password = ${SECRET}>>`, /neither a tag nor an include/],
  ['twice', `password = ${SECRET}\npassword = ${SECRET}`, /occurs more than once/],
  ['misspelt', `pasword = ${SECRET}`, /did you mean \\"password\\"/],
  ['misspelt beyond recognition', `pw = ${SECRET}`, /unknown option \\"pw\\"/],
  ['a line that goes on after a blank', `password = \\ \n  ${SECRET}`, /does not continue/],
  ['in a line of its own', `password =\n${SECRET}`, /unknown option in <Connection db>/],
  ['beside an unknown option', `password = ${SECRET}\nfoo = bar`, /unknown option \\"foo\\"/],
  ['a file that ends in it', `password = ${SECRET}\\`, /./],
  [
    'in the name of a driver',
    `dsn = "dbi:Oracle:password=${SECRET}"`,
    /unknown kind of database \\"Oracle/,
  ],
  ['in no data source', `dsn = "password=${SECRET}"`, /not a data source name/],
  ['in a URL that is none', `dsn = "postgres://me:${SECRET}@[db/x"`, /not a valid URL/],
  ['in a URL without a port', `dsn = "mysql://me:${SECRET}@db:none/x"`, /not a valid URL/],
  [
    'beside a port that is none',
    `dsn = "dbi:Pg:password=${SECRET};port=x"`,
    /port of the data source is not valid/,
  ],
]

t.test('a mistake in the line with the password is said without the password', async t => {
  for (const [title, lines, said] of SLIPS) {
    const dsn = /\bdsn\b/.test(lines) ? '' : 'dsn = "dbi:Pg:dbname=mail"\n'
    const text = await problemsOf(t, `${sql(dsn + lines)}${HOST}`)
    t.match(text, said, title)
    notIn(t, text, title)
  }
})

t.test('a data source in the place of something else is not repeated', async t => {
  for (const value of [`postgres://me:${SECRET}@db/x`, `dbi:Pg:dbname=mail;password=${SECRET}`]) {
    const text = await problemsOf(t, `request_timeout = "${value}"\n${HOST}`)
    t.match(text, /expected .*, found \\"(?:postgres|dbi).*\*\*\*\\"/)
    notIn(t, text, value)
  }
})

t.test('so it is with Redis, LDAP and what is asked by HTTP', async t => {
  const OTHERS: readonly (readonly [kind: string, lines: string, said: RegExp])[] = [
    ['Redis', `server = "redis://:${SECRET}@192.0.2.1:6379"`, /expected HOST:PORT/],
    ['Redis', `server = ":${SECRET}@192.0.2.1:6379"`, /expected HOST:PORT/],
    ['Redis', `sentinels = ":${SECRET}@192.0.2.1:1"\nservice = x`, /expected HOST:PORT/],
    ['Redis', `password = ${SECRET}\ndb = none`, /\\"db\\" in <Connection db>/],
    ['Redis', `password = ${SECRET}\nsentinels = "192.0.2.1:1"`, /needs \\"service\\"/],
    ['Ldap', `host = "ldaps://cn=a:${SECRET}@ldap.example.org"`, /expected a host/],
    ['Ldap', `host = "ldapi://${SECRET}@%"`, /expected ldapi/],
    ['Ldap', `password = ${SECRET}\ntimeout = soon`, /\\"timeout\\"/],
    ['Memcached', `servers = "me:${SECRET}@192.0.2.1:1"`, /expected HOST:PORT/],
    ['Nothing', `password = ${SECRET}`, /expected one of/],
  ]
  for (const [kind, lines, said] of OTHERS) {
    const text = await problemsOf(
      t,
      `<Connection db>\nmodule = ${kind}\n${lines}\n</Connection>\n${HOST}`,
    )
    t.match(text, said, `${kind}: ${lines}`)
    notIn(t, text, kind)
  }
  for (const [options, said] of [
    [`url = "htp://me:${SECRET}@192.0.2.1/"`, /expected an http/],
    [`url = "http://me:${SECRET}@127.0.0.1:1/"\nkey = ${SECRET}`, /ECONNREFUSED|no answer/],
  ] as const) {
    const world = await makeWorld(chain(plugin('CtIpRep', options)))
    t.teardown(() => world.close())
    await world.ask({ client_address: '192.0.2.9' })
    const text = JSON.stringify([world.errors, world.notes, world.messages])
    t.match(text, said)
    notIn(t, text, options)
  }
})

t.test('options of version 1, outside of all blocks, are named and not quoted', async t => {
  const text = await problemsOf(t, `ldap_password = ${SECRET}\ndb_password "${SECRET}"\n${HOST}`)
  t.match(text, /an option of mtpolicyd 1/)
  notIn(t, text, 'check')
})

/** Where no server is: both programs are tried with all that they say. */
const NEEDED = ['redis', 'slapd', ...SQL_SERVERS] as const
const missing = NEEDED.map(serverMissing).find(reason => reason !== false) ?? false

t.test('a password that real servers refuse is said nowhere', { skip: missing }, async t => {
  const data =
    'dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n'
  const [redis, slapd, postgres, mariadb] = await Promise.all([
    startServer('redis', { args: ['--requirepass', 'another'] }),
    startServer('slapd', { files: { 'data.ldif': data } }),
    startServer('postgresql'),
    startServer('mariadb'),
  ])
  for (const server of [redis, slapd, postgres, mariadb]) t.teardown(() => server.remove())
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const { port, root } = daemon
  const dead = await freePort()
  const password = `password = ${SECRET}`
  const pg = `host=127.0.0.1;port=${postgres.port}`
  const connections: Readonly<Record<string, string>> = {
    pg: `dsn = "dbi:Pg:dbname=postgres;${pg}"\nuser = nobody\n${password}`,
    pgin: `dsn = "dbi:Pg:dbname=postgres;user=nobody;password=${SECRET};${pg}"`,
    pgurl: `dsn = "postgres://nobody:${SECRET}@127.0.0.1:${postgres.port}/postgres"`,
    pgdead: `dsn = "postgres://nobody:${SECRET}@127.0.0.1:${dead}/postgres"`,
    pgtls: `dsn = "dbi:Pg:dbname=postgres;sslmode=verify-full;${pg}"\nuser = x\n${password}`,
    my: `dsn = "dbi:mysql:database=x;host=127.0.0.1;port=${mariadb.port}"\nuser = x\n${password}`,
    myurl: `dsn = "mysql://nobody:${SECRET}@127.0.0.1:${mariadb.port}/x"`,
    mydead: `dsn = "dbi:MariaDB:x;host=127.0.0.1;port=${dead};user=x;password=${SECRET}"`,
    // What speaks another protocol there.
    mypg: `dsn = "mysql://nobody:${SECRET}@127.0.0.1:${postgres.port}/x"`,
    pgmy: `dsn = "postgres://nobody:${SECRET}@127.0.0.1:${mariadb.port}/x"`,
    lite: `dsn = "dbi:SQLite:dbname=/nowhere/x;password=${SECRET}"\n${password}`,
  }
  const names = Object.keys(connections)
  // In the place where mtpolicyctl looks.
  const conf = join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  const blocks = [
    ...names.map(name => `<Connection ${name}>\nmodule = Sql\n${connections[name]}\n</Connection>`),
    `<Connection redis>\nmodule = Redis\nserver = 127.0.0.1:${redis.port}\n${password}\n</Connection>`,
    `<Connection ldap>\nmodule = Ldap\nhost = 127.0.0.1\nport = ${slapd.port}\nstarttls = 0\n` +
      `binddn = "cn=admin,dc=example,dc=org"\n${password}\n</Connection>`,
    '<SessionCache>\nmodule = Redis\n</SessionCache>',
    `<VirtualHost ${port}>\nname = v`,
    ...names.flatMap(name => [
      plugin('SqlUserConfig', `db = ${name}`, `user-${name}`),
      plugin('SqlList', `db = ${name}\naction = reject\non_error = continue`, `list-${name}`),
      plugin('Accounting', `db = ${name}\nfields = sender\non_error = continue`, `acct-${name}`),
    ]),
    plugin('LdapUserConfig', 'basedn = "dc=example,dc=org"\nfilter = "(o=%s)"\nconfig_fields = o'),
    '</VirtualHost>',
  ]
  writeFileSync(conf, `port = ${port}\nlog_level = 4\n${blocks.join('\n')}\n`)
  const said: string[] = []
  for (const [program, ...argv] of [
    ['mtpolicyctl', '--root', root, 'check', conf],
    ['mtpolicyctl', '--root', root, 'check', '--json', conf],
    ['mtpolicyd', '--root', root, '-c', conf, '-d'],
    ['mtpolicyd', '--root', root, '-c', conf, '--cron', 'hourly'],
  ] as const) {
    const { stdout, stderr } = await runProgram(join(dist, program), ...argv)
    said.push(stdout, stderr)
  }
  await daemon.start()
  const request = { request: 'smtpd_access_policy', instance: 's.1', sender: 'a@example.org' }
  const more = { recipient: 'b@example.org', sasl_username: 'alice', client_address: '192.0.2.1' }
  for (const _ of [1, 2, 3]) await askPort(port, { ...request, ...more })
  for (const argv of [['status'], ['status', '--json'], ['reload'], ['dump'], ['search']]) {
    const { stdout, stderr } = await daemon.ctl(...argv)
    said.push(stdout, stderr)
  }
  for (const expected of [
    /password authentication failed/,
    /Access denied/,
    /WRONGPASS/,
    /invalid credentials/,
    /ECONNREFUSED/,
  ]) {
    t.ok(await daemon.logged(expected), `it was tried: ${expected}`)
  }
  t.match(said.join('\n'), /password authentication failed/, 'and status knows')
  await daemon.stop()
  notIn(t, said.join('\n'), 'a command')
  notIn(t, daemon.log(), 'the log')
})

t.test('a key in the name of a block list is left out wherever the list is named', async t => {
  const key = 'abcdefghij0123456789klmnop'
  const zone = `${key}.zen.dq.example.org`
  t.equal(listName(zone), '***.zen.dq.example.org')
  for (const plain of [
    'zen.spamhaus.org',
    'all.s5h.net',
    'bl.averylongnamebutnokeyatall.example',
  ]) {
    t.equal(listName(plain), plain)
  }
  const dns = await startDnsServer({
    [`1.2.0.192.${zone}`]: { A: ['127.255.255.254'] },
    [`9.2.0.192.${zone}`]: { A: ['198.51.100.1'] },
    [`2.2.0.192.${zone}`]: 'SERVFAIL',
    [`3.2.0.192.${zone}`]: 'DROP',
    [`4.2.0.192.${zone}`]: 'DROP',
    [`5.2.0.192.${zone}`]: 'DROP',
    [`7.2.0.192.${zone}`]: { A: ['127.0.0.2'], TXT: ['listed'] },
  })
  t.teardown(() => dns.close())
  const said: string[] = []
  const resolver = openResolver({
    env: dns.env,
    clock: systemClock,
    log: message => void said.push(message),
  })
  t.teardown(() => resolver.close())
  resolver.setDeadline(100)
  const world = await makeWorld(
    chain(plugin('RBL', `domain = "${zone}"`) + plugin('DBL', `domain = "${zone} "`)),
    { dns: resolver },
  )
  t.teardown(() => world.close())
  const answers: (string | undefined)[] = []
  for (const last of [1, 9, 2, 3, 4, 5, 6, 7]) {
    answers.push(await world.ask({ client_address: `192.0.2.${last}`, sender: 'a@b.example' }))
  }
  const all = [...said, ...world.notes, ...world.errors, ...world.messages, ...answers]
  all.push(JSON.stringify(resolver.status()))
  const text = all.join('\n')
  t.match(text, /\*\*\*\.zen\.dq\.example\.org answers 127\.255/)
  t.match(text, /\*\*\*\.zen\.dq\.example\.org does not answer: it is skipped/)
  t.match(text, /"\*\*\*\.zen\.dq\.example\.org/, 'what is wrong with the configuration')
  t.match(JSON.stringify(resolver.status().silent), /"\*\*\*\.zen/)
  t.match(JSON.stringify(resolver.status().refusing), /"\*\*\*\.zen/)
  t.notMatch(text, new RegExp(key))
})

t.test('no variable is a secret: the rendered file may be read by everybody', async t => {
  const { stdout } = await runProgram(
    join(dist, 'mtpolicyctl'),
    ...['--root', t.testdir(), 'search', '--json'],
  )
  const names = Object.keys(JSON.parse(stdout))
  t.ok(names.length > 5)
  for (const name of names) t.notMatch(name, /pass|secret|token|key|dsn/)
})
