/** What an administrator has ordered comes before the configuration: blocks, countries, limits. */

import t, { type Test } from 'tap'
import { silentLog } from '../../daemon/assembly/configuration.ts'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import type { AccountMeasures, Measure, Measures } from '../../daemon/policy/ports/measures.ts'
import { PolicyRequest } from '../../daemon/policy/request.ts'
import { makeEngine } from '../../daemon/run/engine.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import {
  CHINESE,
  chain,
  GERMAN,
  makeWorld,
  NOON,
  plugin,
  type WorldOptions,
} from '../support/world.ts'

const HOUR = 3_600_000
const BLOCKED = 'reject 5.7.1 The account alice is blocked; please contact your administrator'
const MAIL = {
  ...{ protocol_state: 'END-OF-MESSAGE', sasl_username: 'alice', client_address: GERMAN },
  recipient_count: '1',
}

const head = { account: 'alice', until: NOON + HOUR, at: NOON, by: 'anna', why: '' }
const block: Measure = { kind: 'block', ...head }
const allow = (...countries: string[]): Measure => ({ kind: 'allow', ...head, countries })
const limit = (threshold: number, window = 'day'): Measure => ({
  ...{ kind: 'limit', ...head, window, threshold },
})

/** What is ordered for alice; tests change it. */
class Orders implements Measures {
  given: Measure[] = []
  asked = 0
  get isEmpty(): boolean {
    return this.given.length === 0
  }
  of(account: string, now: number): AccountMeasures | undefined {
    this.asked++
    const inForce = this.given.filter(({ until = now + 1 }) => now < until)
    if (account !== 'alice' || inForce.length === 0) return undefined
    return {
      block: inForce.find(one => one.kind === 'block'),
      allow: inForce.find(one => one.kind === 'allow'),
      limits: inForce.filter(one => one.kind === 'limit'),
    }
  }
}

async function worldWith(t: Test, text: string, options: WorldOptions = {}) {
  const orders = new Orders()
  const world = await makeWorld(text, { ...options, measures: orders })
  t.teardown(() => world.close())
  let sent = 0
  const send = (more: Readonly<Record<string, string>> = {}): Promise<string | undefined> =>
    world.ask({ ...MAIL, instance: `m${sent++}`, ...more })
  return { world, orders, send }
}

const LIMIT = plugin('SendingLimit', 'threshold = 3', 'limit')

t.test('mail of a blocked account is refused, that of others and without login is not', async t => {
  const { world, orders, send } = await worldWith(t, chain(LIMIT))
  t.equal(await send(), 'dunno')
  t.equal(orders.asked, 0, 'nobody is looked up while nothing is in force')
  orders.given = [block]
  t.equal(await send(), BLOCKED)
  t.equal(await send({ sasl_username: 'ALICE' }), BLOCKED)
  t.equal(await send({ sasl_username: 'bob' }), 'dunno')
  t.equal(await send({ sasl_username: '' }), 'dunno')
  t.match(world.verdicts[1], { by: 'block', verdict: BLOCKED, user: 'alice' })
  world.now += HOUR
  t.equal(await send(), 'dunno', 'its hour is over')
})

