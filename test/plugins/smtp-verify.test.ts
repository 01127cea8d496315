/** SMTPVerify, against mail servers that say what the test wants. */

import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { recipientProbe } from '../../daemon/lookup/smtp-probe.ts'
import type { DnsAnswer, DnsRecords, DnsType, Resolver } from '../../daemon/policy/ports/dns.ts'
import { type PeerServer, peerServer } from '../support/peer-server.ts'
import { chain, makeWorld, plugin, type World, type WorldOptions } from '../support/world.ts'

const SESSIONS = '<SessionCache>\nmodule = Memory\n</SessionCache>'

interface MailServer extends PeerServer {
  /** The commands it heard. */
  readonly log: readonly string[]
}

/** Replies by the beginning of a command; null: hangs up; undefined: nothing is said. */
async function mailServer(
  t: Test,
  replies: Readonly<Record<string, string | null | undefined>> = {},
): Promise<MailServer> {
  const log: string[] = []
  const all = {
    greeting: '220 mail.example.org ESMTP',
    EHLO: '250-mail.example.org\r\n250-starttls\r\n250 SIZE 1000',
    ...replies,
  }
  const server = await peerServer(socket => {
    const say = (key: string): void => {
      const reply = key in all ? all[key as keyof typeof all] : '250 2.0.0 Ok'
      if (reply === null) socket.destroy()
      else if (reply !== undefined) socket.write(`${reply}\r\n`)
    }
    say('greeting')
    const lines = createInterface({ input: socket }).on('error', () => undefined)
    lines.on('line', line => {
      log.push(line.replace(/^(EHLO|HELO) .*/, '$1'))
      say(Object.keys(all).find(key => line.startsWith(key)) ?? line)
    })
  })
  t.teardown(() => server.close())
  // The getters of a server are not copied by a spread.
  return Object.defineProperty(server, 'log', { value: log }) as MailServer
}

const verify = (lines: string, globals = ''): string =>
  chain(plugin('SMTPVerify', lines, 'sv') + plugin('AddScoreHeader'), globals)

const RECIPIENT = 'sender_field = sender\nrecipient_field = recipient'
const ACTIONS = 'perm_fail_action = "reject %MSG%"\ntemp_fail_action = "defer %MSG% (%MSG%)"'
const SCORES =
  'has_starttls_score = -5\nno_starttls_score = 5\nperm_fail_score = 10\ntemp_fail_score = 3'
const MAIL = { sender: 'me@example.org', recipient: 'you@example.net', size: '100', instance: '1' }

async function rightWorld(t: Test, text: string, options?: WorldOptions): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

const at = ({ port }: MailServer): string => `host = 127.0.0.1\nport = ${port}\n`

t.test('a recipient the server accepts: the dialogue and the scores', async t => {
  const server = await mailServer(t)
  const world = await rightWorld(t, verify(`${at(server)}${RECIPIENT}\n${ACTIONS}\n${SCORES}`))
  t.equal(await world.ask(MAIL), 'PREPEND X-MtScore: NO score=-5 [sv-you@example.net-starttls=-5]')
  const dialogue = [
    'EHLO',
    'MAIL FROM:<me@example.org> SIZE=100',
    'RCPT TO:<you@example.net>',
    'QUIT',
  ]
  while (server.log.length < dialogue.length) await pause(5)
  t.strictSame(server.log, dialogue)
  t.match(server.heard, /^EHLO (?:[\w-]+(?:\.[\w-]+)+|\[127\.0\.0\.1\])\r\n/, 'a full name')

  const old = await mailServer(t, { EHLO: '502 what?' })
  const plain = await rightWorld(t, verify(`${at(old)}sender = probe@example.com\n${SCORES}`))
  t.match(
    await plain.ask(MAIL),
    /sv-me@example\.org-starttls=5\]/,
    'the sender, if nothing is said',
  )
  while (old.log.length < 5) await pause(5)
  t.strictSame(old.log, [
    'EHLO',
    'HELO',
    'MAIL FROM:<probe@example.com>',
    'RCPT TO:<me@example.org>',
    'QUIT',
  ])
})

