/**
 * What people have reported about limits in other programs, tried here: the numbers are those of their
 * reports, whose address is in the name of each test.
 */

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openLedger } from '../../daemon/ledger/ledger.ts'
import { openSqliteLedger } from '../../daemon/ledger/sqlite-ledger.ts'
import { chain, GERMAN, makeWorld, NOON, type World } from '../support/world.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** A world of such blocks: each is the lines of a limit, by its name. */
async function limits(
  t: Test,
  blocks: Readonly<Record<string, string>>,
  globals = 'timezone = "Europe/Berlin"',
  messages: readonly RegExp[] = [],
): Promise<World> {
  const plugins = Object.entries(blocks).map(
    ([name, lines]) => `<Plugin ${name}>\nmodule = "SendingLimit"\n${lines}\n</Plugin>\n`,
  )
  const world = await makeWorld(chain(plugins.join(''), globals))
  t.teardown(() => world.close())
  t.match(world.messages, messages)
  t.equal(world.messages.length, messages.length, world.messages.join('\n'))
  return world
}

let instances = 0

type Attributes = Readonly<Record<string, string>>

function mail(recipients: number, attributes: Attributes = {}): Record<string, string> {
  return {
    protocol_state: 'END-OF-MESSAGE',
    instance: `report.${instances++}`,
    sasl_username: 'alice@example.org',
    sender: 'alice@example.org',
    client_address: GERMAN,
    recipient_count: String(recipients),
    size: '5000',
    ...attributes,
  }
}

const stranger = (attributes: Attributes = {}): Attributes => ({
  sasl_username: '',
  sender: 'x@gmail.com',
  ...attributes,
})

async function send(world: World, recipients = 1, attributes: Attributes = {}): Promise<string> {
  return (await world.ask(mail(recipients, attributes))) ?? 'no answer'
}

/** How many of so many messages to one recipient pass. */
async function passing(world: World, messages: number, attributes: Attributes = {}) {
  let passed = 0
  for (let i = 0; i < messages; i++) if ((await send(world, 1, attributes)) === 'dunno') passed++
  return passed
}

/** What each RCPT of one message is answered, in one word. */
async function recipientsOf(world: World, instance: string, count: number): Promise<string[]> {
  const answers: string[] = []
  for (let i = 0; i < count; i++) {
    const recipient = `r${i}@example.net`
    const answer = await world.ask(
      mail(0, { instance, protocol_state: 'RCPT', recipient, recipient_count: '0', size: '0' }),
    )
    answers.push(answer?.split(' ')[0] ?? '')
  }
  return answers
}

const count = (answers: readonly string[], word: string): number =>
  answers.filter(answer => answer === word).length

t.test('the last recipient that fits is accepted, none twice (rspamd #4187, #4104)', async t => {
  const two = await limits(t, { limit: 'threshold = 2\nwindow = 1m' })
  t.equal(await passing(two, 3), 2)
  const ten = await limits(t, { limit: 'threshold = 10\nwindow = 1m' })
  t.equal(await send(ten, 9), 'dunno')
  t.equal(await send(ten, 1), 'dunno')
  const halves = await limits(t, { limit: 'threshold = 10\nwindow = 1m' })
  t.equal(await send(halves, 5), 'dunno')
  t.equal(await send(halves, 5), 'dunno')
})

t.test('20 of 300 pass, at once or one after the other (rspamd #2733, mailcow #5388)', async t => {
  const world = await limits(t, { limit: 'threshold = 20\nwindow = 1h' })
  const sixteen = Array.from({ length: 16 }, (_, id) => ({ id, endpoint: '12345' }))
  const answers = await Promise.all(
    Array.from({ length: 300 }, (_, i) => world.ask(mail(1), sixteen[i % 16])),
  )
  t.equal(answers.filter(answer => answer === 'dunno').length, 20)
})

