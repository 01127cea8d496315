/** The resolver, with name servers that answer, fail, stay silent and lie. */

import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Answer, decode, encode, type Packet } from 'dns-packet'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { questionBytes, questionName, readReply } from '../../daemon/lookup/dns-message.ts'
import {
  type OpenResolver,
  openResolver,
  type ResolverOptions,
} from '../../daemon/lookup/resolver.ts'
import type { DnsAnswer, DnsType } from '../../daemon/policy/ports/dns.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import {
  type DnsServerOptions,
  type DnsZone,
  type FakeDnsServer,
  startDnsServer,
} from '../support/dns-server.ts'
import { runs } from '../support/fuzz.ts'

interface Scene {
  readonly dns: FakeDnsServer
  readonly resolver: OpenResolver
  readonly log: readonly string[]
  /** Lets seconds pass for the resolver. */
  pass(seconds: number): void
}

const NOON = Date.UTC(2026, 10, 20, 12)
const ADDRESS = { A: ['192.0.2.1'] }
const NOTHING = { outcome: 'empty', records: [], exists: true }
const NO_NAME = { outcome: 'empty', records: [], exists: false }

async function scene(
  t: Test,
  zone: DnsZone,
  options: DnsServerOptions & Partial<ResolverOptions> = {},
): Promise<Scene> {
  const dns = await startDnsServer(zone, options)
  t.teardown(() => dns.close())
  let passed = 0
  const log: string[] = []
  const resolver = opened(t, {
    clock: { ...systemClock, now: () => NOON + passed, elapsed: () => performance.now() + passed },
    log: message => void log.push(message),
    ...options,
    env: { ...dns.env, ...options.env },
  })
  const pass = (seconds: number): void => {
    passed += seconds * 1000
  }
  return { dns, resolver, log, pass }
}

function opened(t: Test, options: Pick<ResolverOptions, 'env'> & Partial<ResolverOptions>) {
  const resolver = openResolver({
    clock: { ...systemClock, now: () => NOON },
    log: () => undefined,
    ...options,
  })
  resolver.setDeadline(3000)
  t.teardown(() => resolver.close())
  return resolver
}