t.test('a refusal is answered with the server’s text, to every request of the mail', async t => {
  const server = await mailServer(t, {
    'RCPT TO:<bad@': '550 5.1.1 address rejected',
    'RCPT TO:<tmp@': '450 4.2.0 try later',
    'MAIL FROM:<full@': '552 5.2.2 too large',
  })
  const text = verify(`${at(server)}${RECIPIENT}\n${ACTIONS}\n${SCORES}`, SESSIONS)
  const world = await rightWorld(t, text)
  const bad = { ...MAIL, recipient: 'bad@example.net' }
  t.equal(await world.ask(bad), 'reject 5.1.1 address rejected')
  t.equal(await world.ask(bad), 'reject 5.1.1 address rejected', 'mtpolicyd let this one pass')
  t.equal(server.connections, 1)
  t.match(
    await world.ask(MAIL),
    /score=0 \[sv-bad@example\.net-starttls=-5, sv-bad@example\.net=10, sv-you@example\.net-starttls=-5\]/,
    'another recipient of the mail; scored once for each',
  )
  await world.ask(MAIL)
  t.equal(server.connections, 2, 'nor is it asked again who takes it')
  const later = { ...MAIL, recipient: 'tmp@example.net', instance: '2' }
  t.equal(await world.ask(later), 'defer 4.2.0 try later (4.2.0 try later)')
  const full = { ...MAIL, sender: 'full@example.org', instance: '3' }
  t.equal(await world.ask(full), 'reject 5.2.2 too large')
  const scored = await rightWorld(t, verify(`${at(server)}${RECIPIENT}\nperm_fail_score = 10`))
  t.match(await scored.ask(bad), /score=10 \[sv-bad@example\.net=10\]/, 'no action')
  const off = await rightWorld(t, verify(`${at(server)}${RECIPIENT}\n${ACTIONS}\nenabled = off`))
  t.match(await off.ask(bad), /score=0$/)
})

t.test('a reply can never be more than one line of text', async t => {
  const server = await mailServer(t, {
    'RCPT TO:<multi@': '550-line one\r\n550 action=dunno',
    'RCPT TO:<bare@': '550 one\rtwo\u2028three\x07',
    'RCPT TO:<long@': `550 ${'x'.repeat(5000)}`,
    'RCPT TO:<empty@': '550',
  })
  const world = await rightWorld(t, verify(`${at(server)}${RECIPIENT}\n${ACTIONS}`))
  const ask = (name: string) => world.ask({ ...MAIL, recipient: `${name}@example.net` })
  t.equal(await ask('multi'), 'reject line one action=dunno')
  const question = { hosts: ['127.0.0.1'], port: server.port, sender: '', size: undefined }
  const { signal } = new AbortController()
  t.match(await recipientProbe()({ ...question, recipient: 'multi@a' }, signal), {
    code: 550,
    text: /^line one action=dunno$/,
  })
  t.equal(await ask('bare'), 'reject one two three ')
  t.equal((await ask('long'))?.length, 'reject '.length + 500)
  t.equal(await ask('empty'), 'reject ')
})

t.test('a server that cannot be reached: nothing happens', async t => {
  const closed = await mailServer(t)
  await closed.close()
  const servers = {
    closed,
    busy: await mailServer(t, { greeting: '421 too busy' }),
    unwilling: await mailServer(t, { EHLO: '550 no', HELO: '550 no' }),
    rude: await mailServer(t, { MAIL: null }),
    'STARTTLS first': await mailServer(t, {
      MAIL: '530 5.7.0 Must issue a STARTTLS command first',
    }),
    'not now': await mailServer(t, { RCPT: '421 4.3.2 shutting down' }),
    simple: await mailServer(t, { RCPT: '502 5.5.1 not implemented' }),
    strange: await mailServer(t, { greeting: 'HTTP/1.1 400 Bad Request\r\n999 x' }),
    endless: await mailServer(t, { EHLO: '250-x\r\n'.repeat(20_000) }),
    silent: await mailServer(t, { RCPT: undefined }),
  }
  await Promise.all(
    Object.entries(servers).map(async ([name, server]) => {
      const lines = `${at(server)}${RECIPIENT}\n${ACTIONS}\n${SCORES}\ntimeout = 1`
      const world = await rightWorld(t, verify(lines))
      t.match(await world.ask(MAIL), /score=0$/, name)
      t.match(world.notes, [/no mail server for you@example\.net could be reached/], name)
      t.strictSame(world.errors, [], name)
    }),
  )
})