t.test('within one transaction no more than the limit (Broadcom 391775)', async t => {
  const world = await limits(t, { limit: 'threshold = 20\nwindow = 1h' })
  const answers = await recipientsOf(world, 'broadcom.1', 35)
  t.equal(count(answers, 'dunno'), 20)
  const attributes = { protocol_state: 'RCPT', recipient: 'r@example.net', size: '0' }
  const other = await world.ask(mail(0, attributes), { id: 2, endpoint: '12345' })
  t.match(other, /^reject/, 'another connection has to wait for them')
  t.equal(await send(world, 20, { instance: 'broadcom.1' }), 'dunno')
  t.match(world.verdicts.at(-1), { used: 20 })

  const whole = await limits(t, { limit: 'threshold = 20\nwindow = 1h' })
  const never = await send(whole, 35)
  t.match(never, /^reject .* but your limit is 20 recipients per hour; please send it in smaller/)
  t.notMatch(never, /after/)
  for (let i = 0; i < 10; i++) t.equal(await send(whole, 2), 'dunno', 'in the same connection')
  t.match(await send(whole), /^reject/)
})

t.test('a limit of 1 refuses the second, however it comes (notifications-admin #871)', async t => {
  const world = await limits(t, { limit: 'threshold = 1' })
  t.match(await send(world, 2), /^reject/)
  t.equal(await passing(world, 2), 1)
  const pair = await limits(t, { limit: 'threshold = 1' })
  const both = await Promise.all([pair.ask(mail(1)), pair.ask(mail(1))])
  t.equal(both.filter(answer => answer === 'dunno').length, 1)
})

t.test('messages are counted once, wherever Postfix asks (mailcow #7181, Zimbra 8.04)', async t => {
  const world = await limits(t, { limit: 'threshold = 5\nwindow = 1m\nunit = messages' })
  for (const stages of [['RCPT'], ['DATA'], ['END-OF-MESSAGE'], ['RCPT', 'END-OF-MESSAGE']]) {
    const instance = `unit.${stages}`
    if (stages.includes('RCPT')) t.equal(count(await recipientsOf(world, instance, 6), 'dunno'), 6)
    for (const protocol_state of stages.filter(stage => stage !== 'RCPT')) {
      t.equal(await send(world, 6, { instance, protocol_state }), 'dunno', protocol_state)
    }
  }
  t.equal(await passing(world, 6), 1, 'four of five were used')
})

t.test('who asks for too many recipients has used none (policyd-rate-limit #20)', async t => {
  const world = await limits(t, {
    day: 'threshold = 100',
    hour: 'threshold = 150\nwindow = 1h',
    domain: 'threshold = 1000\nper = domain',
  })
  const connection = { id: 7, endpoint: '12345' }
  // Postfix asks at the end, too: what is not complete there was not sent.
  t.equal(await send(world, 1, { sasl_username: 'bob@example.net' }), 'dunno')
  for (let i = 0; i < 200; i++) {
    const recipient = `r${i}@example.net`
    await world.ask(mail(0, { instance: 'gone', protocol_state: 'RCPT', recipient }), connection)
  }
  await world.ledger.disconnect(connection.id)
  t.equal(await send(world, 100), 'dunno')
  t.match(world.verdicts.at(-1), { used: 100, limit: 100 })
})

t.test('asked about a message twice, it counts once (WildDuck #505)', async t => {
  const world = await limits(t, {
    limit: 'threshold = 4',
    again: 'threshold = 4\ncounter = limit',
  })
  for (const instance of ['twice.1', 'twice.2']) {
    t.same(await recipientsOf(world, instance, 2), ['dunno', 'dunno'])
    t.equal(await send(world, 2, { instance }), 'dunno')
    t.equal(await send(world, 2, { instance }), 'dunno')
  }
  t.match(world.verdicts.at(-1), { used: 4, limit: 4 })
})

t.test('a stolen password sends 60 in the first hour, 500 in the day (mailcow #7295)', async t => {
  const world = await limits(t, {
    day: 'threshold = 500\nmost_recipients = 20',
    hour: 'threshold = 60\nwindow = 1h',
  })
  let day = 0
  for (let second = 0; second < 11 * 3600; second += 30) {
    world.now = NOON + second * 1000
    const answer = await send(world, 5)
    if (answer === 'dunno') day++
    else if (second < 8 * 3600) t.match(answer, / per hour/)
    if (second === 1800) t.equal(day, 12)
  }
  t.equal(day, 100)
  t.match(await send(world, 5), /Daily limit of 500/)
})

