/** LdapUserConfig and its connection, against a real slapd. */

import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type LdapOptions, ldapDirectory } from '../../daemon/lookup/ldap.ts'
import { LookupError } from '../../daemon/policy/errors.ts'
import { LDAP_ADMIN } from '../../scripts/servers/slapd.ts'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { makeCertificates } from '../support/certificates.ts'
import { peerServer } from '../support/peer-server.ts'
import { chain, makeWorld, plugin, type World } from '../support/world.ts'

const skip = serverMissing('slapd')
const BASE = 'dc=example,dc=org'

const person = (uid: string, lines: string, below = BASE): string =>
  `dn: uid=${uid},${below}\nobjectClass: inetOrgPerson\nuid: ${uid}\ncn: ${uid}\n${lines}\n`

const DATA = [
  `dn: ${BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n`,
  person('alice', 'sn: A\nmail: alice@example.org\ndescription: first\ndescription: second'),
  person('bob', 'sn: twin\nmail: bob@example.org\nemployeeNumber: 7'),
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
  t.strictSame(world.messages, [])
  return world
}

const as = (sasl_username: string) => ({ sasl_username })

t.test('values of the one entry that is meant, for later plugins', { skip }, async t => {
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

t.test('a search the directory refuses is noted; the mail goes on', { skip }, async t => {
  const { port } = await slapd(t)
  const global = connection(`port = ${port}\nstarttls = 0`)
  for (const lines of [
    'filter = "(mail=%s"\nconfig_fields = sn',
    'filter = "mail=%s)("\nconfig_fields = sn',
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

t.test('encrypted unless it says otherwise, with a certificate we trust', { skip }, async t => {
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
  'who is bound sees more; a wrong password is a failure and no message',
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
  const directory = ldapDirectory(options({ port, starttls: true }), 300)
  t.teardown(() => directory.close())
  const search = () => directory.search(BASE, '(uid=bob)', ['sn'], 2)
  t.match(await search(), [{ sn: ['twin'] }])

  await server.stop()
  await server.start()
  t.match(await search(), [{ sn: ['twin'] }], 'nobody notices a restart')

  await server.stop()
  await t.rejects(search(), { name: 'LookupError', message: /ECONNREFUSED/ })
  await server.start()
  await t.rejects(search(), { message: /ECONNREFUSED/ }, 'it is left alone for a moment')
  await pause(400)
  t.match(await search(), [{ sn: ['twin'] }])

  server.signal('SIGSTOP')
  const started = performance.now()
  await t.rejects(search(), { name: 'LookupError', message: /no answer in time/ })
  t.ok(performance.now() - started < 3900, 'before a request must be answered')
  server.signal('SIGCONT')
  await pause(400)
  t.match(await search(), [{ sn: ['twin'] }])
})

t.test('one connection for all searches, or none that is kept', { skip }, async t => {
  const { port } = await slapd(t)
  const between = await peerServer(socket => {
    const onward = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.pipe(onward).pipe(socket)
    socket.on('close', () => onward.destroy())
  })
  t.teardown(() => between.close())
  const open = (keepalive: boolean) => {
    const directory = ldapDirectory(options({ port: between.port, keepalive }), 0)
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

  between.hangUp()
  const fresh = open(false)
  await Promise.all([fresh(), fresh()])
  await fresh()
  t.equal(between.connections, 4, 'searches at one time share theirs')
  while (between.open > 0) await pause(10)
})

t.test('a server that accepts and says nothing, at each step', async t => {
  const silent = await peerServer(() => undefined)
  t.teardown(() => silent.close())
  const login = { binddn: 'cn=a', password: 'b' }
  await Promise.all(
    [{ starttls: true }, login, {}, { host: 'ldaps://127.0.0.1' }].map(async some => {
      const directory = ldapDirectory(options({ port: silent.port, timeout: 1, ...some }))
      const message = /^127\.0\.0\.1:\d+: no answer in time$/
      await t.rejects(directory.search(BASE, '(uid=a)', [], 2), { message })
      const at = performance.now()
      await t.rejects(directory.search(BASE, '(uid=a)', [], 2), { message })
      t.ok(performance.now() - at < 500, 'the next one at once')
      directory.close()
    }),
  )
  const babbling = await peerServer(socket => socket.write('220 smtp.example.org ESMTP\r\n'))
  t.teardown(() => babbling.close())
  const directory = ldapDirectory(options({ port: babbling.port, timeout: 1 }))
  t.teardown(() => directory.close())
  await t.rejects(directory.search(BASE, '(uid=a)', [], 2), LookupError, 'no LDAP')
})

t.test('mistakes in a configuration are said at their place', async t => {
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
