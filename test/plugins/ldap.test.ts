/** LdapUserConfig and its connection, against a real slapd. */

import { execFile } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { type LdapOptions, ldapDirectory } from '../../daemon/remote/ldap.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { LDAP_ADMIN } from '../../scripts/servers/slapd.ts'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { makeCertificates } from '../support/certificates.ts'
import { peerServer } from '../support/peer-server.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { chain, makeWorld, plugin, type World } from '../support/world.ts'

const skip = serverMissing('slapd')
const BASE = 'dc=example,dc=org'

const person = (uid: string, lines: string, below = BASE): string =>
  `dn: uid=${uid},${below}\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn: ${uid}\n${lines}\n`

const DATA = [
  `dn: ${BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n`,
  person('alice', 'sn: A\nmail: alice@example.org\ndescription: first\ndescription: second'),
  person('bob', 'sn: twin\ncn;lang-de: Robert\nmail: bob@example.org\nemployeeNumber: 7'),
  person('bert', 'sn: twin\nmail: bert@example.org'),
  person('star', 'sn: S\nmail: a*b(c)\\@example.org\nemployeeNumber: 8'),
  // "Jörg", as LDIF writes it.
  person('joerg', 'sn:: SsO2cmc=\nmail: joerg@example.org'),
  `dn: ou=private,${BASE}\nobjectClass: organizationalUnit\nou: private\n`,
  person('carol', 'sn: C\nemployeeNumber: 9', `ou=private,${BASE}`),
].join('\n')

const {
  authority,
  servers: [rightName, wrongName],
} = skip
  ? { authority: '', servers: [] }
  : makeCertificates('IP:127.0.0.1,IP:127.0.0.2', 'IP:127.0.0.3,DNS:ldap.example.org')
// Read when the first certificate is checked.
process.env.SSL_CERT_FILE = join(t.testdir({ 'authority.pem': authority }), 'authority.pem')

async function slapd(t: Test, certificate?: string) {
  const secured = certificate === undefined ? {} : { 'server.pem': certificate }
  const files = { 'data.ldif': DATA, ...secured }
  const server = await startServer('slapd', { files })
  t.teardown(() => server.remove())
  return server
}

const connection = (lines: string): string => {
  const host = lines.includes('host =') ? '' : 'host = 127.0.0.1'
  return `<Connection ldap>\nmodule = Ldap\n${host}\n${lines}\n</Connection>`
}

const userConfig = (lines: string): string =>
  plugin('LdapUserConfig', `basedn = "${BASE}"\n${lines}`) +
  plugin('Condition', 'key = s:employeeNumber\nre_match = .\naction = reject number', 'number') +
  plugin('Condition', 'key = s:description\nre_match = .\nuc_action = description', 'text')

const BY_MAIL = 'filter = "(mail=%s)"\nconfig_fields = "employeeNumber, description, title"'

async function makeRightWorld(t: Test, text: string): Promise<World> {
  const world = await makeWorld(text)
  t.teardown(() => world.close())
  // The chain behind is the same whichever fields are read.
  const others = world.messages.filter(message => !/no plugin of this file sets/.test(message))
  t.strictSame(others, [])
  return world
}

const as = (sasl_username: string) => ({ sasl_username })