/** A name server that answers as the test says. */
async function server(
  t: Test,
  answer: (query: Packet, send: (reply: Buffer) => void, from: RemoteInfo) => void,
): Promise<OpenResolver> {
  const socket = createSocket('udp4')
  socket.on('message', (message, from) => {
    answer(decode(message), reply => socket.send(reply, from.port, from.address), from)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  const { port } = socket.address()
  return opened(t, { env: { RES_NAMESERVERS: '127.0.0.1', RES_OPTIONS: `port:${port}` } })
}

function reply(query: Packet, answers: Answer[], changes: Partial<Packet> = {}): Buffer {
  const { id = 0, questions = [] } = query
  return encode({ type: 'response', id, questions, answers, ...changes })
}

const addressOf = (name: string, data: string): Answer => ({ type: 'A', name, ttl: 60, data })

t.test('records come as plain values', async t => {
  const { resolver } = await scene(t, {
    'all.example': {
      A: ['192.0.2.1', '192.0.2.2'],
      AAAA: ['2001:db8:0:0:0:0:0:1'],
      MX: ['10 mail.example', '0 .'],
      PTR: ['host.example'],
      TXT: [['two ', 'strings'], 'grüß dich', ''],
      TLSA: ['030101aabbcc'],
      OPENPGPKEY: ['99aabb'],
    },
  })
  const records = async (type: DnsType): Promise<readonly unknown[]> =>
    (await resolver.ask('all.example', type)).records
  t.strictSame(await records('A'), ['192.0.2.1', '192.0.2.2'])
  t.strictSame(await records('AAAA'), ['2001:db8::1'])
  t.strictSame(await records('MX'), [
    { preference: 10, exchange: 'mail.example' },
    { preference: 0, exchange: '.' },
  ])
  t.strictSame(await records('PTR'), ['host.example'])
  t.strictSame(await records('TXT'), ['two strings', 'grüß dich', ''])
  t.strictSame(await records('TLSA'), ['030101aabbcc'])
  t.strictSame(await records('OPENPGPKEY'), ['99aabb'])
})

t.test('a text that is not UTF-8 is latin1', async t => {
  const resolver = await server(t, (query, send) => {
    const data = Buffer.from('gr\xfc\xdfe', 'latin1')
    send(reply(query, [{ type: 'TXT', name: 'a.example', data }]))
  })
  t.strictSame((await resolver.ask('a.example', 'TXT')).records, ['grüße'])
})

t.test('an answer is cached for every spelling of the name', async t => {
  const { dns, resolver } = await scene(t, { 'a.example': ADDRESS })
  const both = [resolver.ask('a.example', 'A'), resolver.ask('A.Example.', 'A')]
  t.ok(both[0] instanceof Promise)
  const [one, two] = await Promise.all(both)
  t.strictSame(one, { outcome: 'found', records: ['192.0.2.1'] })
  t.equal(two, one)
  for (const name of ['a.example', 'A.EXAMPLE', 'a.example.']) {
    t.equal(resolver.ask(name, 'A'), one, `${name}: without a promise`)
  }
  t.strictSame(dns.questions, ['a.example A'])
  t.match(resolver.status(), {
    servers: [`127.0.0.1:${dns.port}`],
    cached: 1,
    questions: 1,
    failures: 0,
  })
})

t.test('a name without such a record differs from a name that does not exist', async t => {
  const { resolver } = await scene(t, { 'a.example': ADDRESS })
  t.strictSame(await resolver.ask('a.example', 'TXT'), NOTHING)
  t.strictSame(await resolver.ask('b.example', 'TXT'), NO_NAME)
})

t.test('an answer is cached as long as its TTL says, within limits', async t => {
  const asked = async (ttl: number, seconds: number): Promise<number> => {
    const { dns, resolver, pass } = await scene(t, { 'a.example': ADDRESS }, { ttl })
    await resolver.ask('a.example', 'A')
    pass(seconds)
    await resolver.ask('a.example', 'A')
    return dns.questions.length
  }
  t.equal(await asked(60, 59), 1)
  t.equal(await asked(60, 61), 2)
  t.equal(await asked(0, 3), 1, 'long enough for the plugins of a mail')
  t.equal(await asked(0, 6), 2)
  t.equal(await asked(4_000_000_000, 3700), 2, 'nothing for ever')
})

t.test('a negative answer is cached as long as the zone says, a failure for seconds', async t => {
  const asked = async (options: DnsServerOptions, seconds: number, zone: DnsZone = {}) => {
    const { dns, resolver, pass } = await scene(t, zone, options)
    await resolver.ask('a.example', 'A')
    pass(seconds)
    await resolver.ask('a.example', 'A')
    return dns.questions.length
  }
  t.equal(await asked({ negativeTtl: 100 }, 99), 1)
  t.equal(await asked({ negativeTtl: 100 }, 101), 2)
  t.equal(await asked({ negativeTtl: 100_000 }, 1000), 2, 'never for long')
  t.equal(await asked({}, 6), 2, 'the zone says nothing')
  t.equal(await asked({}, 4, { 'a.example': 'SERVFAIL' }), 1)
  t.equal(await asked({}, 6, { 'a.example': 'SERVFAIL' }), 2)
})

t.test('CNAMEs are followed, and a cycle of them ends', async t => {
  const { resolver } = await scene(t, {
    'a.example': { CNAME: ['b.example'] },
    'b.example': { CNAME: ['C.example'] },
    'c.example': ADDRESS,
    'ring.example': { CNAME: ['ring.example'] },
    'away.example': { CNAME: ['nowhere.example'] },
  })
  t.strictSame((await resolver.ask('a.example', 'A')).records, ['192.0.2.1'])
  t.strictSame(await resolver.ask('ring.example', 'A'), NOTHING)
  t.strictSame(await resolver.ask('away.example', 'A'), NOTHING)
})

t.test('records of other names do not count', async t => {
  const resolver = await server(t, (query, send) => {
    send(reply(query, [addressOf('other.example', '203.0.113.1')]))
  })
  t.strictSame(await resolver.ask('a.example', 'A'), NOTHING)
})

t.test('an answer too long for UDP comes over TCP', async t => {
  const TXT = Array.from({ length: 200 }, (_, index) => `${index} ${'x'.repeat(200)}`)
  const { dns, resolver } = await scene(t, { 'long.example': { TXT } })
  t.strictSame((await resolver.ask('long.example', 'TXT')).records, TXT)
  t.equal(dns.overTcp, 1)
})

t.test('a truncated answer comes over TCP, even if it ends in the middle of a record', async t => {
  const TXT = Array.from({ length: 20 }, (_, index) => `${index} ${'x'.repeat(200)}`)
  const { dns, resolver } = await scene(t, { 'long.example': { TXT } }, { cutsRecords: true })
  t.strictSame((await resolver.ask('long.example', 'TXT')).records, TXT)
  t.equal(dns.overTcp, 1)
})

t.test('anything but a DNS name has no records, and no query is sent', async t => {
  const { dns, resolver } = await scene(t, {})
  const long = `${'x'.repeat(63)}.`.repeat(4)
  for (const name of ['', '.', '..', 'a..b', '.a', 'a b', 'ü.example', 'a\n.b', `${long}x`]) {
    t.strictSame(resolver.ask(name, 'A'), NO_NAME, JSON.stringify(name))
  }
  t.strictSame(resolver.ask(`${'x'.repeat(64)}.example`, 'A'), NO_NAME)
  t.strictSame(dns.questions, [])
  for (const name of [long.slice(0, 253), '[192.0.2.1].x', 'a@b.example', '_25._tcp.a.example']) {
    t.strictSame(await resolver.ask(name, 'A'), NO_NAME, name)
  }
  t.equal(dns.questions.length, 4)
})

t.test('when a server refuses, is down or silent, the next one answers', async t => {
  const { dns: first } = await scene(t, {
    'servfail.example': 'SERVFAIL',
    'refused.example': 'REFUSED',
    'silent.example': 'DROP',
  })
  const names = ['servfail.example', 'refused.example', 'silent.example', 'away.example']
  const zone = Object.fromEntries(names.map(name => [name, ADDRESS]))
  const { port } = first
  await scene(t, zone, { host: '127.0.0.2', port })
  for (const name of names) {
    const servers = name === 'away.example' ? '127.0.0.3, 127.0.0.2' : '127.0.0.1 127.0.0.2'
    const resolver = opened(t, {
      env: { RES_NAMESERVERS: servers, RES_OPTIONS: `port:${port}` },
    })
    const mayTake = name === 'silent.example' ? 3000 : 60_000
    resolver.setDeadline(mayTake)
    const started = performance.now()
    t.strictSame((await resolver.ask(name, 'A')).records, ['192.0.2.1'], name)
    t.ok(performance.now() - started < 10_000, 'at once where the first one says no')
    t.equal((await resolver.ask('other.example', 'A')).outcome, 'empty')
    t.equal(
      first.asked('other.example'),
      0,
      'the server that answered is queried first from now on',
    )
  }
})

t.test('when all servers refuse, the query fails at once', async t => {
  const { resolver } = await scene(t, { 'a.example': 'REFUSED', 'b.example': 'SERVFAIL' })
  t.strictSame(await resolver.ask('a.example', 'A'), {
    outcome: 'failed',
    records: [],
    problem: 'REFUSED',
  })
  t.match(await resolver.ask('b.example', 'A'), { problem: 'SERVFAIL' })
  t.match(resolver.status(), { questions: 2, failures: 2 })
})

t.test('a server that cannot be reached is a failure, not a crash', async t => {
  const env = { RES_NAMESERVERS: '127.0.0.9' }
  const { resolver } = await scene(t, {}, { env })
  t.match(await resolver.ask('a.example', 'A'), { outcome: 'failed', problem: /ECONNREFUSED/ })
  const far = await scene(t, {}, { env: { RES_NAMESERVERS: '2001:db8::53 255.255.255.255' } })
  t.equal((await far.resolver.ask('a.example', 'A')).outcome, 'failed')
})

t.test(
  'a silent server takes no longer than the deadline, which RES_OPTIONS may shorten',
  async t => {
    const zone: DnsZone = { 'a.example': 'DROP' }
    const { dns, resolver } = await scene(t, zone)
    resolver.setDeadline(600)
    const started = performance.now()
    t.match(await resolver.ask('a.example', 'A'), {
      outcome: 'failed',
      problem: 'no answer in time',
    })
    t.ok(performance.now() - started < 5000)
    t.equal(dns.questions.length, 3, 'a query after each third of the time')

    const port = dns.port
    const short = await scene(t, zone, {
      env: { RES_NAMESERVERS: '127.0.0.1', RES_OPTIONS: `port:${port} retry:1 retrans:1` },
    })
    short.resolver.setDeadline(60_000)
    const again = performance.now()
    await short.resolver.ask('a.example', 'A')
    t.ok(performance.now() - again < 10_000)
  },
)

t.test('anything but an answer to the query is ignored', async t => {
  const resolver = await server(t, (query, send, from) => {
    const { id = 0 } = query
    const forged = [addressOf('a.example', '203.0.113.66')]
    send(reply(query, forged, { id: (id + 1) % 65_536 }))
    send(reply(query, forged, { questions: [{ name: 'b.example', type: 'A' }] }))
    send(reply(query, forged, { questions: [{ name: 'a.example', type: 'TXT' }] }))
    send(reply(query, forged, { questions: [] }))
    send(reply(query, forged, { type: 'query' }))
    send(Buffer.from('nonsense'))
    // Another server, to the same socket.
    const other = createSocket('udp4')
    other.send(reply(query, forged), from.port, from.address, () => {
      other.close()
      send(reply(query, [addressOf('A.example', '192.0.2.1')]))
    })
  })
  t.strictSame((await resolver.ask('a.example', 'A')).records, ['192.0.2.1'])
})

t.test('each query has an id and a port of its own', async t => {
  const ids = new Set<number | undefined>()
  const ports = new Set<number>()
  const resolver = await server(t, (query, send, from) => {
    ids.add(query.id)
    ports.add(from.port)
    send(reply(query, []))
  })
  await Promise.all(Array.from({ length: 40 }, (_, index) => resolver.ask(`${index}.example`, 'A')))
  t.ok(ids.size > 30)
  t.ok(ports.size > 30)
})

t.test('a server without EDNS is queried without it', async t => {
  const resolver = await server(t, (query, send) => {
    const FORMERR = 1
    if (query.additionals?.length) send(reply({ id: query.id ?? 0 }, [], { flags: FORMERR }))
    else send(reply(query, [addressOf('a.example', '192.0.2.1')]))
  })
  t.strictSame((await resolver.ask('a.example', 'A')).records, ['192.0.2.1'])
})

t.test('BADVERS, in the upper bits of the code, leads to a query without EDNS', async t => {
  for (const repeatsQuestion of [true, false]) {
    let queries = 0
    const resolver = await server(t, (query, send) => {
      queries++
      const [opt] = query.additionals ?? []
      if (opt?.type !== 'OPT') return send(reply(query, [addressOf('a.example', '192.0.2.1')]))
      const changes = { additionals: [{ ...opt, extendedRcode: 1 }] }
      send(reply(query, [], repeatsQuestion ? changes : { ...changes, questions: [] }))
    })
    t.strictSame((await resolver.ask('a.example', 'A')).records, ['192.0.2.1'])
    t.equal(queries, 2)
  }
})

t.test('a server that refuses without an OPT record is queried without EDNS', async t => {
  for (const code of [2, 4, 5, 9]) {
    let queries = 0
    const resolver = await server(t, (query, send) => {
      queries++
      if (query.additionals?.length) send(reply(query, [], { flags: code }))
      else send(reply(query, [addressOf('a.example', '192.0.2.1')]))
    })
    t.strictSame((await resolver.ask('a.example', 'A')).records, ['192.0.2.1'], `code ${code}`)
    t.equal(queries, 2)
  }
})

t.test('other codes with upper bits are a failure, not a negative answer', async t => {
  const resolver = await server(t, (query, send) => {
    const [opt] = query.additionals ?? []
    if (opt?.type === 'OPT') send(reply(query, [], { additionals: [{ ...opt, extendedRcode: 2 }] }))
  })
  t.match(await resolver.ask('a.example', 'A'), { outcome: 'failed', problem: 'code 32' })
})

t.test('the last attempt goes without EDNS, which some firewalls drop', async t => {
  const zone = { 'a.example': ADDRESS, 'b.example': ADDRESS, 'c.example': ADDRESS }
  const { dns, resolver, pass } = await scene(t, zone, { dropsEdns: true })
  t.strictSame((await resolver.ask('a.example', 'A')).records, ['192.0.2.1'])
  t.equal(dns.questions.length, 3)
  t.strictSame((await resolver.ask('b.example', 'A')).records, ['192.0.2.1'])
  t.equal(dns.questions.length, 4, 'the next query goes without it at once')
  pass(901)
  await resolver.ask('c.example', 'A')
  t.equal(dns.questions.length, 7, 'now and then EDNS is tried again')
})

t.test('a truncated answer that TCP cannot fetch is a failure', async t => {
  const resolver = await server(t, (query, send) => send(reply(query, [], { flags: 0x0200 })))
  t.match(await resolver.ask('a.example', 'A'), { outcome: 'failed', problem: /ECONNREFUSED/ })
})

t.test('a list that stays silent is passed over for a while, and asked again', async t => {
  const LIST = 'list.example'
  const { dns, resolver, log, pass } = await scene(t, {})
  let count = 0
  const listed = { A: ['127.0.0.2'] }
  const ask = async (entry: DnsZone[string]): Promise<DnsAnswer<'A'>> => {
    const name = `${count++}.${LIST}`
    dns.zone[name] = entry
    resolver.setDeadline(entry === 'DROP' ? 100 : 5000)
    return resolver.ask(name, 'A', LIST)
  }
  await ask('DROP')
  await ask('DROP')
  t.equal((await ask(listed)).outcome, 'found', 'two are not enough, and an answer begins anew')
  await ask('DROP')
  await ask('DROP')
  t.strictSame(log, [])
  await ask('DROP')
  t.match(log, [/list\.example does not answer.* 60 s/])
  t.strictSame(
    resolver.status().silent.map(({ list }) => list),
    [LIST],
  )
  t.match(resolver.status().silent[0]?.until, /^2026-11-20T12:0[01]:/)

  const before = dns.questions.length
  t.match(resolver.ask(`x.${LIST}`, 'A', LIST), { outcome: 'failed' }, 'at once')
  t.equal(dns.questions.length, before)
  resolver.setDeadline(5000)
  t.equal((await resolver.ask('other.example', 'A', 'other')).outcome, 'empty', 'others are asked')

  pass(61)
  dns.zone[`y.${LIST}`] = 'DROP'
  resolver.setDeadline(100)
  const trial = resolver.ask(`y.${LIST}`, 'A', LIST)
  t.ok(trial instanceof Promise, 'one question tries it')
  t.match(resolver.ask(`z.${LIST}`, 'A', LIST), { outcome: 'failed' }, 'and only one')
  await trial
  t.match(resolver.ask(`z.${LIST}`, 'A', LIST), { outcome: 'failed' }, 'still silent')
  t.equal(log.length, 1, 'said once')

  pass(61)
  t.match(await ask('SERVFAIL'), { problem: 'SERVFAIL' }, 'an answer of any kind')
  t.match(log.slice(1), [/list\.example answers again/])
  t.strictSame(resolver.status().silent, [])
  t.equal((await ask(listed)).outcome, 'found')
})

t.test('a list whose answer is not a listing is logged once an hour', async t => {
  const { resolver, log, pass } = await scene(t, {})
  resolver.noListing('list.example', '127.255.255.254', 'it is cross')
  resolver.noListing('list.example', '127.255.255.254', 'it is cross')
  t.strictSame(log, [
    'the DNS list list.example answers 127.255.255.254: it is cross; the answer is ignored',
  ])
  t.strictSame(resolver.status().refusing, [{ list: 'list.example', answer: '127.255.255.254' }])
  pass(3601)
  t.strictSame(resolver.status().refusing, [])
  resolver.noListing('list.example', '203.0.113.1', 'it is gone')
  t.match(log.slice(1), [/203\.0\.113\.1: it is gone/])
})

t.test('many questions at once: some wait, some are turned away, all end in time', async t => {
  let open = 0
  const seen = new Set<string>()
  const resolver = await server(t, query => {
    const name = query.questions?.[0]?.name ?? ''
    if (!seen.has(name)) open++
    seen.add(name)
  })
  resolver.setDeadline(600)
  const started = performance.now()
  const answers = Array.from({ length: 2500 }, (_, index) => resolver.ask(`${index}.example`, 'A'))
  t.ok(
    answers.some(answer => !(answer instanceof Promise)),
    'some at once',
  )
  for (const answer of await Promise.all(answers)) {
    if (answer.outcome !== 'failed') t.fail('nobody answered')
  }
  t.ok(performance.now() - started < 5000)
  t.ok(open <= 200, `${open} were put to the server`)
})

t.test('many silent names of strangers keep no block list from being asked', async t => {
  const resolver = await server(t, (query, send) => {
    const name = query.questions?.[0]?.name ?? ''
    if (name.endsWith('.list.example')) send(reply(query, [addressOf(name, '127.0.0.2')]))
  })
  resolver.setDeadline(2000)
  for (let index = 0; index < 1500; index++) resolver.ask(`${index}.silent.example`, 'A')
  const answer = await resolver.ask('1.list.example', 'A', 'list.example')
  t.equal(answer.outcome, 'found')
})

t.test('many questions at once: whoever waited is asked as well', async t => {
  const resolver = await server(t, (query, send) => {
    const name = query.questions?.[0]?.name ?? ''
    setTimeout(() => send(reply(query, [addressOf(name, '192.0.2.1')])), 5)
  })
  resolver.setDeadline(10_000)
  const asked = Array.from({ length: 1000 }, (_, index) => resolver.ask(`${index}.example`, 'A'))
  const answers = await Promise.all(asked)
  t.equal(answers.filter(({ outcome }) => outcome === 'found').length, 1000)
})

t.test('the cache is bounded', async t => {
  const resolver = await server(t, (query, send) => {
    const data = Array.from({ length: 30 }, () => 'x'.repeat(255))
    send(reply(query, [{ type: 'TXT', name: query.questions?.[0]?.name ?? '', data }]))
  })
  for (let i = 0; i < 8; i++) {
    const names = Array.from({ length: 100 }, (_, index) => `${i}-${index}.example`)
    await Promise.all(names.map(name => resolver.ask(name, 'TXT')))
  }
  t.ok(resolver.status().cached < 600, 'of 800 answers of 8 kB')
  t.ok(resolver.ask('7-99.example', 'TXT') instanceof Promise === false, 'the last ones stay')
  t.ok(resolver.ask('0-0.example', 'TXT') instanceof Promise, 'the first ones went')
})

t.test('closing the resolver ends all queries', async t => {
  const { resolver } = await scene(t, { 'a.example': 'DROP' })
  resolver.setDeadline(60_000)
  const asked = resolver.ask('a.example', 'A')
  resolver.close()
  t.equal((await asked).outcome, 'failed')
  t.match(resolver.ask('b.example', 'A'), { outcome: 'failed', problem: 'the resolver is closed' })
})

t.test(
  'servers come from resolv.conf, also after it has changed; the default is this host',
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'resolv-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const resolvConf = join(folder, 'resolv.conf')
    const { dns, resolver, pass } = await scene(
      t,
      { 'a.example': ADDRESS },
      { resolvConf, env: { RES_NAMESERVERS: '' } },
    )
    const { port } = dns
    t.strictSame(resolver.status().servers, [`127.0.0.1:${port}`], 'there is no file')
    writeFileSync(
      resolvConf,
      '# comment\nsearch example\nnameserver 127.0.0.8\nnameserver ::1\nnameserver x\noptions rotate\n',
    )
    pass(6)
    t.strictSame(resolver.status().servers, [`127.0.0.8:${port}`, `[::1]:${port}`])
    writeFileSync(resolvConf, '  nameserver 127.0.0.1\n')
    pass(6)
    t.strictSame((await resolver.ask('a.example', 'A')).records, ['192.0.2.1'])
    rmSync(resolvConf)
    pass(6)
    t.strictSame(resolver.status().servers, [`127.0.0.1:${port}`], 'what was known stays')
  },
)

/** What turns a query into an answer of some kind. */
interface Bent {
  readonly flags: number
  /** The counts of answers, authorities and additionals. */
  readonly counts: readonly number[]
  readonly rest: Buffer
}

const bent: fc.Arbitrary<Bent> = fc.record({
  flags: fc.oneof(fc.constant(0x8180), fc.nat(65_535)),
  counts: fc.oneof(
    fc.tuple(fc.nat(2), fc.nat(1), fc.constant(0)),
    fc.tuple(fc.nat(65_535), fc.nat(65_535), fc.nat(65_535)),
  ),
  rest: fc
    .array(
      fc.oneof(
        fc.uint8Array({ maxLength: 30 }),
        // A record of the name that was asked for, with a length and data of any kind.
        fc
          .record({
            type: fc.constantFrom(1, 5, 6, 12, 15, 16, 28, 41, 52, 61, 255),
            length: fc.oneof(fc.nat(40), fc.nat(65_535)),
            data: fc.uint8Array({ maxLength: 40 }),
          })
          .map(({ type, length, data }) => {
            const head = [0xc0, 0x0c, 0, type, 0, 1, 0, 0, 0, 60, length >> 8, length & 255]
            return Buffer.concat([Buffer.from(head), data])
          }),
      ),
      { maxLength: 6 },
    )
    .map(parts => Buffer.concat(parts)),
})

function bend(name: string, type: DnsType, id: number, { flags, counts, rest }: Bent): Buffer {
  const bytes = Buffer.concat([questionBytes({ name, type }, id, false), rest])
  bytes.writeUInt16BE(flags, 2)
  counts.forEach((value, index) => {
    bytes.writeUInt16BE(value, 6 + 2 * index)
  })
  return bytes
}

t.test('whatever a server sends gives a reading', async t => {
  const kinds = new Set<string>()
  const types: DnsType[] = ['A', 'AAAA', 'MX', 'PTR', 'TXT', 'TLSA', 'OPENPGPKEY']
  for (const type of types) {
    const message = fc.oneof(
      bent.map(parts => bend('a.example', type, 4711, parts)),
      fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from([0x12, 0x67, 0x81, ...bytes])),
    )
    fc.assert(
      fc.property(message, bytes => {
        const reading = readReply(bytes, { name: 'a.example', type }, 4711)
        kinds.add(reading.kind)
        if (reading.kind !== 'answer') return
        if (reading.ttl !== undefined && !(reading.ttl >= 0)) throw new Error('no time')
        for (const record of reading.answer.records) {
          const values = typeof record === 'object' ? Object.values(record) : [record]
          const isAddress = type !== 'A' || isIPv4(String(record))
          if (
            !isAddress ||
            !values.every(value => typeof value === 'string' || Number.isInteger(value))
          ) {
            throw new Error(`not a record: ${JSON.stringify(record)}`)
          }
        }
      }),
      { numRuns: runs(2000) },
    )
  }
  t.strictSame([...kinds].toSorted(), ['answer', 'refused', 'stray', 'truncated'])
})

