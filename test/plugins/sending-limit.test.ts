/** SendingLimit: who shares a count, in which window, and what happens beyond it. */

import t, { type Test } from 'tap'
import { wordings } from '../../daemon/plugins/limit/texts.ts'
import type { LimitWindow } from '../../daemon/plugins/limit/window.ts'
import type { Table } from '../../daemon/policy/ports/table.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { chain, makeWorld, NOON, plugin, type World, type WorldOptions } from '../support/world.ts'

const BERLIN = 'timezone = "Europe/Berlin"'

async function limited(
  t: Test,
  lines: string,
  { messages = [], before = '', ...options }: LimitedOptions = {},
): Promise<World> {
  const text = chain(before + plugin('SendingLimit', lines, 'limit'), BERLIN)
  const world = await makeWorld(text, { ...options })
  t.teardown(() => world.close())
  t.match(world.messages, messages)
  t.equal(world.messages.length, messages.length, world.messages.join('\n'))
  return world
}

interface LimitedOptions extends WorldOptions {
  readonly messages?: readonly RegExp[]
  /** Blocks of the chain before the limit. */
  readonly before?: string
}

const NO_MAIL = [/test\.conf:\d+:13: warning: "threshold" .* 0 lets no mail through/]

let instances = 0

/** A message of alice to one recipient, all of it accepted so far, unless something else is said. */
function message(attributes: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    protocol_state: 'END-OF-MESSAGE',
    instance: `message.${instances++}`,
    sasl_username: 'alice',
    sender: 'alice@example.org',
    client_address: '198.51.100.7',
    recipient_count: '1',
    size: '1000',
    ...attributes,
  }
}

/** `dunno`, `reject`: what becomes of a message. */
async function wordFor(
  world: World,
  attributes: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  return (await world.ask(message(attributes)))?.split(' ')[0]
}

const to = (recipients: number): Record<string, string> => ({
  recipient_count: String(recipients),
})

t.test('who shares a count', async t => {
  for (const [per, same, others] of [
    ['user', { sasl_username: 'ALICE' }, { sasl_username: 'bob' }],
    ['domain', { sasl_username: 'bob@EXAMPLE.org' }, { sasl_username: 'a@example.net' }],
    ['client', { client_address: '::ffff:198.51.100.7' }, { client_address: '198.51.100.8' }],
    ['network', { client_address: '198.51.100.200' }, { client_address: '198.51.101.7' }],
    ['sender', { sender: 'ALICE@Example.org.' }, { sender: 'bob@example.org' }],
    ['server', { sasl_username: 'bob', sender: 'b@example.net', client_address: '::1' }, undefined],
  ] as const) {
    const world = await limited(t, `threshold = 1\nper = ${per}`)
    const first = per === 'domain' ? { sasl_username: 'alice@example.org' } : {}
    t.equal(await wordFor(world, first), 'dunno', per)
    t.equal(await wordFor(world, { ...first, ...same }), 'reject', `${per}: the same`)
    if (others) t.equal(await wordFor(world, { ...first, ...others }), 'dunno', `${per}: others`)
  }
})

t.test('an IPv6 network is a /64', async t => {
  const world = await limited(t, 'threshold = 1\nper = network')
  t.equal(await wordFor(world, { client_address: '2001:db8:1:2::1' }), 'dunno')
  t.match(
    await world.ask(message({ client_address: '2001:db8:1:2:ffff::9' })),
    /^reject 5\.7\.1 Daily limit of 1 recipient for 2001:db8:1:2::\/64 reached; /,
  )
  t.equal(await wordFor(world, { client_address: '2001:db8:1:3::1' }), 'dunno')
  t.equal(await wordFor(world, { client_address: 'unknown' }), 'dunno', 'no address, no network')
  t.equal(await wordFor(world, { client_address: 'unknown' }), 'dunno')
})

t.test(
  'the domain is that of the login, else the default one, else that of the sender',
  async t => {
    const world = await limited(t, 'threshold = 1\nper = domain')
    t.equal(await wordFor(world, { sender: 'alice@Example.org' }), 'dunno')
    t.equal(await wordFor(world, { sasl_username: 'bob@example.org' }), 'reject', 'of the sender')
    t.equal(
      await wordFor(world, { sasl_username: 'bob@example.net', sender: 'x@example.org' }),
      'dunno',
      'of the login',
    )
    const named = await limited(t, 'threshold = 1\nper = domain\ndefault_domain = example.org')
    t.equal(await wordFor(named, { sender: 'alice@example.net' }), 'dunno')
    t.equal(await wordFor(named, { sasl_username: 'bob@example.org' }), 'reject')
  },
)