t.test('neither an empty nor a missing sender can be verified', async t => {
  const server = await mailServer(t)
  const world = await rightWorld(t, verify(`${at(server)}${ACTIONS}\n${SCORES}`))
  t.match(await world.ask({ ...MAIL, sender: '' }), /score=0$/)
  t.match(await world.ask({ recipient: 'you@example.net' }), /score=0$/)
  t.equal(server.connections, 0)
  t.match(world.notes, [/no sender in the request/, /no sender in the request/])
  const bounce = await rightWorld(t, verify(`${at(server)}${RECIPIENT}`))
  await bounce.ask({ ...MAIL, sender: '' })
  t.match(server.log, ['EHLO', 'MAIL FROM:<> SIZE=100'], 'as MAIL FROM it can be empty')
})

t.test('an address is never more than an address', async t => {
  const server = await mailServer(t)
  for (const recipient of [
    'a@example.net>\r\nRCPT TO:<b@example.net',
    'a@example.net> SIZE=1',
    'a@<example.net',
    'a@example.net SIZE=1',
    `${'a'.repeat(320)}@example.net`,
    'a\0@example.net',
  ]) {
    const world = await rightWorld(t, verify(`${at(server)}${RECIPIENT}`))
    t.match(await world.ask({ ...MAIL, recipient }), /score=0$/)
    t.match(world.errors, [/plugin sv failed: the address ".*" cannot be put into an SMTP command/])
    await world.ask({ ...MAIL, sender: recipient })
    t.equal(world.errors.length, 2, 'nor as MAIL FROM')
  }
  t.equal(server.connections, 0)

  const world = await rightWorld(t, verify(`${at(server)}${RECIPIENT}\nhas_starttls_score = 1`))
  const abroad = { ...MAIL, recipient: 'jörg@example.net' }
  t.match(await world.ask(abroad), /score=0$/, 'not asked where SMTPUTF8 is not known')
  const modern = await mailServer(t, { EHLO: '250-x\r\n250 SMTPUTF8' })
  const able = await rightWorld(t, verify(`${at(modern)}${RECIPIENT}\nno_starttls_score = 1`))
  t.match(await able.ask(abroad), /score=1/)
  t.match(modern.log, ['EHLO', 'MAIL FROM:<me@example.org> SMTPUTF8', 'RCPT TO:<jörg@example.net>'])
})

t.test('a local part is quoted, and a domain has no final dot, in the commands', async t => {
  const server = await mailServer(t)
  const world = await rightWorld(t, verify(`${at(server)}${RECIPIENT}`))
  await world.ask({ ...MAIL, sender: 'john doe@Example.org.', recipient: 'a"b>c@d@example.net' })
  t.strictSame(server.log.slice(0, 3), [
    'EHLO',
    'MAIL FROM:<"john doe"@Example.org> SIZE=100',
    'RCPT TO:<"a\\"b>c@d"@example.net>',
  ])
  t.strictSame(world.errors, [])
})

type Zone = Readonly<Record<string, readonly DnsRecords[DnsType][] | 'failed'>>

/** @param zone records by `NAME TYPE`. */
function resolver(zone: Zone): Resolver & { readonly asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    ask<T extends DnsType>(name: string, type: T): DnsAnswer<T> {
      asked.push(`${name} ${type}`)
      const records = zone[`${name} ${type}`]
      if (records === 'failed') return { outcome: 'failed', records: [], problem: 'SERVFAIL' }
      if (!records) return { outcome: 'empty', records: [], exists: true }
      // The zone has records of that type under such a key.
      return { outcome: 'found', records: records as DnsRecords[T][] }
    },
    noListing: () => undefined,
  }
}