t.test('the values of the matching entry, for later plugins', { skip }, async t => {
  const { port } = await slapd(t)
  const global = connection(`port = ${port}\nstarttls = 0`)
  const world = await makeRightWorld(t, chain(userConfig(BY_MAIL), global))
  t.equal(await world.ask(as('bob@example.org')), 'reject number')
  t.equal(await world.ask(as('alice@example.org')), 'first', 'the first of several values')
  t.equal(await world.ask(as('bert@example.org')), 'dunno', 'no such attribute')
  t.strictSame(world.notes, [])

  t.equal(await world.ask(as('nobody@example.org')), 'dunno')
  t.match(world.notes.at(-1), /no entry for this user/)
  t.equal(await world.ask(as('')), 'dunno')
  t.match(world.notes.at(-1), /no sasl_username/)

  const named = await makeRightWorld(
    t,
    chain(
      userConfig('filter = "(|(sn=%s)(cn=%s))"\nconfig_fields = EMPLOYEENUMBER\nfilter_field = x') +
        plugin('Condition', 'key = s:EMPLOYEENUMBER\nmatch = 7\naction = reject seven'),
      global,
    ),
  )
  t.equal(await named.ask({ x: 'bob' }), 'reject seven', 'every %s; names as they are written')
  t.equal(await named.ask({ x: 'twin' }), 'dunno')
  t.match(named.notes.at(-1), /more than one entry/)
  t.equal(await named.ask({ x: 'Jörg' }), 'dunno')
  t.equal(named.notes.length, 1, 'Jörg was found, without a number')
  t.strictSame([...world.errors, ...named.errors], [])
})

t.test('a user name is never more than a value', { skip }, async t => {
  const { port } = await slapd(t)
  const global = connection(`port = ${port}\nstarttls = 0`)
  const world = await makeRightWorld(t, chain(userConfig(BY_MAIL), global))
  t.equal(await world.ask(as('a*b(c)\\@example.org')), 'reject number', 'the exact name')
  for (const name of [
    'bob*',
    '*',
    'x)(uid=bob',
    'x)(|(uid=bob',
    'b\\6fb@example.org',
    'a\0b',
    '$&',
  ]) {
    t.equal(await world.ask(as(name)), 'dunno', name)
    t.match(world.notes.at(-1), /no entry for this user/, name)
  }
  t.strictSame(world.errors, [])
})

t.test('a search that the directory refuses is logged; the mail continues', { skip }, async t => {
  const { port } = await slapd(t)
  const global = connection(`port = ${port}\nstarttls = 0`)
  for (const lines of [
    'filter = "(mail=%s)"\nconfig_fields = sn\nbasedn = "dc=nowhere"',
    'filter = "(mail=%s)"\nconfig_fields = sn\nbasedn = "not a name"',
  ]) {
    const text = chain(plugin('LdapUserConfig', lines), global)
    const world = await makeRightWorld(t, text)
    t.equal(await world.ask(as('bob@example.org')), 'dunno')
    t.match(world.notes.at(-1), /refused the search/, lines)
    t.strictSame(world.errors, [])
  }
})

t.test('a filter as people write it finds what ldapsearch finds', { skip }, async t => {
  const server = await slapd(t)
  const directory = ldapDirectory(options({ port: server.port, keepalive: true }))
  t.teardown(() => directory.close())
  const uri = `ldap://127.0.0.1:${server.port}`
  for (const filter of [
    '(&(mail=bob@example.org) (objectClass=inetOrgPerson))',
    '( mail=bob@example.org )',
    'mail=bob@example.org',
    '(| (mail=bob@example.org) (uid=bob) )',
    '(!(sn=twin))',
    '(cn;lang-de=Robert)',
    '(|(cn;lang-de=bob@example.org)(mail=bob@example.org))',
    '(0.9.2342.19200300.100.1.3=bob@example.org)',
    '(2.5.4.3;lang-de=Rob*)',
    '(uid=*)',
    '(uid=b*b)',
    '(uid=*o*)',
    '(mail=a\\2ab\\28c\\29\\5c@example.org)',
    '(mail=a\\*b\\(c\\)\\\\@example.org)',
    '(mail=a\\2a*)',
    '(sn=J\\c3\\b6rg)',
    '(sn=J\u00f6rg)',
    '(employeeNumber>=8)',
    '(employeeNumber<=7)',
    '(sn~=twin)',
    '(uid:caseIgnoreMatch:=BOB)',
    '(uid:=BOB)',
    '(:caseIgnoreMatch:=bob)',
    '(ou:dn:=private)',
    '(uid=bob)(uid=alice)',
    '(&(uid=bob)',
    '(uid=bob))',
    '(mail=a(b)',
    '(uid bob)',
    '(=bob)',
    '()',
  ]) {
    const found = await directory.search(BASE, filter, ['uid'], 20)
    t.strictSame(
      found?.flatMap(({ uid = [] }) => uid).toSorted(),
      await ldapsearch(uri, filter),
      JSON.stringify(filter),
    )
  }
  // ldapsearch refuses these; Net::LDAP, which mtpolicyd searched with, reads them.
  for (const filter of [
    '  (uid=bob)  ',
    '( & (uid=bob) ( ! (sn=A) ) )',
    '(uid=bo**)',
    '(&\n  (objectClass=inetOrgPerson)\r\n  (|\n\t(mail=bob@example.org)\n\t(uid=bob\n)\n  )\n)\n',
  ]) {
    const found = await directory.search(BASE, filter, ['uid'], 20)
    t.match(found, [{ uid: ['bob'] }], JSON.stringify(filter))
  }
})

