/** SPF beyond the suite of RFC 7208: messages, limits, hostile answers. */

import fc from 'fast-check'
import t from 'tap'
import { spfChecker } from '../../daemon/lookup/spf.ts'
import type { SpfLimits, SpfQuestion } from '../../daemon/policy/ports/spf.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { runs } from '../support/fuzz.ts'
import { type ZoneData, type ZoneRecord, zones } from '../support/zones.ts'

const NOW = Date.UTC(2026, 10, 20, 12)
const clock = { ...systemClock, now: () => NOW, elapsed: () => 0 }
const LIMITS: SpfLimits = { terms: 10, namesPerTerm: 10, voids: 2 }

function question(changes: Partial<SpfQuestion> = {}): SpfQuestion {
  return {
    scope: 'mfrom',
    address: '192.0.2.1',
    identity: 'a@example.org',
    helo: 'mail.example.org',
    receiver: 'mx.example.net',
    ...changes,
  }
}

const policy = (record: string, more: ZoneData = {}): ZoneData => ({
  'example.org': [{ TXT: record }],
  ...more,
})

async function check(
  data: ZoneData,
  changes: Partial<SpfQuestion> = {},
  limits: Partial<SpfLimits> = {},
) {
  const dns = zones(data)
  const checker = spfChecker(dns, { ...LIMITS, ...limits }, clock)
  return { ...(await checker.check(question(changes))), asked: dns.asked }
}

t.test('the verdict says what decided it, and where', async t => {
  const more: ZoneData = {
    'soft.example.org': [{ TXT: 'v=spf1 ~all' }],
    'dead.example.org': ['TIMEOUT'],
  }
  const authorized = "to use 'a@example.org' in 'mfrom' identity"
  for (const [record, result, explanation] of [
    ['v=spf1 ip4:192.0.2.0/24', 'pass', `authorized ${authorized} (mechanism 'ip4:192.0.2.0/24'`],
    ['v=spf1 -all', 'fail', `not authorized by default ${authorized} (mechanism '-all' matched)`],
    ['v=spf1 redirect=soft.example.org', 'softfail', 'example.org ... soft.example.org: Sender'],
    ['v=spf1 ?all', 'neutral', `whether sender is authorized ${authorized}`],
    ['v=spf1', 'neutral', '(default)'],
    ['v=spf2', 'none', 'No applicable sender policy available'],
    ['v=spf1 foo:bar', 'permerror', "Unknown mechanism type 'foo' in 'v=spf1' record"],
    ['v=spf1 %all', 'permerror', "Junk '%all' in record"],
    ['v=spf1 all:x', 'permerror', "'all:x' is not how mechanism 'all' is written"],
    ['v=spf1 a:%{z}', 'permerror', "Macro '%{z}' may not be used here"],
    ['v=spf1 a:%{d0}', 'permerror', "Macro '%{d0}' keeps nothing"],
    ['v=spf1 a:%%{d}', 'permerror', "'%%{d}' is not a domain name"],
    ['v=spf1 include:none.example.org', 'permerror', 'example.org ... none.example.org: No app'],
    ['v=spf1 include:example.org', 'permerror', 'example.org ... example.org: Maximum DNS-inter'],
    ['v=spf1 a:dead.example.org', 'temperror', "'time-out' error on DNS 'A' lookup of 'dead"],
    ['v=spf1 include:dead.example.org', 'temperror', "... dead.example.org: 'time-out' error"],
  ] as const) {
    const verdict = await check(policy(record, more))
    t.equal(verdict.result, result, record)
    t.ok(verdict.explanation.includes(explanation), verdict.explanation)
  }
  const helo = await check(policy('v=spf1 -all'), { scope: 'helo', identity: 'example.org' })
  t.match(helo.explanation, "to use 'example.org' in 'helo' identity")
})

t.test('nothing is looked up for anything but a domain', async t => {
  for (const identity of [
    'a@',
    '',
    'a',
    'a@localhost',
    'a@[192.0.2.1]',
    'a@192.0.2.1',
    'a@b..example.org',
    'a@b c.example.org',
    `a@${'b'.repeat(64)}.example.org`,
    `a@${'bcdefghi.'.repeat(28)}example.org`,
    'a@\ud800.example.org',
  ]) {
    const { result, asked } = await check(policy('v=spf1 -all'), { identity })
    t.equal(result, 'none', identity)
    t.strictSame(asked, [], identity)
  }
  const { result } = await check(policy('v=spf1 -all'), { address: 'unknown' })
  t.equal(result, 'none', 'no address')
  const dot = await check(policy('v=spf1 -all'), { identity: 'a@Example.ORG.' })
  t.equal(dot.result, 'fail', 'a final dot')
})