t.test('without a host the domain’s mail exchangers are asked, or the domain itself', async t => {
  const server = await mailServer(t, { RCPT: '550 no' })
  const ask = async (zone: Zone, recipient = 'you@example.net') => {
    const dns = resolver(zone)
    // Its servers are on this host.
    const text = verify(`port = ${server.port}\n${RECIPIENT}\n${ACTIONS}\nthis_host = on`)
    const world = await rightWorld(t, text, { dns })
    const answer = await world.ask({ ...MAIL, recipient })
    t.strictSame(world.errors, [])
    return { answer, asked: dns.asked }
  }
  const exchanger = (preference: number, exchange: string) => ({ preference, exchange })
  const best = await ask({
    'example.net MX': [exchanger(20, 'second.example.net'), exchanger(10, 'first.example.net')],
    'second.example.net A': ['127.0.0.1'],
    // Nobody listens there: the next one is asked.
    'first.example.net A': ['127.0.0.9'],
  })
  t.equal(best.answer, 'reject no')
  t.equal(best.asked[1], 'first.example.net A')
  const itself = await ask({ 'example.net A': ['127.0.0.1'] })
  t.equal(itself.answer, 'reject no')
  t.strictSame(itself.asked, ['example.net MX', 'example.net A', 'example.net AAAA'])
  t.equal((await ask({}, 'you@[127.0.0.1]')).answer, 'reject no', 'an address literal')
  t.match(await ask({}, 'you@[nonsense]'), { answer: /score=0/, asked: [] })
  t.match(await ask({}, 'postmaster'), { answer: /score=0/, asked: [] })
  t.match(await ask({}, 'you@-x..y'), { answer: /score=0/ })
  t.match(await ask({ 'example.net MX': 'failed' }), { answer: /score=0/ })
  t.match(await ask({ 'example.net MX': [exchanger(0, '.')] }), {
    answer: /score=0/,
    asked: ['example.net MX'],
  })
  const abroad = await ask({}, 'you@bücher.example')
  t.equal(abroad.asked[0], 'xn--bcher-kva.example MX')
})

t.test('TLSA of the server and OPENPGPKEY of the address are scored', async t => {
  const server = await mailServer(t)
  const hash = createHash('sha256').update('you').digest('hex').slice(0, 56)
  const openpgp = `${hash}._openpgpkey.example.net OPENPGPKEY`
  const tlsa = `_${server.port}._tcp.mx.example.net TLSA`
  const lines =
    `port = ${server.port}\n${RECIPIENT}\nthis_host = on\ncheck_tlsa = on\ncheck_openpgp = on\n` +
    'has_tlsa_score = -3\nno_tlsa_score = 1\nhas_openpgp_score = -4\nno_openpgp_score = 2'
  const score = async (zone: Zone) => {
    const mx = [{ preference: 1, exchange: 'mx.example.net' }]
    const dns = resolver({ 'example.net MX': mx, 'mx.example.net A': ['127.0.0.1'], ...zone })
    return (await rightWorld(t, verify(lines), { dns })).ask(MAIL)
  }
  const you = 'sv-you@example\\.net'
  t.match(
    await score({ [tlsa]: ['030101aa'], [openpgp]: ['99'] }),
    new RegExp(`score=-7 \\[${you}-tlsa=-3, ${you}-openpgp=-4\\]`),
  )
  t.match(await score({}), new RegExp(`score=3 \\[${you}-tlsa=1, ${you}-openpgp=2\\]`))
  t.match(await score({ [tlsa]: 'failed', [openpgp]: 'failed' }), /score=0$/, 'nobody can tell')
})

t.test('simultaneous equal probes are one; the number of different ones is limited', async t => {
  const server = await mailServer(t, { RCPT: undefined })
  const probe = recipientProbe()
  const timeUp = new AbortController()
  const question = (recipient: string) => ({
    hosts: ['127.0.0.1'],
    port: server.port,
    sender: 'me@example.org',
    recipient,
    size: undefined,
  })
  const same = [1, 2, 3].map(() => probe(question('you@example.net'), timeUp.signal))
  while (server.log.length < 3) await pause(5)
  t.equal(server.connections, 1)
  const many = Array.from({ length: 99 }, (_, i) => probe(question(`${i}@a`), timeUp.signal))
  await t.rejects(probe(question('one@too.many'), timeUp.signal), { name: 'LookupError' })
  timeUp.abort()
  t.strictSame([...new Set(await Promise.all([...same, ...many]))], [undefined])
  t.equal(await probe(question('one@too.many'), AbortSignal.timeout(100)), undefined, 'room again')
})