/** The uids ldapsearch finds; undefined if it cannot read the filter. */
async function ldapsearch(uri: string, filter: string): Promise<string[] | undefined> {
  const words = ['-x', '-LLL', '-H', uri, '-b', BASE, filter, 'uid']
  try {
    const { stdout } = await promisify(execFile)('ldapsearch', words)
    return [...stdout.matchAll(/^uid: (.*)$/gm)].map(([, uid = '']) => uid).toSorted()
  } catch {
    return undefined
  }
}

t.test('a filter that cannot be read is a mistake at load', async t => {
  for (const [filter, message] of [
    ['(mail=%s', /expected "\)" at character 8, the filter ends here/],
    ['mail=%s)(', /expected the end of the filter/],
    ['(mail=%s)(uid=%s)', /expected the end of the filter/],
    ['(&(mail=%s)(uid))', /expected =, >=, <=, ~= or :=/],
    ['(mail=a\\zz)', /expected "\)" at character 8/],
    ['(!(mail=%s)(uid=%s))', /expected "\)"/],
    ['', /expected an attribute/],
  ] as const) {
    const text = chain(
      plugin('LdapUserConfig', `filter = "${filter}"\nconfig_fields = sn`),
      connection('starttls = 0'),
    )
    const world = await makeWorld(text)
    t.teardown(() => world.close())
    t.match(world.messages.at(-1), /error: "filter" in <Plugin ldapuserconfig>: /, filter)
    t.match(world.messages.at(-1), message, filter)
    t.equal(await world.ask(as('bob@example.org')), 'dunno')
    t.match(world.errors, [/plugin ldapuserconfig failed: filter: /], filter)
  }
})

t.test('encrypted by default, with a trusted certificate', { skip }, async t => {
  const ask = async (lines: string): Promise<string | undefined> => {
    const world = await makeRightWorld(t, chain(userConfig(BY_MAIL), connection(lines)))
    const answer = await world.ask(as('bob@example.org'))
    return world.errors[0] ?? answer
  }
  const right = await slapd(t, rightName)
  t.equal(await ask(`port = ${right.port}`), 'reject number', 'StartTLS')
  const secure = `ldaps://127.0.0.2:${right.port}`
  t.equal(await ask(`host = "${secure}"`), 'reject number', secure)

  const other = await slapd(t, wrongName)
  t.match(await ask(`port = ${other.port}`), /127\.0\.0\.1:\d+: .*does not match/, 'its name')
  t.match(await ask(`host = "ldaps://127.0.0.2:${other.port}"`), /does not match/)
  const stranger = await slapd(t, makeCertificates('IP:127.0.0.1,IP:127.0.0.2').servers[0])
  t.match(await ask(`port = ${stranger.port}`), /self-signed|unable to verify/, 'its authority')
  t.match(await ask(`host = "ldaps://127.0.0.2:${stranger.port}"`), /self-signed|unable to verify/)

  const plain = await slapd(t)
  t.match(await ask(`port = ${plain.port}`), /failed: 127\.0\.0\.1:\d+: .+/, 'no TLS, no search')
  const socket = `ldapi://${encodeURIComponent(plain.socket)}`
  t.equal(await ask(`host = "${socket}"`), 'reject number', 'never leaves the host')
})