t.test('of several domains and spellings, each account has one count (xaps #23)', async t => {
  const lines = 'threshold = 3\ndefault_domain = "example.org"'
  const world = await limits(t, { user: lines, domain: `${lines}\nper = domain` })
  for (const sasl_username of ['alice', 'Alice@Example.ORG', 'alice@example.org']) {
    t.equal(await send(world, 1, { sasl_username }), 'dunno')
  }
  t.match(await send(world, 1, { sasl_username: 'ALICE' }), /^reject .*Daily limit of 3/)
  t.match(world.verdicts.at(-1), { by: 'user' })
})

t.test('a domain in letters is the same domain in ASCII', async t => {
  for (const block of ['xn--mller-kva.de', 'Müller.de', 'MÜLLER.DE.']) {
    const own = `<Domain ${block}>\nthreshold = 2\n</Domain>`
    for (const login of ['x@müller.de', 'X@xn--mller-kva.de', 'x@MÜLLER.de', 'x@mu\u0308ller.de']) {
      const users = await limits(t, { limit: `threshold = 9\n${own}` })
      t.equal(await passing(users, 3, { sasl_username: login }), 2, `${block}: ${login}`)
      const sum = await limits(t, { limit: `threshold = 9\nper = domain\n${own}` })
      t.equal(await passing(sum, 3, { sasl_username: login }), 2, `${block}: ${login}`)
      const sender = { sasl_username: 'x', sender: login }
      t.equal(await passing(sum, 3, sender), 0, 'the same domain as a sender')
    }
  }
  const one = await limits(t, { limit: 'threshold = 3\ndefault_domain = "müller.de"' })
  for (const sasl_username of ['x@müller.de', 'x@xn--mller-kva.de', 'x']) {
    t.equal(await send(one, 1, { sasl_username }), 'dunno')
  }
  t.match(await send(one, 1, { sasl_username: 'X@MÜLLER.DE' }), /^reject/)
  t.equal(await send(one, 1, { sasl_username: 'x@muller.de' }), 'dunno', 'another domain')

  const senders = await limits(t, { limit: 'threshold = 2\nper = sender' })
  t.equal(await send(senders, 1, { sender: 'x@müller.de' }), 'dunno')
  t.equal(await send(senders, 1, { sender: 'X@xn--mller-kva.de.' }), 'dunno')
  t.match(await send(senders, 1, { sender: 'x@Müller.de' }), /^reject/)
})

t.test('a sharp s is a letter of its own in a domain', async t => {
  const own = '<Domain straße.de>\nthreshold = 2\n</Domain>'
  const world = await limits(t, { limit: `threshold = 9\n${own}` })
  t.equal(await passing(world, 3, { sasl_username: 'x@straße.de' }), 2)
  t.equal(await passing(world, 3, { sasl_username: 'x@xn--strae-oqa.de' }), 0, 'the same account')
  t.equal(await passing(world, 3, { sasl_username: 'x@strasse.de' }), 3)
})

t.test('the members of a group can be written in letters or in ASCII', async t => {
  for (const members of ['@müller.de', '@xn--mller-kva.de', 'x@MÜLLER.de']) {
    const group = `<Group g>\nmembers = "${members}"\nthreshold = 1\n</Group>`
    const world = await limits(t, { limit: `threshold = 9\n${group}` })
    t.equal(await passing(world, 2, { sasl_username: 'x@müller.de' }), 1, members)
  }
})

t.test('a sender that is no account has the limit of the login (hestiacp #2666)', async t => {
  const own = '<User smtpout@example.com>\nthreshold = 5000\n</User>'
  const world = await limits(t, { limit: `threshold = 10\n${own}` })
  const attributes = { sasl_username: 'smtpout@example.com', sender: 'noreply@example.com' }
  t.equal(await send(world, 4000, attributes), 'dunno')
  t.match(world.verdicts.at(-1), { limit: 5000 })
})