t.test('mail of several domains in turns is counted for each domain', async t => {
  const world = await limited(t, 'threshold = 2\nper = domain\ndefault_domain = example.org')
  const logins = ['a@one.example', 'a@two.example', 'a', 'a@phone.example', 'b@ONE.example.', 'b']
  for (const sasl_username of logins) t.equal(await wordFor(world, { sasl_username }), 'dunno')
  const third = ['c@one.example', 'c@example.org', 'c']
  for (const sasl_username of third) t.equal(await wordFor(world, { sasl_username }), 'reject')
  for (const sasl_username of ['c@two.example', 'c@phone.example']) {
    t.equal(await wordFor(world, { sasl_username }), 'dunno')
    t.equal(await wordFor(world, { sasl_username }), 'reject')
  }
})

t.test('at midnight all limits of a mail count it on one day', async t => {
  const midnight = Date.UTC(2026, 10, 20, 23)
  let now = midnight - 2
  const clock = { ...systemClock, now: () => ++now }
  const days = ['one', 'two', 'three'].map(name => plugin('SendingLimit', 'threshold = 9', name))
  const world = await makeWorld(chain(days.join(''), BERLIN), { clock })
  t.teardown(() => world.close())
  t.equal(await world.ask(message()), 'dunno')
  const day = { name: '2026-11-20', endsAt: midnight }
  for (const name of ['one', 'two', 'three']) {
    t.equal(await world.ledger.used(name, 'alice', day, midnight - 1), 1, name)
  }
})

t.test('the null sender is no way around a limit, and bounces do not share a count', async t => {
  for (const per of ['sender', 'domain']) {
    const world = await limited(t, `threshold = 1\nper = ${per}\napplies_to = all`, {
      messages: [/without a login anybody can send in the name of an? (address|domain)/],
    })
    const bounce = (attributes: Readonly<Record<string, string>>) =>
      wordFor(world, { sender: '', ...attributes })
    t.equal(await bounce({}), 'dunno')
    t.equal(await bounce({ client_address: '192.0.2.1' }), 'reject', `${per}: the same login`)
    t.equal(await bounce({ sasl_username: '', client_address: '192.0.2.1' }), 'dunno')
    t.equal(await bounce({ sasl_username: '', client_address: '192.0.2.1' }), 'reject')
    t.equal(await bounce({ sasl_username: '', client_address: '192.0.2.2' }), 'dunno')
    t.match(
      await world.ask(message({ sender: '', sasl_username: '', client_address: '192.0.2.2' })),
      /Daily limit of 1 recipient for 192\.0\.2\.2 reached/,
    )
  }
})

t.test('mail with a login, without one, or both', async t => {
  for (const [applies_to, known, unknown] of [
    ['authenticated', 'reject', 'dunno'],
    ['unauthenticated', 'dunno', 'reject'],
    ['all', 'reject', 'reject'],
  ] as const) {
    const world = await limited(t, `threshold = 0\nper = client\napplies_to = ${applies_to}`, {
      messages: NO_MAIL,
    })
    t.equal(await wordFor(world), known, `${applies_to}: with a login`)
    t.equal(await wordFor(world, { sasl_username: '' }), unknown, `${applies_to}: without`)
  }
})

const MINUTE = 60_000
const HOUR = 60 * MINUTE

t.test('windows of the calendar, and what the user reads', async t => {
  for (const [window, text, last] of [
    ['day', 'Daily limit of 2 recipients reached; you can send again after 2026-11-21 00:00', 11],
    ['week', 'Weekly limit of 2 recipients reached; you can send again after 2026-11-23 00:00', 59],
    [
      'month',
      'Monthly limit of 2 recipients reached; you can send again after 2026-12-01 00:00',
      251,
    ],
  ] as const) {
    const world = await limited(t, `threshold = 2\nwindow = ${window}`)
    t.equal(await wordFor(world, to(2)), 'dunno')
    t.equal(await world.ask(message()), `reject 5.7.1 ${text} (Europe/Berlin)`)
    const tooMuch =
      window === 'day'
        ? /^reject 5\.7\.1 Daily limit of 2 recipients reached; you can send again after 2026-11-21/
        : /^reject 5\.7\.1 This message has 3 recipients, but your limit is 2 recipients per (week|month); /
    t.match(await world.ask(message(to(3))), tooMuch)
    // Friday noon in London is an hour later in Berlin.
    world.now = NOON + last * HOUR - 1
    t.equal(await wordFor(world), 'reject', `${window}: the last moment`)
    world.now += 1
    t.equal(await wordFor(world, to(2)), 'dunno', `${window}: over`)
  }
})