t.test(
  'a bound user sees more; a wrong password is a failure and not logged',
  { skip },
  async t => {
    const { port } = await slapd(t)
    const lines = 'filter = "(uid=%s)"\nconfig_fields = employeeNumber'
    const world = async (login: string) =>
      makeRightWorld(
        t,
        chain(userConfig(lines), connection(`port = ${port}\nstarttls = 0\n${login}`)),
      )
    const nobody = await world('')
    t.equal(await nobody.ask(as('carol')), 'dunno')
    const admin = `binddn = "${LDAP_ADMIN.name},${BASE}"`
    const bound = await world(`${admin}\npassword = "${LDAP_ADMIN.password}"`)
    t.equal(await bound.ask(as('carol')), 'reject number')
    const wrong = await world(`${admin}\npassword = "not-${LDAP_ADMIN.password}"`)
    t.equal(await wrong.ask(as('carol')), 'dunno')
    t.match(wrong.errors, [/plugin ldapuserconfig failed: 127\.0\.0\.1:\d+: invalid credentials/])
    t.notMatch(wrong.errors[0], LDAP_ADMIN.password)
  },
)

t.test('a directory that goes and comes back', { skip }, async t => {
  const server = await slapd(t, rightName)
  const { port } = server
  const clock = virtualClock()
  const directory = ldapDirectory(options({ port, starttls: true }), clock)
  t.teardown(() => directory.close())
  const search = () => directory.search(BASE, '(uid=bob)', ['sn'], 2)
  const outcome = () => search().then(() => 'found', String)
  t.match(await search(), [{ sn: ['twin'] }])

  await server.stop()
  await server.start()
  t.match(await search(), [{ sn: ['twin'] }], 'nobody notices a restart')

  await server.stop()
  t.match(await outcome(), /LookupError: .*ECONNREFUSED/)
  await server.start()
  t.match(await outcome(), /ECONNREFUSED.*; not tried again for 0\.2 s$/)
  await clock.advance(200)
  t.match(await search(), [{ sn: ['twin'] }])

  server.signal('SIGSTOP')
  const first = outcome()
  await clock.advance(3000)
  t.match(await first, /: no answer within 3 s$/, 'before a request must be answered')
  t.match(await outcome(), /no answer within 3 s; not tried again for 6 s$/)
  await clock.advance(6000)
  const probe = outcome()
  t.match(await outcome(), /another request is checking whether it has recovered$/)
  server.signal('SIGCONT')
  t.equal(await probe, 'found')
  t.strictSame(await Promise.all([outcome(), outcome()]), ['found', 'found'])
})

t.test('a login that was refused is not repeated for 3 s', { skip }, async t => {
  const { port } = await slapd(t)
  const clock = virtualClock()
  const login = { binddn: `${LDAP_ADMIN.name},${BASE}`, password: 'wr0ng' }
  const directory = ldapDirectory(options({ port, ...login }), clock)
  t.teardown(() => directory.close())
  const outcome = () => directory.search(BASE, '(uid=bob)', ['sn'], 2).then(() => 'found', String)
  t.match(await outcome(), /invalid credentials/)
  t.match(await outcome(), /invalid credentials.*; not tried again for 3 s$/)
  await clock.advance(2900)
  t.match(await outcome(), /not tried again for 0\.1 s$/)
  await clock.advance(100)
  t.match(await outcome(), /invalid credentials[^;]*$/, 'once more')
})