for (const stage of ['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'END-OF-MESSAGE', 'VRFY']) {
  t.test(`a blocked account is refused at ${stage}`, async t => {
    const { orders, send } = await worldWith(t, chain(LIMIT))
    orders.given = [block]
    t.equal(await send({ protocol_state: stage }), BLOCKED)
  })
}

t.test('what DATA has counted is taken back when the block comes in between', async t => {
  const { world, orders } = await worldWith(t, chain(LIMIT))
  const used = (): unknown =>
    world.ledger.used('limit', 'alice', { name: '2026-11-20', endsAt: NOON + 12 * HOUR }, NOON)
  await world.ask({ ...MAIL, instance: 'a', protocol_state: 'DATA', recipient_count: '2' })
  t.equal(used(), 2)
  orders.given = [block]
  t.equal(await world.ask({ ...MAIL, instance: 'a', recipient_count: '2' }), BLOCKED)
  t.equal(used(), 0)
})

const broken = definePlugin({
  name: 'Broken',
  summary: 'Fails.',
  settings: {},
  create: () => () => {
    throw new LookupError('the server is down')
  },
})

for (const [what, globals] of [
  ['in observe mode', 'mode = observe'],
  ['where a failure closes the connection', 'on_failure = close'],
  ['where a failure lets mail pass', 'on_failure = dunno'],
] as const) {
  t.test(`a block holds ${what}, and no plugin is run`, async t => {
    const { world, orders, send } = await worldWith(t, chain(plugin('Broken'), globals), {
      plugins: [broken],
    })
    orders.given = [block]
    t.equal(await send(), BLOCKED)
    t.strictSame(world.errors, [])
  })
}

t.test('a block holds where counts cannot be written, whatever on_failure says', async t => {
  for (const onFailure of ['dunno', 'defer', 'close']) {
    const { world, orders } = await worldWith(t, chain(LIMIT, `on_failure = ${onFailure}`))
    orders.given = [block]
    t.equal(world.messages.join(), '')
    const answer = makeEngine({
      ...{ loaded: world.loaded, measures: orders, log: silentLog, sinks: [] },
      clock: { ...systemClock, now: () => NOON },
    })
    const request = new PolicyRequest(new Map(Object.entries({ ...MAIL, instance: 'a' })), {
      id: 1,
      endpoint: '12345',
    })
    const judged = await answer(request)
    t.match(judged.uncounted(), { action: BLOCKED, silent: undefined }, onFailure)
  }
})

t.test('the refusal is in the language of the configuration', async t => {
  for (const [language, text] of [
    [
      'de',
      'reject 5.7.1 Das Konto alice ist gesperrt; bitte wenden Sie sich an Ihren Administrator',
    ],
    ['fr', 'reject 5.7.1 Le compte alice est bloque ; veuillez contacter votre administrateur'],
  ]) {
    const blocks = plugin('SendingLimit', `threshold = 3\nlanguage = ${language}`)
    const { orders, send } = await worldWith(t, chain(blocks))
    orders.given = [block]
    t.equal(await send(), text)
  }
  const { orders, send } = await worldWith(t, chain(LIMIT))
  orders.given = [{ ...block, account: 'mülle\r\nr' }]
  t.equal(
    await send(),
    'reject 5.7.1 The account is blocked; please contact your administrator',
    'a name that SMTP cannot show is left out',
  )
})

t.test('the account is looked up without the default domain of the configuration', async t => {
  const blocks = plugin('SendingLimit', 'threshold = 3\ndefault_domain = example.org')
  const { orders, send } = await worldWith(t, chain(blocks))
  orders.given = [block]
  t.equal(await send({ sasl_username: 'alice@example.org' }), BLOCKED)
  t.equal(await send({ sasl_username: 'alice@example.net' }), 'dunno')
})

t.test('an account is accepted from further countries while that is in force', async t => {
  const { world, orders, send } = await worldWith(
    t,
    chain(plugin('AllowedCountries', 'countries = DE', 'countries')),
  )
  const abroad = { client_address: CHINESE }
  t.match(await send(abroad), /^reject 5\.7\.1 /)
  orders.given = [allow('ES', 'CN')]
  t.equal(await send(abroad), 'dunno')
  t.match(world.verdicts.at(-1), { country: 'CN', measure: 'allow' })
  t.equal(await send(), 'dunno')
  t.notOk(world.verdicts.at(-1)?.measure, 'from Germany it was allowed anyway')
  t.match(await send({ ...abroad, sasl_username: 'bob' }), /^reject/)
  orders.given = [allow('ES')]
  t.match(await send(abroad), /^reject/)
  orders.given = [allow('CN')]
  world.now += HOUR
  t.match(await send(abroad), /^reject/, 'its hour is over')
})

const OF_USERS = plugin(
  'SendingLimit',
  'threshold = 3\n<User alice>\nthreshold = 2\n</User>\nuc_threshold = own',
  'limit',
)

t.test('a limit that is ordered comes before all others, and only for its account', async t => {
  const { world, orders, send } = await worldWith(
    t,
    chain(plugin('SetField', 'key = own\nvalue = 1', 'own') + OF_USERS),
  )
  const mail = (recipient_count: string, user = 'alice') =>
    send({ recipient_count, sasl_username: user })
  t.match(await mail('2'), /^reject/)
  orders.given = [limit(5)]
  t.equal(await mail('4'), 'dunno')
  t.match(world.verdicts.at(-1), { used: 4, limit: 5, measure: 'limit' })
  t.match(await mail('2'), /limit of 5|of your 5/, 'and not more')
  t.match(await mail('2', 'bob'), /^reject/)
  orders.given = [limit(Number.POSITIVE_INFINITY)]
  t.equal(await mail('1000'), 'dunno')
  t.match(world.verdicts.at(-1), { used: 1004, limit: 'unlimited' })
  orders.given = [limit(0)]
  t.match(await mail('1'), /^reject/)
  world.now += HOUR
  t.match(await mail('1'), /^reject/, 'the configuration’s again')
})

t.test('a limit that is ordered is for one window, or for the limit of that name', async t => {
  const blocks = [
    plugin('SendingLimit', 'threshold = 3', 'limit'),
    plugin('SendingLimit', 'threshold = 2\nwindow = 60m', 'hour'),
    plugin('SendingLimit', 'threshold = 1\nunit = megabytes', 'volume'),
    plugin('SendingLimit', 'threshold = 100\nper = domain\ndefault_domain = example.org', 'domain'),
  ].join('')
  const { world, orders, send } = await worldWith(t, chain(blocks))
  const mail = (recipient_count: string, size = '1') => send({ recipient_count, size })
  orders.given = [limit(10)]
  t.match(await mail('3'), /^reject/)
  t.match(world.verdicts.at(-1), { by: 'hour' })
  orders.given = [limit(10, '1h')]
  t.equal(await mail('3'), 'dunno')
  t.match(await mail('1'), /^reject/)
  t.match(world.verdicts.at(-1), { by: 'limit' })
  orders.given = [limit(10, '1h'), limit(10)]
  t.equal(await mail('1'), 'dunno')
  t.match(await mail('1', '2000000'), /^reject/)
  t.match(world.verdicts.at(-1), { by: 'volume' })
  orders.given = [limit(10, '1h'), limit(10), limit(5, 'volume')]
  t.equal(await mail('1', '2000000'), 'dunno')
  t.match(await mail('200'), /^reject/)
})

t.test('a cap of one message stays, whatever is ordered', async t => {
  const { orders, send } = await worldWith(
    t,
    chain(plugin('SendingLimit', 'threshold = 3\nmost_recipients = 2')),
  )
  orders.given = [limit(Number.POSITIVE_INFINITY)]
  t.match(await send({ recipient_count: '3' }), /^reject 5\.5\.3/)
})

t.test('a configuration declares its limits', async t => {
  const blocks = [
    plugin('SendingLimit', 'threshold = 3\ndefault_domain = example.org', 'limit'),
    plugin('SendingLimit', 'threshold = 2\nwindow = 60m\nunit = messages', 'hour'),
    plugin('SendingLimit', 'threshold = 9\nper = server', 'server'),
  ].join('')
  const { world } = await worldWith(t, chain(blocks))
  t.match(world.loaded.limits, [
    { name: 'limit', counter: 'limit', unit: 'recipients', per: 'user', window: 'day' },
    { name: 'hour', counter: 'hour in messages', unit: 'messages', per: 'user', window: '1h' },
    { name: 'server', per: 'server' },
  ])
  t.equal(world.loaded.limits[0]?.defaultDomain, 'example.org')
  t.match(world.loaded.limits[1]?.windowAt(NOON), { milliseconds: HOUR })
})