t.test('a malformed record of another type does not spoil the answer', t => {
  const question = questionBytes({ name: 'a.example', type: 'A' }, 1, false)
  const record = (name: number[], type: number, data: number[]): number[] => {
    return [...name, type >> 8, type & 255, 0, 1, 0, 0, 0, 60, 0, data.length, ...data]
  }
  const address = record([0xc0, 12], 1, [192, 0, 2, 1])
  const read = (other: number[], section: number) => {
    const bytes = Buffer.concat([question, Buffer.from([...address, ...other])])
    bytes.writeUInt16BE(0x8180, 2)
    bytes.writeUInt16BE(1, 6)
    bytes.writeUInt16BE(section === 6 ? 2 : 1, section)
    return readReply(bytes, { name: 'a.example', type: 'A' }, 1)
  }
  // Options of EDNS cut short, and records of DNSSEC and others without what belongs in them.
  const options = [
    [0, 8, 0, 0],
    [0, 11, 0, 1, 1],
    [0, 14, 0, 1, 1],
    [0, 15, 0, 9],
  ]
  for (const option of options) {
    const { kind } = read(record([0], 41, option), 10)
    t.equal(kind, 'answer', `option ${option}`)
  }
  for (const type of [2, 33, 35, 43, 46, 47, 48, 50, 52, 257, 65_535]) {
    for (const section of [6, 8, 10]) {
      for (const data of [[], [0], new Array<number>(40).fill(255)]) {
        t.match(read(record([0xc0, 12], type, data), section), {
          kind: 'answer',
          answer: { records: ['192.0.2.1'] },
        })
      }
    }
  }
  t.end()
})