t.test('a rolling window says when this very message fits', async t => {
  const world = await limited(t, 'threshold = 5\nwindow = 1h')
  t.equal(await wordFor(world, to(2)), 'dunno')
  world.now += 20 * MINUTE
  t.equal(await wordFor(world, to(2)), 'dunno')
  t.equal(
    await world.ask(message(to(2))),
    'reject 5.7.1 This message has 2 recipients, but only 1 of your 5 per hour is left; ' +
      'it can be sent after 2026-11-20 14:01 (Europe/Berlin)',
  )
  t.match(await world.ask(message(to(4))), /only 1 of your 5 .* after 2026-11-20 14:21 \(/)
  t.equal(
    await world.ask(message(to(6))),
    'reject 5.7.1 This message has 6 recipients, but your limit is 5 recipients per hour; ' +
      'please send it in smaller parts',
  )
  t.equal(await wordFor(world), 'dunno')
  t.equal(
    await world.ask(message()),
    'reject 5.7.1 Limit of 5 recipients per hour reached; ' +
      'you can send again after 2026-11-20 14:01 (Europe/Berlin)',
  )
  world.now = NOON + HOUR + MINUTE
  t.equal(await wordFor(world, to(2)), 'dunno')
})

t.test('recipients, messages and megabytes', async t => {
  const messages = await limited(t, 'threshold = 1\nunit = messages')
  t.equal(await wordFor(messages, to(500)), 'dunno')
  t.match(await messages.ask(message()), /Daily limit of 1 message reached/)

  const bytes = await limited(t, 'threshold = 3\nunit = megabytes\nwindow = 24h')
  t.equal(await wordFor(bytes, { size: '1600000' }), 'dunno')
  t.match(bytes.verdicts.at(-1), { used: 1.6, limit: 3 })
  t.match(
    await bytes.ask(message({ size: '1450001' })),
    /^reject 5\.7\.1 This message has 1\.5 MB, but only 1\.4 of your 3 MB per 24 hours are left; it can be sent after 2026-11-21 13:/,
  )
  t.equal(await wordFor(bytes, { size: '1400000' }), 'dunno', 'to the last byte')
  t.match(await bytes.ask(message({ size: '1' })), /Limit of 3 MB per 24 hours reached/)
})

t.test('megabytes are counted where the size is known, and that is noted once', async t => {
  const world = await limited(t, 'threshold = 1\nunit = megabytes')
  const early = { protocol_state: 'RCPT', size: '900000' }
  for (let i = 0; i < 3; i++) t.equal(await wordFor(world, early), 'dunno')
  t.equal(await wordFor(world, { protocol_state: 'DATA' }), 'dunno')
  t.strictSame(world.notes, ['v/limit: megabytes are counted at END-OF-MESSAGE, not at RCPT'])
  t.equal(await wordFor(world, { size: '900000' }), 'dunno')
  t.equal(await wordFor(world, { size: '900000' }), 'reject')
})

t.test('a cap for a single message, with nothing else limited', async t => {
  const world = await limited(t, 'most_recipients = 3\nmost_megabytes = 2')
  t.equal(await wordFor(world, to(3)), 'dunno')
  t.match(world.verdicts.at(-1), { used: 3, limit: 'unlimited' })
  t.equal(
    await world.ask(message(to(4))),
    'reject 5.5.3 A message may have 3 recipients at most; please send it in several parts',
  )
  t.equal(await wordFor(world, { protocol_state: 'DATA', ...to(4) }), 'reject')
  t.equal(
    await world.ask(message({ size: '2000001' })),
    'reject 5.3.4 A message may have 2 MB at most, this one has 2.1 MB',
  )
  t.equal(
    await wordFor(world, { protocol_state: 'RCPT', size: '2000001' }),
    'reject',
    'the client has announced it',
  )
  t.match(world.verdicts.at(-1), { by: 'limit' })
  const own = await limited(
    t,
    'most_megabytes = 2\n<User big>\nmost_megabytes = 4\n</User>\n<User news>\nmost_recipients = 1\n</User>',
  )
  for (const [sasl_username, size, word] of [
    ['big', '4000000', 'dunno'],
    ['big', '4000001', 'reject'],
    ['news', '2000001', 'reject'],
  ] as const) {
    t.equal(await wordFor(own, { sasl_username, size }), word, `${sasl_username}: ${size}`)
  }
})

t.test('at RCPT, the recipient that is one too many for the message is refused', async t => {
  const world = await limited(t, 'most_recipients = 2\nlanguage = de')
  const instance = 'one message'
  const rcpt = (recipient: string) =>
    world.ask(message({ instance, protocol_state: 'RCPT', recipient, recipient_count: '0' }))
  t.equal(await rcpt('a@example.net'), 'dunno')
  t.equal(await rcpt('b@example.net'), 'dunno')
  t.equal(
    await rcpt('c@example.net'),
    'reject 5.5.3 Eine Nachricht darf hoechstens 2 Empfaenger haben; bitte senden Sie sie in mehreren Teilen',
  )
  t.equal(await rcpt('b@example.net'), 'dunno')
  t.equal(await wordFor(world, { instance, ...to(2) }), 'dunno')
})

t.test('what happens beyond a limit', async t => {
  for (const [excess, answer] of [
    ['reject', /^reject 5\.7\.1 Daily limit of 1 recipient reached/],
    ['defer', /^defer 4\.7\.1 Daily limit of 1 recipient reached/],
    ['defer_if_permit', /^defer_if_permit 4\.7\.1 Daily/],
    ['450', /^450 4\.7\.1 Daily/],
    ['554', /^554 5\.7\.1 Daily/],
    ['hold', /^hold beyond 1 recipients per day \(limit\)$/],
    ['discard', /^discard$/],
    ['"reject 5.7.1 %USER%: no more than %LIMIT%"', /^reject 5\.7\.1 alice: no more than 1$/],
  ] as const) {
    const world = await limited(t, `threshold = 1\nexcess = ${excess}`)
    t.equal(await wordFor(world), 'dunno')
    t.match(await world.ask(message()), answer, excess)
    const isRefused = !/hold|discard/.test(excess)
    t.match(
      world.verdicts.at(-1),
      { used: isRefused ? 1 : 2, limit: 1 },
      'what Postfix takes counts',
    )
  }
})

t.test('graded: held first, then refused', async t => {
  const world = await limited(t, 'excess = "from 2 hold, from 4 reject"')
  const words: (string | undefined)[] = []
  for (let i = 0; i < 6; i++) words.push(await wordFor(world))
  t.strictSame(words, ['dunno', 'dunno', 'hold', 'hold', 'reject', 'reject'])
  t.match(world.verdicts.at(-1), { used: 4, limit: 4 })
  t.match(await world.ask(message()), /Daily limit of 4 recipients reached/)
  const other = { sasl_username: 'bob' }
  t.match(
    await world.ask(message({ ...other, ...to(5) })),
    /^reject .* but only 4 of your 4 for today are left$/,
    'at once beyond the last grade',
  )
})

t.test('a message that comes near a limit is remarked once', async t => {
  const world = await limited(t, 'threshold = 10\nwarn_at = 80%')
  t.equal(await wordFor(world, to(7)), 'dunno')
  t.notOk(world.verdicts.at(-1)?.near)
  t.equal(await wordFor(world), 'dunno')
  t.match(world.verdicts.at(-1), { near: 'limit', used: 8, limit: 10 })
  t.strictSame(world.notes, ['v/limit: alice has used 8 of 10'])
  t.equal(await wordFor(world), 'dunno')
  t.notOk(world.verdicts.at(-1)?.near, 'it was near before')
  t.equal(await wordFor(world, to(2)), 'reject')
  t.notOk(world.verdicts.at(-1)?.near)
})

t.test(
  'several limits: the log has the one that is closest to its end, and all that are near',
  async t => {
    const block = (name: string, lines: string) => plugin('SendingLimit', lines, name)
    const text = chain(
      block('day', 'threshold = 10\nwarn_at = 50') +
        block('hour', 'threshold = 4\nwindow = 1h\nwarn_at = 75') +
        block('week', 'threshold = 50\nwindow = week'),
    )
    const world = await makeWorld(text)
    t.teardown(() => world.close())
    t.equal(await wordFor(world, to(2)), 'dunno')
    t.match(world.verdicts.at(-1), { used: 2, limit: 4 })
    world.now += 2 * HOUR
    t.equal(await wordFor(world, to(3)), 'dunno')
    t.match(world.verdicts.at(-1), { used: 3, limit: 4, near: 'day,hour' })
    t.equal(await wordFor(world, to(2)), 'reject')
    t.match(world.verdicts.at(-1), { used: 3, limit: 4, by: 'hour' })
  },
)

t.test('an operator’s own text', async t => {
  const text =
    '%USER% has %LEFT% of %LIMIT% left (%USED% used) for %RECIPIENTS%, per %WINDOW%; again %AGAIN%'
  const world = await limited(t, `threshold = 3\nwindow = 10m\ntext = "${text}"`)
  t.equal(await wordFor(world, to(2)), 'dunno')
  t.equal(
    await world.ask(message(to(2))),
    'reject 5.7.1 alice has 1 of 3 left (2 used) for 2, per 10 minutes; ' +
      'again 2026-11-20 13:11 (Europe/Berlin)',
  )
  t.match(await world.ask(message(to(4))), /again never$/)
  const daily = await limited(t, 'threshold = 1\ntext = "%AGAIN%"')
  t.equal(await daily.ask(message(to(2))), 'reject 5.7.1 never')
  t.equal(await wordFor(daily), 'dunno')
  t.equal(await daily.ask(message()), 'reject 5.7.1 2026-11-21 00:00 (Europe/Berlin)')
  const coded = await limited(t, 'threshold = 0\nexcess = defer\ntext = "5.2.2 no %USER%"', {
    messages: NO_MAIL,
  })
  t.equal(
    await coded.ask(message({ sasl_username: '%LIMIT%' })),
    'defer 4.2.2 no %limit%',
    'the code is that of the action, and a name is not a placeholder',
  )
})

const RULED_BY = `threshold = 10
default_domain = example.org
most_recipients = 30
<User Alice@example.org>
  threshold = 1
</User>
<Group staff>
  members = "alice, BOB, @sub.example.org"
  threshold = 2
</Group>
<Group all>
  members = "bob, carol"
  threshold = 3
  most_recipients = unlimited
</Group>
<Domain Example.ORG.>
  threshold = 4
  excess = defer
</Domain>
<Domain sub.example.org>
  threshold = unlimited
</Domain>
<Domain example.net>
  threshold = unlimited
</Domain>`

t.test('the most specific block counts: user, group, domain, limit', async t => {
  const world = await limited(t, RULED_BY)
  for (const [user, limit, word] of [
    ['alice', 1, 'reject'],
    ['bob', 2, 'reject'],
    ['x@sub.example.org', 2, 'reject'],
    ['carol@EXAMPLE.org', 3, 'reject'],
    ['dave', 4, 'defer'],
    ['dave@example.com', 10, 'reject'],
  ] as const) {
    const from = { sasl_username: user }
    t.equal(await wordFor(world, { ...from, ...to(limit) }), 'dunno', `${user}: ${limit}`)
    t.equal(await wordFor(world, from), word, `${user}: one more`)
    t.match(world.verdicts.at(-1), { limit })
  }
  const free = { sasl_username: 'x@example.net' }
  for (let i = 0; i < 3; i++) t.equal(await wordFor(world, { ...free, ...to(30) }), 'dunno')
  t.match(await world.ask(message({ ...free, ...to(31) })), /5\.5\.3/, 'unlimited, but for the cap')
  t.match(await world.ask(message({ sasl_username: 'carol', ...to(31) })), /5\.7\.1/, 'no cap')
})

t.test('limits of a domain', async t => {
  const world = await limited(
    t,
    'threshold = 1\nper = domain\n<Domain big.example>\nthreshold = 3\n</Domain>',
  )
  t.equal(await wordFor(world, { sasl_username: 'a@big.example', ...to(2) }), 'dunno')
  t.equal(await wordFor(world, { sasl_username: 'b@BIG.example' }), 'dunno')
  t.equal(
    await world.ask(message({ sasl_username: 'c@big.example' })),
    'reject 5.7.1 Daily limit of 3 recipients for all users of big.example reached; ' +
      'you can send again after 2026-11-21 00:00 (Europe/Berlin)',
  )
})

t.test('a block changes the threshold, the action, or both', async t => {
  const world = await limited(
    t,
    `excess = "from 1 hold, from 2 reject"
    <User number>\nthreshold = 3\n</User>
    <User action>\nexcess = defer\n</User>
    <User both>\nexcess = hold\nthreshold = 1\n</User>
    <User grades>\nexcess = "from 1 defer"\n</User>
    <User free>\nthreshold = unlimited\n</User>`,
  )
  for (const [user, words] of [
    ['alice', 'dunno hold reject reject'],
    ['number', 'dunno dunno dunno reject'],
    ['action', 'dunno dunno defer defer'],
    ['both', 'dunno hold hold hold'],
    ['grades', 'dunno defer defer defer'],
    ['free', 'dunno dunno dunno dunno'],
  ] as const) {
    const found: (string | undefined)[] = []
    for (let i = 0; i < 4; i++) found.push(await wordFor(world, { sasl_username: user }))
    t.equal(found.join(' '), words, user)
  }
})

const group = (members: string): string => `threshold = 1
default_domain = example.org
<Group bulk>
  members = "${members}"
  threshold = 5
</Group>`

t.test('a group whose members are in a table of Postfix', async t => {
  const folder = t.testdir({
    bulk: 'alice x\ndave@example.org x\n@sub.example.org x\n',
  })
  const world = await limited(t, group(`texthash:${folder}/bulk`))
  for (const [sasl_username, threshold] of [
    ['Alice', 5],
    ['dave', 5],
    ['x@sub.example.org', 5],
    ['bob', 1],
    ['alice@example.net', 1],
  ] as const) {
    t.equal(await wordFor(world, { sasl_username, ...to(threshold) }), 'dunno', sasl_username)
    t.equal(await wordFor(world, { sasl_username }), 'reject', `${sasl_username}: one more`)
  }
})

t.test('a table that answers later', async t => {
  const slow: Table = {
    get: key => new Promise(resolve => setImmediate(resolve, key === 'alice' ? 'x' : undefined)),
    problem: () => undefined,
  }
  const world = await limited(t, group('ldap:/etc/postfix/bulk.cf'), {
    outside: { openTable: () => slow },
  })
  t.equal(await wordFor(world, to(5)), 'dunno')
  t.equal(await wordFor(world), 'reject')
  t.equal(await wordFor(world, { sasl_username: 'bob', ...to(2) }), 'reject')
})

t.test('a table that is missing is named, and stops no mail', async t => {
  const world = await limited(t, group(`hash:${t.testdir({})}/bulk`), {
    messages: [/^test\.conf:9:\d+: error: "members" in <Group bulk>: .*bulk\.db/],
  })
  t.equal(await wordFor(world, to(9)), 'dunno')
  t.match(world.errors, [/plugin limit failed: .*bulk\.db/])
})

t.test('a threshold from LDAP or SQL replaces the one of the file for one mail', async t => {
  const before = plugin('SetField', 'key = daily\nvalue = 3', 'set')
  const world = await limited(
    t,
    'threshold = 1\nuc_threshold = daily\n<User bob>\nthreshold = 2\n</User>',
    { before },
  )
  for (const user of ['alice', 'bob']) {
    t.equal(await wordFor(world, { sasl_username: user, ...to(3) }), 'dunno')
    t.match(
      await world.ask(message({ sasl_username: user })),
      /Daily limit of 3 recipients reached/,
      user,
    )
  }
  const odd = await limited(t, 'threshold = 1\nuc_threshold = daily', {
    before: plugin('SetField', 'key = daily\nvalue = many', 'set'),
  })
  t.equal(await wordFor(odd), 'dunno')
  t.match(await odd.ask(message()), /Daily limit of 1 recipient reached/, 'what is no number')
})

t.test('refusals in German and French are ASCII, one line, and short', async t => {
  for (const [language, reached, partly, tooMuch] of [
    [
      'de',
      'Das Limit von 5 Empfaengern pro Stunde ist erreicht; Sie koennen ab 2026-11-20 14:01 (Europe/Berlin) wieder senden',
      'Diese Nachricht hat 3 Empfaenger, aber von Ihren 5 pro Stunde sind nur noch 2 uebrig; sie kann ab 2026-11-20 14:01 (Europe/Berlin) gesendet werden',
      'Diese Nachricht hat 6 Empfaenger, Ihr Limit ist aber 5 Empfaenger pro Stunde; bitte senden Sie sie in kleineren Teilen',
    ],
    [
      'fr',
      'La limite de 5 destinataires par heure est atteinte ; vous pourrez envoyer de nouveau apres 2026-11-20 14:01 (Europe/Berlin)',
      "Ce message a 3 destinataires, mais il ne vous en reste que 2 sur 5 par heure ; vous pourrez l'envoyer apres 2026-11-20 14:01 (Europe/Berlin)",
      "Ce message a 6 destinataires, mais votre limite est de 5 destinataires par heure ; veuillez l'envoyer en plusieurs parties",
    ],
  ] as const) {
    const world = await limited(t, `threshold = 5\nwindow = 1h\nlanguage = ${language}`)
    t.equal(await wordFor(world, to(3)), 'dunno')
    t.equal(await world.ask(message(to(3))), `reject 5.7.1 ${partly}`)
    t.equal(await world.ask(message(to(6))), `reject 5.7.1 ${tooMuch}`)
    t.equal(await wordFor(world, to(2)), 'dunno')
    t.equal(await world.ask(message()), `reject 5.7.1 ${reached}`)
  }
})

t.test('every text of every limit fits into a dialogue', t => {
  const windows: readonly LimitWindow[] = [
    'day',
    'week',
    'month',
    ...[1, 10, 90, 60, 24 * 60, 36 * 60, 30 * 24 * 60].map(minutes => ({
      milliseconds: minutes * MINUTE,
    })),
  ]
  const again = '2026-11-21 00:00 (America/Argentina/ComodRivadavia)'
  let seen = 0
  for (const [language, wording] of Object.entries(wordings)) {
    for (const window of windows) {
      for (const unit of ['recipients', 'messages', 'bytes'] as const) {
        for (const whom of [undefined, 'x'.repeat(100)]) {
          for (const [limit, left, amount] of [
            [0, 0, 1],
            [1, 0, 1],
            [2, 1, 2],
            [1e9, 2e8, 3e8],
            [4, 4, 5],
          ] as const) {
            const refusal = { unit, window, whom, limit, left, amount, again }
            const text = wording.refused(refusal)
            seen++
            if (!/^[A-Z][ -~]{30,399}$/.test(text)) t.fail(`${language}: ${text}`)
            if (/undefined|NaN|null/.test(text)) t.fail(`${language}: ${text}`)
            if (typeof window === 'object') {
              const never = wording.refused({ ...refusal, again: undefined })
              if (limit > 0 && never.includes('undefined')) t.fail(never)
            }
          }
        }
      }
    }
  }
  t.ok(seen > 500, `${seen} refusals`)
  t.end()
})

t.test('a sender that is not ASCII or very long is shortened in its refusal', async t => {
  const world = await limited(t, 'threshold = 0\nper = sender', { messages: NO_MAIL })
  const sender = `${'x'.repeat(300)}@example.org`
  t.match(await world.ask(message({ sender })), /for x{97}\.\.\. reached; contact your mail/)
  t.match(await world.ask(message({ sender: 'j\u00f6rg@example.org' })), /for j\?rg@example\.org r/)
})

t.test('blocks that share a counter count the same', async t => {
  const blocks = (first: string, second: string) =>
    chain(
      plugin('SendingLimit', `threshold = 1\n${first}`, 'limit') +
        plugin('SendingLimit', `threshold = 1\ncounter = limit\n${second}`, 'other'),
    )
  for (const [first, second, message] of [
    ['', '', undefined],
    ['window = 1h', 'window = 60m', undefined],
    ['window = 24h', 'window = 1d', undefined],
    ['unit = recipients', 'per = user', undefined],
    [
      '',
      'window = 1h',
      /^test\.conf:13:10: error: "window" in <Plugin other>: the counter "limit" is shared with <Plugin limit> \(line 4\), so window = day is expected, or another counter$/,
    ],
    ['window = 1h', '', /^test\.conf:9:1: error: "window" .* so window = 1h is expected/],
    ['', 'unit = messages', /^test\.conf:13:8: error: "unit" .* unit = recipients is expected/],
    ['per = domain', 'per = client', /^test\.conf:13:7: error: "per" .* per = domain is expected/],
  ] as const) {
    const world = await makeWorld(blocks(first, second))
    t.teardown(() => world.close())
    t.equal(world.messages.length, message ? 1 : 0, world.messages.join('\n'))
    if (message) t.match(world.messages, [message])
  }
  const hosts = blocks('', '').replace(
    '<Plugin other>',
    '</VirtualHost>\n<VirtualHost 12346>\nname = w\n<Plugin other>\nwindow = week',
  )
  const world = await makeWorld(hosts)
  t.teardown(() => world.close())
  t.match(world.messages, [/"window" in <Plugin other>/], 'also in another virtual host')
})

t.test('of two blocks that share a counter, the first decides', async t => {
  const world = await limited(t, 'threshold = 1', {
    before: plugin('SendingLimit', 'threshold = 2\ncounter = limit', 'first'),
  })
  t.equal(await wordFor(world, to(2)), 'dunno')
  t.equal(await wordFor(world), 'reject')
  t.match(world.verdicts.at(-1), { by: 'first', limit: 2, used: 2 })
})

t.test('what cannot be meant is named at its place, with what is expected', async t => {
  const group = (members: string) => `threshold = 1\n<Group g>\n${members}\nthreshold = 2\n</Group>`
  for (const [lines, message] of [
    [
      'threshold = 1\nwindow = fortnight',
      /:7:10: error: "window" .*day, week, month, .* 1m to 90d/,
    ],
    ['threshold = 1\nwindow = 91d', /"window" .* found "91d"/],
    ['threshold = 1\nwindow = 30s', /"window" .* found "30s"/],
    ['threshold = 1\nwindow = 0h', /"window" .* found "0h"/],
    ['threshold = 1\nwindow = 1.5h', /"window" .* found "1\.5h"/],
    ['threshold = 1\nwarn_at = 110%', /:7:11: error: "warn_at" .*from 1% to 100%, found "110%"/],
    ['threshold = 1\nwarn_at = 0', /"warn_at" .*found "0"/],
    ['threshold = 1\nper = users', /"per" .*one of: user, domain, .* did you mean "user"/],
    ['threshold = 1\nunit = mails', /"unit" .*recipients, messages, megabytes/],
    ['threshold = 1\napplies_to = both', /"applies_to" .*authenticated, unauthenticated, all/],
    ['threshold = 1\nlanguage = it', /"language" .*en, de, fr, found "it"/],
    ['most_recipients = -1', /"most_recipients" .*found "-1"/],
    ['most_megabytes = 1.5', /"most_megabytes" .*found "1\.5"/],
    ['window = 1h', /^test\.conf:4:1: error: <Plugin limit> needs "threshold": What may be sent/],
    ['excess = "from 2"', /:6:10: error: "excess" .*or grades such as .*found "from 2"/],
    ['excess = "from 80% hold"', /"excess" .*found "from 80% hold"/],
    ['threshold = 1\nexcess = "hold, from 4 reject"', /"excess" .*found "hold, from 4 reject"/],
    ['excess = "from 2 hold from 4 reject"', /:6:10: error: "excess" .*or grades such as/],
    ['excess = "from 2 hold, 4 reject"', /:6:10: error: "excess" .*or grades such as/],
    ['excess = "from 4 hold, from 2 reject"', /ascending grades, but 2 follows 4$/],
    ['excess = "from 2 hold, from 2 reject"', /two grades begin at 2$/],
    [
      'excess = "from 2 reject, from 4 defer"',
      /"from 2 reject" refuses, .* "from 4 defer" is never reached$/,
    ],
    ['threshold = 1\nexcess = rejct', /:7:10: warning: .*"rejct" .*did you mean "reject"/],
    ['excess = "from 2 holt, from 4 reject"', /warning: .*"holt" .*did you mean "hold"/],
    [
      'threshold = 1\ntext = "no %LIMITS%"',
      /:7:8: warning: .*%LIMITS% is not replaced; did you mean %LIMIT%\?/,
    ],
    ['threshold = 9\nexcess = "from 1 hold"', /:6:13: warning: "threshold" .* has no effect/],
    ['threshold = 9\napplies_to = all', /:7:14: warning: "applies_to" .* without a login/],
    [group('members = ","'), /:8:11: error: "members" in <Group g>: expected names/],
    [group(''), /:7:1: error: <Group g> needs "members"/],
    [
      'threshold = 1\nper = domain\n<User a>\nthreshold = 2\n</User>',
      /:8:1: warning: <User a> has no effect with per = domain; expected per = user$/,
    ],
    [
      'threshold = 1\nper = client\n<Domain a>\nthreshold = 2\n</Domain>',
      /:8:1: warning: <Domain a> has no effect with per = client; expected per = user or domain$/,
    ],
    [
      'threshold = 1\n<User a>\n</User>',
      /:7:1: warning: <User a> changes nothing: expected threshold/,
    ],
    [
      'threshold = 1\n<User a>\nthreshold = 2\nexcess = "from 1 hold"\n</User>',
      /:7:1: warning: "threshold" in <User a> has no effect/,
    ],
    [
      'threshold = 1\n<User a>\nexcess = "from 2 x, from 1 y"\n</User>',
      /:8:10: error: .*ascending/,
    ],
    ['threshold = 1\n<Domain>\nthreshold = 2\n</Domain>', /<Domain> without a name matches nobody/],
  ] as const) {
    const world = await makeWorld(chain(plugin('SendingLimit', lines, 'limit'), BERLIN))
    t.teardown(() => world.close())
    t.equal(world.messages.length, 1, `${lines}: ${world.messages.join('\n')}`)
    t.match(world.messages, [message], lines)
  }
})