t.test('one connection for all searches, or none kept open', { skip }, async t => {
  const { port } = await slapd(t)
  const between = await peerServer(socket => {
    const onward = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.pipe(onward).pipe(socket)
    socket.on('close', () => onward.destroy())
  })
  t.teardown(() => between.close())
  const clock = virtualClock()
  const open = (keepalive: boolean) => {
    const directory = ldapDirectory(options({ port: between.port, keepalive }), clock)
    t.teardown(() => directory.close())
    return () => directory.search(BASE, '(uid=bob)', ['sn'], 2)
  }
  const kept = open(true)
  // slapd hangs up on who has more than 100 under way.
  for (const found of await Promise.all(Array.from({ length: 500 }, kept))) {
    if (found?.length !== 1) t.fail('each search has its answer')
  }
  await kept()
  t.equal(between.connections, 1)
  between.hangUp()
  t.match(await kept(), [{ sn: ['twin'] }], 'and a new one where that is lost')
  t.equal(between.connections, 2)

  await clock.advance(60_000)
  while (between.open > 0) await pause(10)
  t.match(await kept(), [{ sn: ['twin'] }], 'closed while nobody used it, opened again')
  t.equal(between.connections, 3)

  between.hangUp()
  const fresh = open(false)
  await Promise.all([fresh(), fresh()])
  await fresh()
  t.equal(between.connections, 5, 'searches at one time share theirs')
  while (between.open > 0) await pause(10)
})

t.test('a server that accepts and says nothing, at each step', async t => {
  const silent = await peerServer(() => undefined)
  t.teardown(() => silent.close())
  const login = { binddn: 'cn=a', password: 'b' }
  await Promise.all(
    [{ starttls: true }, login, {}, { host: 'ldaps://127.0.0.1' }].map(async some => {
      const clock = virtualClock()
      const directory = ldapDirectory(options({ port: silent.port, timeout: 1, ...some }), clock)
      const outcome = () => directory.search(BASE, '(uid=a)', [], 2).catch(String)
      const first = outcome()
      // Connected, and waiting for the answer.
      while (silent.open < 4) await pause(5)
      await clock.advance(1000)
      t.match(await first, /: 127\.0\.0\.1:\d+: no answer within 1 s$/)
      t.match(await outcome(), /no answer within 1 s; not tried again for 2 s$/, 'at once')
      directory.close()
    }),
  )
  const babbling = await peerServer(socket => socket.write('220 smtp.example.org ESMTP\r\n'))
  t.teardown(() => babbling.close())
  const directory = ldapDirectory(options({ port: babbling.port, timeout: 1 }))
  t.teardown(() => directory.close())
  await t.rejects(directory.search(BASE, '(uid=a)', [], 2), LookupError, 'no LDAP')
})

t.test('mistakes in a configuration are reported at their place', async t => {
  const text = (lines: string, fields = 'sn') =>
    chain(
      plugin('LdapUserConfig', `filter = "(uid=%s)"\nconfig_fields = "${fields}"`),
      connection(lines),
    )
  const { messages } = await makeWorld(text('binddn = "cn=a"'))
  t.match(messages, [/error: <Connection ldap>: "binddn" needs a "password"/])
  const strange = await makeWorld(text('host = "http://a/"'))
  t.match(strange.messages, [/expected a host or an ldap URL, found "http:\/\/a\/"/])
  const missing = await makeWorld(chain(plugin('LdapUserConfig', 'filter = a\nconfig_fields = a')))
  t.match(missing.messages[0], /there is no <Connection ldap>/)
  const reserved = await makeWorld(text('', 'sn, _instance').replace('%s', 'a'))
  t.match(reserved.messages, [/without %s/, /begin with "_" are reserved/])
})

function options(some: Partial<LdapOptions>): LdapOptions {
  return {
    host: '127.0.0.1',
    port: 389,
    keepalive: true,
    timeout: 120,
    binddn: undefined,
    password: undefined,
    starttls: false,
    ...some,
  }
}