t.test('pointers to themselves, cycles of names and impossible counts end', t => {
  const id = 1
  const question = questionBytes({ name: 'a.example', type: 'A' }, id, false)
  question.writeUInt16BE(0x8180, 2)
  const read = (tail: readonly number[], answers: number): string => {
    const bytes = Buffer.concat([question, Buffer.from(tail)])
    bytes.writeUInt16BE(answers, 6)
    return readReply(bytes, { name: 'a.example', type: 'A' }, id).kind
  }
  const here = question.length
  t.equal(read([0xc0, here, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4], 1), 'refused')
  t.equal(read([0xc0, here + 2, 0xc0, here, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4], 1), 'refused')
  t.equal(read([], 65_535), 'refused')
  t.end()
})

t.test('a hostile server neither stops nor outlasts the resolver', async t => {
  let next: Bent | undefined
  const resolver = await server(t, ({ id = 0, questions = [] }, send) => {
    if (next) send(bend(questions[0]?.name ?? '', 'A', id, next))
  })
  resolver.setDeadline(50)
  let count = 0
  await fc.assert(
    fc.asyncProperty(bent, async parts => {
      next = parts
      const answer = await resolver.ask(`${count++}.example`, 'A')
      return ['found', 'empty', 'failed'].includes(answer.outcome)
    }),
    { numRuns: runs(100) },
  )
})

t.test('a name has one spelling', t => {
  t.equal(questionName('A.Example.'), 'a.example')
  t.equal(questionName('a.example..'), undefined)
  t.equal(questionName('a\\.b'), 'a\\.b')
  t.end()
})
