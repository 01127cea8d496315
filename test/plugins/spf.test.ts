/** SPF at work: what each result leads to, who is not checked, and what the manual promises. */

import t, { type Test } from 'tap'
import { chain, makeWorld, plugin, type World } from '../support/world.ts'
import { type ZoneData, type Zones, zones } from '../support/zones.ts'

const DATA: ZoneData = {
  'pass.example.org': [{ TXT: 'v=spf1 ip4:192.0.2.1 -all' }],
  'fail.example.org': [{ TXT: 'v=spf1 -all' }],
  'soft.example.org': [{ TXT: 'v=spf1 ~all' }],
  'neutral.example.org': [{ TXT: 'v=spf1 ?all' }],
  'wrong.example.org': [{ TXT: 'v=spf1 foo:bar -all' }],
  'two.example.org': [{ TXT: 'v=spf1 -all' }, { TXT: 'v=spf1 +all' }],
  'loop.example.org': [{ TXT: 'v=spf1 include:loop.example.org -all' }],
  'void.example.org': [{ TXT: 'v=spf1 a:1.%{d} a:2.%{d} a:3.%{d} -all' }],
  'why.example.org': [{ TXT: 'v=spf1 -all exp=text.example.org' }],
  'text.example.org': [{ TXT: '%{i} is not allowed for %{d}' }],
  'dead.example.org': ['TIMEOUT'],
}

const HEADER = plugin('AddScoreHeader')
const CLEAN = 'PREPEND X-MtScore: NO score=0'
const FAIL =
  "fail.example.org: Sender is not authorized by default to use 'a@fail.example.org' in 'mfrom' identity (mechanism '-all' matched)"

interface SpfWorld {
  readonly world: World
  readonly dns: Zones
  /** The answer to a mail from a@SENDER.example.org. */
  from(sender: string, more?: Readonly<Record<string, string>>): Promise<string | undefined>
}

async function spfWorld(t: Test, lines = '', before = ''): Promise<SpfWorld> {
  const dns = zones(DATA, true)
  const world = await makeWorld(chain(before + plugin('SPF', lines) + HEADER), { dns })
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return {
    world,
    dns,
    from: (sender, more = {}) =>
      world.ask({
        client_address: '192.0.2.1',
        helo_name: 'helo.example.org',
        sender: sender === '' ? '' : `a@${sender}.example.org`,
        ...more,
      }),
  }
}

t.test('by default fail and an invalid record reject, and a silent DNS defers', async t => {
  const { from } = await spfWorld(t)
  for (const sender of ['pass', 'soft', 'neutral', 'none']) {
    t.equal(await from(sender), CLEAN, sender)
  }
  t.equal(await from('fail'), `reject SPF validation failed: ${FAIL}`)
  for (const [sender, answer] of [
    ['wrong', "reject spf mfrom check failed: wrong.example.org: Unknown mechanism type 'foo' in"],
    ['two', "reject spf mfrom check failed: two.example.org: Redundant applicable 'v=spf1' sender"],
    ['loop', 'reject spf mfrom check failed: loop.example.org ... loop.example.org: Maximum DNS'],
    [
      'void',
      'reject spf mfrom check failed: void.example.org: Maximum void DNS look-ups limit (2)',
    ],
    ['dead', "defer spf mfrom check failed: dead.example.org: 'time-out' error on DNS 'TXT' look"],
  ] as const) {
    const action = await from(sender)
    t.ok(action?.startsWith(answer), `${action}`)
  }
  t.match(await from('', { sender: '@fail.example.org' }), "to use '@fail.example.org' in 'mfrom'")
})

t.test('every result has a mode of its own', async t => {
  const outcomes: Readonly<Record<string, string | RegExp>> = {
    reject: /^reject /,
    defer: /^defer /,
    dunno: 'dunno',
    accept: 'dunno',
    passive: CLEAN,
  }
  for (const [mode, outcome] of Object.entries(outcomes)) {
    for (const [option, sender] of [
      ['softfail_mode', 'soft'],
      ['temperror_mode', 'dead'],
      ['permerror_mode', 'wrong'],
    ] as const) {
      const { from } = await spfWorld(t, `${option} = ${mode}`)
      t.match(await from(sender), outcome, `${option} = ${mode}`)
      if (sender !== 'dead') t.match(await from('dead'), /^defer spf mfrom check failed/)
      if (sender !== 'wrong') t.match(await from('wrong'), /^reject spf mfrom check failed/)
    }
  }
})

t.test('mtpolicyd ignored fail_mode = defer; here it defers', async t => {
  const { from } = await spfWorld(t, 'fail_mode = defer')
  t.equal(await from('fail'), `defer SPF validation failed: ${FAIL}`)
  for (const mode of ['passive', 'dunno', 'accept']) {
    const { from } = await spfWorld(t, `fail_mode = ${mode}\nfail_score = 3`)
    t.equal(await from('fail'), 'PREPEND X-MtScore: NO score=3 [spf=3]', mode)
  }
})

t.test('mtpolicyd deferred whatever temperror_mode said; here reject is reject', async t => {
  const { from } = await spfWorld(t, 'temperror_mode = reject\npermerror_mode = defer')
  t.match(await from('dead'), /^reject spf mfrom check failed: dead\.example\.org: /)
  t.match(await from('wrong'), /^defer spf mfrom check failed: wrong\.example\.org: /)
})