t.test('an address with letters outside of ASCII', async t => {
  const data: ZoneData = {
    'xn--bcher-kva.example': [{ TXT: 'v=spf1 exists:%{l}.example.org a:%{h} -all' }],
    'mail.example.org': [{ A: '192.0.2.1' }],
  }
  const verdict = await check(data, { identity: 'jörg@bücher.example' })
  t.equal(verdict.result, 'pass')
  t.strictSame(verdict.asked, ['xn--bcher-kva.example TXT', 'mail.example.org A'])
})

t.test('an IPv4-mapped address is IPv4', async t => {
  const address = '::ffff:192.0.2.1'
  t.equal((await check(policy('v=spf1 ip4:192.0.2.1 -all'), { address })).result, 'pass')
  t.equal((await check(policy(`v=spf1 ip6:${address} -all`), { address })).result, 'fail')
})

t.test('a client behind a NAT64 translator is its IPv4 address', async t => {
  const address = '64:ff9b::198.18.0.1'
  const real = '64:ff9b::8.8.8.8'
  t.equal((await check(policy('v=spf1 ip4:8.8.8.8 -all'), { address: real })).result, 'pass')
  t.equal((await check(policy('v=spf1 ip4:198.18.0.1 -all'), { address })).result, 'fail')
  const exists = await check(policy('v=spf1 exists:%{ir}.%{v}.example.net -all'), { address: real })
  t.ok(exists.asked.includes('8.8.8.8.in-addr.example.net A'))
})

t.test('final dots and letter case of domains are ignored', async t => {
  const data: ZoneData = {
    'example.org': [{ TXT: 'v=spf1 exists:%{h}.%{o}.example.net. -all' }],
    'mail.example.org.example.org.example.net': [{ A: '127.0.0.2' }],
  }
  for (const [identity, helo] of [
    ['a@example.org', 'mail.example.org'],
    ['a@EXAMPLE.org.', 'MAIL.example.ORG.'],
    ['a@example\u3002org\u3002', 'mail.example.org'],
  ] as const) {
    t.equal((await check(data, { identity, helo })).result, 'pass', identity)
    const own = { scope: 'helo', identity: 'Example.Org.', helo } as const
    t.equal((await check(data, own)).result, 'pass', 'the HELO name')
  }
})

t.test('a client without a HELO name does not make a record invalid', async t => {
  const data: ZoneData = {
    'example.org': [{ TXT: 'v=spf1 include:%{i}._ip.%{h}._ehlo.%{d}.example.net -all' }],
    '192.0.2.1._ip.unknown._ehlo.example.org.example.net': [{ TXT: 'v=spf1 +all' }],
  }
  t.equal((await check(data, { helo: '' })).result, 'pass')
})

t.test('every limit can be set', async t => {
  const hosts: ZoneData = {
    'one.example.org': [{ A: '192.0.2.9' }],
    'many.example.org': [1, 2, 3].map(n => ({ MX: [n, 'one.example.org'] })),
    '1.2.0.192.in-addr.arpa': [{ PTR: 'one.example.org' }, { PTR: 'own.example.org' }],
    'own.example.org': [{ A: '192.0.2.1' }],
  }
  const three = policy('v=spf1 a:one.example.org a:one.example.org a:one.example.org ?all', hosts)
  t.equal((await check(three, {}, { terms: 3 })).result, 'neutral')
  t.match(await check(three, {}, { terms: 2 }), {
    result: 'permerror',
    explanation: 'example.org: Maximum DNS-interactive terms limit (2) exceeded',
  })
  const mx = policy('v=spf1 mx:many.example.org ?all', hosts)
  t.equal((await check(mx, {}, { namesPerTerm: 3 })).result, 'neutral')
  t.equal((await check(mx, {}, { namesPerTerm: 2 })).result, 'permerror')
  const ptr = policy('v=spf1 ptr:example.org -all', hosts)
  t.equal((await check(ptr)).result, 'pass')
  t.equal((await check(ptr, {}, { namesPerTerm: 1 })).result, 'fail', 'the second is not seen')
  const named = policy('v=spf1 exists:%{p}.example.org exists:%{p}.%{d} ?all', hosts)
  t.equal((await check(named, {}, { terms: 3, voids: 3 })).result, 'neutral', 'once for %{p}')
  t.equal((await check(named, {}, { terms: 2, voids: 3 })).result, 'permerror')
  const voids = policy('v=spf1 a:x.example.org exists:y.example.org ?all')
  t.equal((await check(voids)).result, 'neutral')
  t.match(await check(voids, {}, { voids: 1 }), {
    result: 'permerror',
    explanation: 'example.org: Maximum void DNS look-ups limit (1) exceeded',
  })
})