t.test('80 bills one after another pass for billing only (mailcow #176)', async t => {
  const own = '<User billing>\nthreshold = 500\n</User>'
  const world = await limits(t, { hour: `threshold = 20\nwindow = 1h\n${own}` })
  t.equal(await passing(world, 80, { sasl_username: 'billing' }), 80)
  t.equal(await passing(world, 80, { sasl_username: 'shop' }), 20)
})

t.test('a list server on this host has no login (policyd-rate-limit #24)', async t => {
  const mailman = stranger({
    protocol_state: 'DATA',
    client_address: '127.0.0.1',
    queue_id: '075324067F',
  })
  const usual = await limits(t, { limit: 'threshold = 1' })
  t.equal(await passing(usual, 3, mailman), 3)
  const client = await limits(t, {
    limit: 'threshold = 1\nwindow = 1m\nper = client\napplies_to = all',
  })
  t.equal(await passing(client, 3, mailman), 1)
  const network = await limits(t, { limit: 'threshold = 1\nper = network\napplies_to = all' })
  t.equal(await passing(network, 3, mailman), 1)
  t.match(await send(network, 1, mailman), /for 127\.0\.0\.0\/24/)
})

t.test('forwarded mail does not use up the limit of a domain (postfwd #42)', async t => {
  const usual = await limits(t, { limit: 'threshold = 3\nper = domain' })
  t.equal(await passing(usual, 100, stranger()), 100)
  const all = await limits(t, { limit: 'threshold = 3\nper = domain\napplies_to = all' }, '', [
    /without a login anybody can send in the name of a domain/,
  ])
  t.equal(await passing(all, 9, stranger()), 3)
})

t.test('bounces to everybody share no count (Stalwart #966)', async t => {
  const text = 'threshold = 2\nper = sender\napplies_to = all'
  const world = await limits(t, { limit: text }, '', [/in the name of an address/])
  const bounce = (client: number) => stranger({ sender: '', client_address: `192.0.2.${client}` })
  for (let client = 1; client < 200; client++) t.equal(await passing(world, 1, bounce(client)), 1)
  const vacation = { sender: '' }
  t.equal(await passing(world, 3, vacation), 2, 'the null sender of a login is that of its account')
  t.equal(await passing(world, 3, { ...vacation, sasl_username: 'bob' }), 2)
})

t.test('anybody can use up the limit of a sender, and check says so (rate-limit #3)', async t => {
  const text = 'threshold = 5\nper = sender\napplies_to = unauthenticated'
  const world = await limits(t, { limit: text }, '', [
    /:\d+:14: warning: "applies_to" .*without a login anybody can send in the name of an address/,
  ])
  const forged = stranger({ sender: 'boss@example.org' })
  t.equal(await passing(world, 50, forged), 5)
  t.equal(await passing(world, 1, { ...forged, client_address: '192.0.2.80' }), 0, 'the webmail')
})

t.test('who is blocked and tries on is not blocked longer (my-support.ca 1065)', async t => {
  for (const excess of ['reject', 'defer']) {
    const world = await limits(t, { limit: `threshold = 20\nwindow = 1h\nexcess = ${excess}` })
    t.equal(await send(world, 20), 'dunno')
    let passed: number | undefined
    for (let second = 30; second < 2 * 3600 && passed === undefined; second += 30) {
      world.now = NOON + second * 1000
      if ((await send(world)) === 'dunno') passed = second
    }
    t.equal(passed, 3660, excess)
  }
})