t.test('a sender without an address is postmaster at the HELO name, or skipped', async t => {
  const { from, dns } = await spfWorld(t)
  t.equal(await from('', { helo_name: '' }), CLEAN, 'mtpolicyd failed here')
  t.strictSame(dns.asked, [])
  const off = await spfWorld(t, 'check_helo = off')
  t.equal(
    await off.from('', { helo_name: 'fail.example.org' }),
    CLEAN,
    'mtpolicyd failed here, too',
  )
  t.strictSame(off.dns.asked, [])
  const scored = await spfWorld(t, 'pass_score = 3\npass_mode = accept')
  t.equal(await scored.from('', { helo_name: 'pass.example.org' }), 'dunno')
  t.equal(await scored.world.ask({ client_address: '192.0.2.1' }), CLEAN, 'nothing to check')
  t.equal(await scored.world.ask({ client_address: '192.0.2.1', sender: '' }), CLEAN)
})

t.test('the HELO name is checked first; a pass decides nothing', async t => {
  const { from, world } = await spfWorld(t, 'pass_score = 2\nsoftfail_score = 4')
  const failing = { helo_name: 'fail.example.org' }
  t.equal(
    await from('pass', failing),
    "reject SPF validation failed: fail.example.org: Sender is not authorized by default to use 'fail.example.org' in 'helo' identity (mechanism '-all' matched)",
  )
  t.match(
    await world.ask({ client_address: '192.0.2.1', ...failing }),
    /^reject/,
    'also without a sender',
  )
  t.match(await from('neutral', { helo_name: 'pass.example.org' }), /score=0$/)
  t.match(await from('pass', { helo_name: 'soft.example.org' }), /score=4 \[spf=4\]$/, 'one score')
  t.match(await from('fail', { helo_name: 'dead.example.org' }), /^defer spf helo check failed/)
  const { from: unheard } = await spfWorld(t, 'check_helo = off\npass_mode = dunno')
  t.equal(await unheard('pass', failing), 'dunno')
})

t.test('clients that are not checked', async t => {
  const { from, world } = await spfWorld(
    t,
    'whitelist = "192.0.2.0/28, 198.51.100.7 2001:db8::/32 203.0.113.0/255.255.255.192"',
  )
  for (const address of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '::ffff:127.0.0.1',
    '192.0.2.15',
    '::ffff:192.0.2.15',
    '198.51.100.7',
    '203.0.113.63',
    '2001:DB8::5',
    '',
  ]) {
    t.equal(await from('fail', { client_address: address }), CLEAN, address)
  }
  for (const address of ['192.0.2.16', '198.51.100.8', '203.0.113.64', '2001:db9::5']) {
    t.match(await from('fail', { client_address: address }), /^reject/, address)
  }
  t.equal(await world.ask({ sender: 'a@fail.example.org' }), CLEAN, 'no address at all')
  t.strictSame(world.errors, [])
  t.equal(await from('fail', { client_address: 'unknown' }), CLEAN)
  t.match(world.errors, ['plugin spf failed: "unknown" is not an address'])
})

t.test('the text of a refusal', async t => {
  const { from } = await spfWorld(
    t,
    'reject_message = "[%AUTH_EXPL%] %AUTH_EXPL%"\nsoftfail_mode = reject\n' +
      'default_authority_explanation = "s=%{S} i=%{I} d=%{d} r=%{R}"\nhostname = mx.example.net',
  )
  const ours = 's=a%40fail.example.org i=192.0.2.1 d=fail.example.org r=mx.example.net'
  t.equal(await from('fail'), `reject [${ours}] ${ours}`)
  t.match(await from('why'), /^reject \[192\.0\.2\.1 is not allowed for why\.example\.org\]/)
  t.equal(await from('soft'), 'reject [] ')
})

t.test('limits, a score field, and values of the mail', async t => {
  const { from } = await spfWorld(
    t,
    'max_void_dns_lookups = 3\nfail_mode = passive\nfail_score = 7\nscore_field = other',
  )
  t.equal(await from('void'), CLEAN)
  const field = (key: string, value: string) => plugin('SetField', `key = ${key}\nvalue = ${value}`)
  for (const [option, value, sender, answer] of [
    ['enabled', 'off', 'fail', CLEAN],
    ['fail_mode', 'passive', 'fail', CLEAN],
    ['softfail_mode', 'reject', 'soft', /^reject/],
    ['pass_mode', 'dunno', 'pass', 'dunno'],
  ] as const) {
    const { from } = await spfWorld(t, `uc_${option} = mine`, field('mine', value))
    t.match(await from(sender), answer, option)
  }
})

t.test('queries are sent while an earlier plugin waits, and the answers found later', async t => {
  const dns = zones(DATA, true)
  const world = await makeWorld(
    chain(plugin('SPF', 'check_helo = off', 'first') + plugin('SPF', '', 'second')),
    { dns },
  )
  t.teardown(() => world.close())
  const mail = {
    client_address: '192.0.2.1',
    helo_name: 'helo.example.org',
    sender: 'a@pass.example.org',
  }
  t.equal(await world.ask(mail), 'dunno')
  const second = ['helo.example.org TXT', 'pass.example.org TXT']
  // This DNS keeps nothing, so that what is asked ahead is seen twice.
  t.strictSame(dns.asked, ['pass.example.org TXT', ...second, ...second])
})

t.test('an unknown mode or address is reported at its place', async t => {
  const { messages } = await makeWorld(
    chain(plugin('SPF', 'pass_mode = reject\nwhitelist = "192.0.2.0/24 198.51.100/24"')),
  )
  t.match(messages, [
    /warning: .*expected one of: passive, accept, dunno, found "reject"; it counts as "passive"/,
    /warning: "whitelist" .*found "198\.51\.100\/24"; it is ignored/,
  ])
})