t.test('hosts without an IPv6 address are not void lookups', async t => {
  const data: ZoneData = {
    'example.org': [
      { TXT: 'v=spf1 a mx a:a.example.net include:new.example.net -all' },
      { A: '192.0.2.9' },
      ...[1, 2, 3, 4].map(n => ({ MX: [n, `m${n}.example.net`] })),
    ],
    ...Object.fromEntries([1, 2, 3, 4].map(n => [`m${n}.example.net`, [{ A: `192.0.2.${n}` }]])),
    'a.example.net': [{ A: '192.0.2.8' }],
    'new.example.net': [{ TXT: 'v=spf1 ip6:2001:db8::/32 -all' }],
  }
  t.equal((await check(data, { address: '2001:db8::1' })).result, 'pass')
  t.equal((await check(data, { address: '2001:db9::1' })).result, 'fail')
})

t.test('nonexistent exchangers of one term are one void lookup', async t => {
  const exchangers = [1, 2, 3, 4].map(n => ({ MX: [n, `m${n}.example.net`] }))
  const data: ZoneData = { 'example.org': [{ TXT: 'v=spf1 mx ip4:192.0.2.1 -all' }, ...exchangers] }
  t.equal((await check(data)).result, 'pass')
  t.equal((await check(data, {}, { voids: 0 })).result, 'permerror')
})

t.test('names of the client’s address do not count against the domain’s limits', async t => {
  const names = Array.from({ length: 10 }, (_, i) => ({ PTR: `no${i}.example.com` }))
  const data = policy('v=spf1 ptr a:x.example.org a:y.example.org exists:%{p}.%{d} -all', {
    '1.2.0.192.in-addr.arpa': names,
    'unknown.example.org': [{ A: '127.0.0.2' }],
  })
  const { result, asked } = await check(data)
  t.equal(result, 'pass')
  t.equal(asked.filter(line => line.endsWith('PTR')).length, 1, 'they are looked up once')
})

t.test('macros', async t => {
  const checker = spfChecker(zones({}), LIMITS, clock)
  const expand = (text: string, changes: Partial<SpfQuestion> = {}) =>
    checker.expand(text, question({ identity: 'strong-bad@email.example.com', ...changes }))
  for (const [text, expanded] of [
    // Of RFC 7208 7.4.
    ['%{s}', 'strong-bad@email.example.com'],
    ['%{o} %{d} %{d4} %{d3}', 'email.example.com '.repeat(4).trim()],
    ['%{d2} %{d1} %{dr} %{d2r}', 'example.com com com.example.email example.email'],
    ['%{l} %{l-} %{lr} %{lr-} %{l1r-}', 'strong-bad strong.bad strong-bad bad.strong strong'],
    ['%{ir}.%{v}._spf.%{d2}', '1.2.0.192.in-addr._spf.example.com'],
    ['%{c} %{r} %{t} %{h}', `192.0.2.1 mx.example.net ${NOW / 1000} mail.example.org`],
    ['100%% %_%-%{L}', '100%  %20strong-bad'],
    ['%{p}', 'unknown'],
    ['50% off', '50% off'],
    ['%{x}', '%{x}'],
    ['ümlaut', 'ümlaut'],
  ] as const) {
    t.equal(await expand(text), expanded, text)
  }
  const six = { address: '2001:DB8::CB01' }
  t.equal(
    await expand('%{c} %{ir}.%{v}', six),
    '2001:db8::cb01 1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6',
  )
  t.equal(await expand("%{L}'()*", { identity: "!'*ü@example.org" }), "%21%27%2A%C3%BC'()*")
  t.equal(await expand('%{L}', { identity: '\ud800@example.org' }), '%EF%BF%BD')
})

t.test('a domain’s explanation', async t => {
  const explained = (text: string, record = 'v=spf1 -all exp=why.%{d}') =>
    check(policy(record, { 'why.example.org': [{ TXT: text }] }))
  t.equal((await explained('%{i} may not, %{p}')).authority, '192.0.2.1 may not, unknown')
  for (const text of ['bad %{z}', 'bell \x07', 'line\nline']) {
    t.equal((await explained(text)).authority, undefined, JSON.stringify(text))
  }
  t.equal((await explained('x'.repeat(5000))).authority?.length, 500)
  t.equal((await explained('%{s}'.repeat(10_000))).authority, undefined)
  t.equal((await explained('soft', 'v=spf1 ~all exp=why.%{d}')).authority, undefined)
  const spent = await check(
    policy('v=spf1 a:x.%{d} a:y.%{d} -all exp=why.%{d}', {
      'why.example.org': [{ TXT: 'not you, %{p}' }],
    }),
    {},
    { terms: 2 },
  )
  t.match(spent, { result: 'fail', authority: 'not you, unknown' }, 'it spends no limits')
  const nowhere = await explained('', `v=spf1 -all exp=${'x'.repeat(64)}.%{d}`)
  t.equal(nowhere.result, 'fail')
  t.equal(nowhere.authority, undefined)
})