t.test('a rolling limit says when this very message fits (Microsoft O365 #717)', async t => {
  const world = await limits(t, { limit: 'threshold = 10000\nwindow = 24h' })
  // 09:00 in Berlin, in a bucket that begins then.
  const nine = Date.UTC(2026, 10, 20, 8)
  for (const [hour, recipients] of [
    [0, 5000],
    [1, 2500],
    [2, 2500],
  ] as const) {
    world.now = nine + hour * HOUR
    t.equal(await send(world, recipients), 'dunno')
  }
  world.now = nine + 2 * HOUR + MINUTE
  t.match(await send(world), /after 2026-11-21 09:(?:[01]\d|2[0-4]) \(Europe\/Berlin\)/)
  t.match(await send(world, 5000), /after 2026-11-21 09:(?:[01]\d|2[0-4]) \(/)
  t.match(await send(world, 5001), /after 2026-11-21 10:(?:[01]\d|2[0-4]) \(/)
  t.match(await send(world, 10_001), /your limit is 10000 recipients per 24 hours; please send/)
  world.now = nine + DAY - 1
  t.match(await send(world, 5000), /^reject/, 'never more than the limit within 24 hours')
  world.now = nine + DAY + 24 * MINUTE
  t.equal(await send(world, 5000), 'dunno')
})

t.test('a new day begins at midnight of the time zone (TokenHub #335)', async t => {
  for (const [zone, used, last, first] of [
    ['Asia/Shanghai', '2026-11-20T15:00:00Z', '2026-11-20T15:59:59.999Z', '2026-11-20T16:00:00Z'],
    // 00:00 does not exist in that night: the day begins at 01:00.
    [
      'America/Santiago',
      '2026-09-06T03:30:00Z',
      '2026-09-06T03:59:59.999Z',
      '2026-09-06T04:00:00Z',
    ],
    // 25 and 23 hours.
    ['Europe/Berlin', '2026-10-24T22:10:00Z', '2026-10-25T22:59:59.999Z', '2026-10-25T23:00:00Z'],
    ['Europe/Berlin', '2027-03-27T23:10:00Z', '2027-03-28T21:59:59.999Z', '2027-03-28T22:00:00Z'],
  ] as const) {
    const world = await limits(t, { limit: 'threshold = 2' }, `timezone = "${zone}"`)
    world.now = Date.parse(used)
    t.equal(await send(world, 2), 'dunno', `${zone}: ${used}`)
    world.now = Date.parse(last)
    t.match(await send(world), /^reject/, last)
    world.now = Date.parse(first)
    t.equal(await send(world, 2), 'dunno', first)
  }
})

t.test('a day that ends while the daemon is stopped has ended (Modoboa #2043)', async t => {
  const file = join(t.testdir(), 'ledger.sqlite')
  const block = '<Plugin limit>\nmodule = "SendingLimit"\nthreshold = 2\n</Plugin>\n'
  const at = async (time: string): Promise<number> => {
    const store = openSqliteLedger(file, 'normal')
    const world = await makeWorld(chain(block, 'timezone = "Asia/Shanghai"'), {
      ledger: openLedger(store),
    })
    world.now = Date.parse(time)
    const passed = await passing(world, 3)
    world.close()
    store.close()
    return passed
  }
  t.equal(await at('2026-11-20T15:50:00Z'), 2)
  t.equal(await at('2026-11-20T15:55:00Z'), 0, 'started again before midnight')
  t.equal(await at('2026-11-20T16:10:00Z'), 2, 'started again after it')
})

t.test('the nights of the clock change (OmniRoute #13671)', async t => {
  const world = await limits(t, { limit: 'threshold = 2' })
  world.now = Date.parse('2026-10-24T22:10:00Z')
  t.equal(await send(world, 2), 'dunno')
  for (const twice of ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z']) {
    world.now = Date.parse(twice)
    t.match(await send(world), /after 2026-10-26 00:00 \(Europe\/Berlin\)/, twice)
  }
  for (const [night, again] of [
    ['2026-10-24T12:00:00Z', '2026-10-25 13:(?:[01]\\d|2[0-4])'],
    ['2027-03-27T12:00:00Z', '2027-03-28 14:(?:[01]\\d|2[0-4])'],
  ] as const) {
    const rolling = await limits(t, { limit: 'threshold = 2\nwindow = 24h' })
    rolling.now = Date.parse(night)
    t.equal(await send(rolling, 2), 'dunno')
    t.match(await send(rolling), new RegExp(`after ${again} \\(Europe/Berlin\\)`), night)
  }
})

t.test('25 recipients in three messages pass a cap of 10 (iRedMail #117)', async t => {
  const world = await limits(t, {
    limit: `threshold = 100\nmost_recipients = 10
      <User boss>\nmost_recipients = unlimited\n</User>
      <User news>\nthreshold = unlimited\n</User>
      <Group first>\nmembers = "carol, boss"\nmost_recipients = 20\n</Group>
      <Group management>\nmembers = "carol, dave"\nmost_recipients = 500\nthreshold = 600\n</Group>`,
  })
  t.match(await send(world, 25), /^reject 5\.5\.3 A message may have 10 recipients at most; /)
  for (const part of [10, 10, 5]) t.equal(await send(world, part), 'dunno')
  t.match(world.verdicts.at(-1), { used: 25 })
  t.equal(await send(world, 90, { sasl_username: 'boss' }), 'dunno', 'the own block, no group')
  t.match(await send(world, 21, { sasl_username: 'carol' }), /20 recipients at most/, 'the first')
  t.equal(await send(world, 500, { sasl_username: 'dave' }), 'dunno')
  t.match(await send(world, 501, { sasl_username: 'dave' }), /500 recipients at most/)
  t.match(await send(world, 11, { sasl_username: 'news' }), /10 recipients/, 'unlimited keeps it')
})

t.test(
  'at RCPT, ten go out and count, and the eleventh is refused for good (Mailpit #205)',
  async t => {
    const world = await limits(t, { limit: 'threshold = 100\nmost_recipients = 10' })
    const answers = await recipientsOf(world, 'cap', 12)
    t.equal(count(answers, 'dunno'), 10)
    t.same(answers.slice(10), ['reject', 'reject'])
    t.equal(await send(world, 10, { instance: 'cap' }), 'dunno')
    t.match(world.verdicts.at(-1), { used: 10 })
  },
)

t.test('in observe mode a message beyond the cap is noted, passes, and counts', async t => {
  const world = await limits(
    t,
    { limit: 'threshold = 100\nmost_recipients = 2\nmost_megabytes = 1' },
    'mode = observe',
  )
  t.same(await recipientsOf(world, 'observed', 3), ['dunno', 'dunno', 'dunno'])
  t.match(world.verdicts.at(-1), { observed: /2 recipients at most/, used: 3 })
  t.notOk(world.verdicts.at(-2)?.observed)
  t.equal(await send(world, 3, { instance: 'observed' }), 'dunno')
  t.match(world.verdicts.at(-1), { observed: /2 recipients at most/, used: 3 })
  t.equal(await send(world, 1, { size: '2000000' }), 'dunno')
  t.match(world.verdicts.at(-1), { observed: /1 MB at most/, used: 4 })
})

t.test('held mail counts, and is refused at the second grade (Postal #2875)', async t => {
  const world = await limits(t, { limit: 'excess = "from 200 hold, from 400 reject"' })
  t.equal(await send(world, 200), 'dunno')
  t.match(await send(world, 200), /^hold beyond 200 recipients per day/)
  t.match(await send(world, 1), /^reject 5\.7\.1 Daily limit of 400 recipients reached/)
  t.match(world.verdicts.at(-1), { used: 400, limit: 400 })
})

t.test('200 from this server, whoever sends (postfwd #34)', async t => {
  const world = await limits(t, { limit: 'threshold = 200\nper = server' })
  let passed = 0
  for (let i = 0; i < 300; i++) passed += await passing(world, 1, { sasl_username: `u${i % 60}` })
  t.equal(passed, 200)
  t.match(
    await send(world),
    /^reject 5\.7\.1 Daily limit of 200 recipients for all users of this server reached; /,
  )
})

t.test('five limits, two of them for logins (policyd-rate-limit #36)', async t => {
  const everybody = 'per = client\napplies_to = unauthenticated'
  const world = await limits(t, {
    minute: `threshold = 100\nwindow = 1m\n${everybody}`,
    hour: `threshold = 500\nwindow = 1h\n${everybody}`,
    day: `threshold = 1000\nwindow = 24h\n${everybody}`,
    'user-minute': 'threshold = 20\nwindow = 1m',
    'user-hour': 'threshold = 100\nwindow = 1h',
  })
  t.equal(await passing(world, 30), 20)
  t.equal(await passing(world, 110, stranger()), 100, 'a login does not count for the others')
  world.now += 2 * MINUTE
  t.equal(await passing(world, 110, stranger()), 100)
  t.equal(await passing(world, 30), 20)
})

t.test('250 per sender and 500 per domain in an hour (Adit Systems)', async t => {
  const world = await limits(t, {
    sender: 'threshold = 250\nwindow = 1h\nper = sender\nlanguage = de',
    domain: 'threshold = 500\nwindow = 1h\nper = domain\nlanguage = de',
  })
  const from = (name: string) => ({ sender: `${name}@example.org`, sasl_username: name })
  t.equal(await send(world, 250, from('a')), 'dunno')
  t.match(
    await send(world, 1, from('a')),
    /^reject 5\.7\.1 Das Limit von 250 Empfaengern pro Stunde fuer a@example\.org ist erreicht; /,
  )
  t.equal(await send(world, 250, from('b')), 'dunno')
  t.match(
    await send(world, 1, from('c')),
    /Das Limit von 500 Empfaengern pro Stunde fuer alle Benutzer von example\.org ist erreicht; /,
  )
})

t.test('what is used is told as it is, also beyond a lowered limit (cPanel 697029)', async t => {
  const own = 'text = "%USED% of %LIMIT%, %LEFT% left"'
  const high = await limits(t, { limit: `threshold = 300\n${own}` })
  t.equal(await send(high, 205), 'dunno')
  const low = await makeWorld(
    chain(`<Plugin limit>\nmodule = "SendingLimit"\nthreshold = 200\n${own}\n</Plugin>\n`),
    { ledger: high.ledger },
  )
  t.teardown(() => low.close())
  t.equal(await send(low), 'reject 5.7.1 205 of 200, 0 left')
})

t.test('all users of one relay are one client, and one network (blocklist #17)', async t => {
  const relay = { client_address: '209.85.167.42' }
  for (const per of ['client', 'network']) {
    const world = await limits(t, { limit: `threshold = 2\nper = ${per}` })
    for (const sasl_username of ['a', 'b']) {
      t.equal(await send(world, 1, { ...relay, sasl_username }), 'dunno')
    }
    t.match(await send(world, 1, { ...relay, sasl_username: 'c' }), /^reject .* for 209\.85\.167\./)
  }
  const users = await limits(t, { limit: 'threshold = 2' })
  for (const sasl_username of ['a', 'b', 'c']) {
    t.equal(await passing(users, 3, { ...relay, sasl_username }), 2)
  }
})

t.test('a remark for each time the count rises to 80% (iRedMail #116)', async t => {
  const world = await limits(t, { limit: 'threshold = 100\nwarn_at = 80%' })
  const near = async (recipients: number, attributes: Attributes = {}) => {
    t.equal(await send(world, recipients, attributes), 'dunno')
    return world.verdicts.at(-1)?.near
  }
  t.same(
    [await near(79), await near(1), await near(3, { queue_id: 'ABC123' })],
    [undefined, 'limit', undefined],
  )
  await world.ledger.giveBack({ queueId: 'ABC123' }, NOON)
  t.equal(await near(3), undefined, '80 have stayed')
})

t.test('values that mean nothing are named; those that mean something are taken', async t => {
  for (const value of [
    '-1',
    '""',
    '20/h',
    '1e3',
    '8h',
    '1000000001',
    '2.5',
    '"20 000"',
    '" 20 "',
    'none',
  ]) {
    const text = `<Plugin limit>\nmodule = "SendingLimit"\nthreshold = ${value}\n</Plugin>\n`
    const world = await makeWorld(chain(text))
    t.teardown(() => world.close())
    t.match(
      world.messages,
      [/:6:13: error: "threshold" .*whole number from 0 .* or unlimited/],
      value,
    )
  }
  for (const [value, passes] of [
    ['020', 20],
    ['UNLIMITED', 30],
    ['Unlimited', 30],
  ] as const) {
    const world = await limits(t, { limit: `threshold = ${value}` })
    t.equal(await passing(world, 30), passes, value)
  }
  for (const option of ['threshold', 'most_recipients', 'most_megabytes']) {
    const world = await limits(t, { limit: `${option} = 0` }, '', [
      new RegExp(`"${option}" .*: 0 lets no mail through; expected unlimited`),
    ])
    t.match(await send(world), /^reject/, option)
  }
})