t.test('nothing is looked up after the mail’s time has run out', async t => {
  const over = new AbortController()
  const dns = zones(policy('v=spf1 a:one.example.org a:two.example.org -all'), true)
  const verdict = spfChecker(dns, LIMITS, clock).check(question(), over.signal)
  over.abort()
  t.match(await verdict, { result: 'temperror', explanation: /out of time/ })
  t.strictSame(dns.asked, ['example.org TXT'])
})

t.test('random policies and a hostile DNS always give a result within the limits', async () => {
  const names = ['a.example.org', 'b.example.org', 'c.example.org', 'example.org']
  const spec = fc.oneof(
    fc.constantFrom(...names, '%{d}', '%{p}.example.org', '%{ir}.%{v}.a.example.org', '%{h}'),
    fc.string({ maxLength: 12 }),
    fc.constantFrom('x'.repeat(300), `${'y.'.repeat(150)}example.org`, '%{s9r-.+,/_=}.', '%{d0}'),
  )
  const term = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom('a', 'mx', 'ptr', '?all', 'ip4:192.0.2.9', 'a/24//64'),
    },
    {
      weight: 6,
      arbitrary: fc
        .tuple(
          fc.constantFrom('', '-', '~', '?'),
          fc.constantFrom('include:', 'a:', 'mx:', 'exists:', 'ptr:', 'redirect=', 'exp=', 'x='),
          spec,
        )
        .map(parts => parts.join('')),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 10 }) },
  )
  const text = fc.array(term, { maxLength: 14 }).map(terms => `v=spf1 ${terms.join(' ')}`)
  const record: fc.Arbitrary<ZoneRecord> = fc.oneof(
    { weight: 6, arbitrary: text.map(TXT => ({ TXT })) },
    { weight: 2, arbitrary: fc.constantFrom('192.0.2.1', '192.0.2.9', 'junk').map(A => ({ A })) },
    { weight: 2, arbitrary: fc.constantFrom(...names, '', '.').map(to => ({ MX: [1, to] })) },
    { weight: 1, arbitrary: fc.constantFrom(...names).map(CNAME => ({ CNAME })) },
    { weight: 1, arbitrary: fc.string().map(TXT => ({ TXT })) },
    { weight: 1, arbitrary: fc.constant('TIMEOUT' as const) },
  )
  const world = fc.record({
    zone: fc.record(
      Object.fromEntries(names.map(name => [name, fc.array(record, { maxLength: 3 })])),
    ),
    pointers: fc.array(fc.constantFrom(...names, '', 'x'.repeat(70)), { maxLength: 15 }),
    identity: fc.oneof(fc.constantFrom('a@example.org', '@b.example.org'), fc.string()),
    helo: fc.oneof(fc.constantFrom('a.example.org'), fc.string()),
    terms: fc.integer({ min: 0, max: 12 }),
    namesPerTerm: fc.integer({ min: 0, max: 12 }),
    voids: fc.integer({ min: 0, max: 5 }),
  })
  await fc.assert(
    fc.asyncProperty(world, async ({ zone, pointers, identity, helo, ...limits }) => {
      const data = { ...zone, '1.2.0.192.in-addr.arpa': pointers.map(PTR => ({ PTR })) }
      const { explanation, authority, asked } = await check(data, { identity, helo }, limits)
      // The record itself; each term with its names; the client's names once; the explanation.
      const { terms, namesPerTerm } = limits
      const most = 1 + terms * (1 + namesPerTerm) + (1 + namesPerTerm) + 1
      return asked.length <= most && explanation.length < 1500 && (authority?.length ?? 0) <= 500
    }),
    { numRuns: runs(3000) },
  )
})

t.test('a policy full of macros is rejected before it is expanded', async t => {
  const many = policy(`v=spf1 exists:${'%{l1r-}'.repeat(9000)}.example.org -all`)
  const began = performance.now()
  const { result, explanation } = await check(many, { identity: `${'-'.repeat(1900)}@example.org` })
  t.equal(result, 'permerror')
  t.match(explanation, 'There are too many macros')
  t.ok(performance.now() - began < 2000)
})
