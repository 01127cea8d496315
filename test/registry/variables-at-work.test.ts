/** What becomes of mail if variables are set: from `mtpolicyctl set` to the answers. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runRegistryCommand } from '../support/command.ts'
import { CHINESE, GERMAN, makeWorld, NOON, type World } from '../support/world.ts'

const templates = new URL('../../templates', import.meta.url).pathname
const HOUR = 3_600_000

/** The daemon with these variables. */
async function daemonWith(t: Test, ...assignments: string[]): Promise<World> {
  const root = t.testdir()
  const said: string[] = []
  const status = await runRegistryCommand(['set', 'mtpolicyd/timezone=UTC', ...assignments], {
    root,
    env: {},
    templates,
    stdout: () => undefined,
    stderr: text => said.push(text),
    check: () => [],
    reload: () => undefined,
  })
  t.strictSame([status, ...said], [0])
  const text = readFileSync(join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf'), 'utf8')
  const world = await makeWorld(text.replace(/^ *<<include.*$/gm, ''))
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

let messages = 0

/** What becomes of a message, at its end. */
async function send(
  world: World,
  user: string,
  recipients: number,
  address = GERMAN,
): Promise<string> {
  const answer = await world.ask({
    protocol_state: 'END-OF-MESSAGE',
    instance: `instance.${messages++}`,
    sasl_username: user,
    sender: 'somebody@sender.example',
    client_address: address,
    recipient_count: String(recipients),
    size: '1000',
  })
  return answer ?? 'nothing'
}

/** How many of 50 messages with one recipient pass. */
async function passing(world: World, user: string): Promise<number> {
  let passed = 0
  for (let i = 0; i < 50; i++) if ((await send(world, user, 1)) === 'dunno') passed++
  return passed
}

t.test('100 recipients a day, 20 an hour, 10 a message', async t => {
  const world = await daemonWith(
    t,
    'mtpolicyd/threshold=100',
    'mtpolicyd/threshold/hour=20',
    'mtpolicyd/threshold/message=10',
  )
  t.match(await send(world, 'alice', 11), /^reject /)
  t.match(world.verdicts.at(-1), { by: 'limit' })
  t.equal(await send(world, 'alice', 10), 'dunno')
  t.equal(await send(world, 'alice', 10), 'dunno')
  t.match(await send(world, 'alice', 1), /^reject /)
  t.match(world.verdicts.at(-1), { by: 'hour' })
  t.equal(await passing(world, 'bob'), 20, 'another user has a count of his own')
  for (let hour = 1; hour <= 4; hour++) {
    world.now = NOON + hour * (HOUR + 120_000)
    t.equal(await passing(world, 'alice'), 20, `hour ${hour}`)
  }
  world.now += 2 * HOUR
  t.match(await send(world, 'alice', 1), /^reject /)
  t.match(world.verdicts.at(-1), { by: 'limit', used: 100, limit: 100 })
})

t.test('what one window refuses counts in none', async t => {
  const world = await daemonWith(
    t,
    'mtpolicyd/threshold/rolling=30',
    'mtpolicyd/threshold/minute=5',
    'mtpolicyd/server/threshold/hour=1000',
  )
  t.equal(await passing(world, 'alice'), 5)
  t.match(world.verdicts.at(-1), { by: 'minute' })
  world.now += 120_000
  t.equal(await send(world, 'alice', 5), 'dunno')
  world.now += 120_000
  t.equal(await passing(world, 'alice'), 5)
  for (let i = 0; i < 3; i++) {
    world.now += 120_000
    t.equal(await passing(world, 'alice'), 5)
  }
  world.now += 120_000
  t.match(await send(world, 'alice', 1), /^reject /)
  t.match(world.verdicts.at(-1), { by: 'rolling' })
})

t.test('an unlimited user is stopped by the cap per message and the sums only', async t => {
  const world = await daemonWith(
    t,
    'mtpolicyd/threshold=10',
    'mtpolicyd/threshold/hour=5',
    'mtpolicyd/threshold/minute=2',
    'mtpolicyd/threshold/message=25',
    'mtpolicyd/user/news@example.org/threshold=unlimited',
    'mtpolicyd/domain/example.org/threshold=100',
  )
  t.match(await send(world, 'news@example.org', 26), /^reject /)
  for (let i = 0; i < 4; i++) t.equal(await send(world, 'News@Example.org', 25), 'dunno')
  t.match(await send(world, 'news@example.org', 1), /^reject /)
  t.match(world.verdicts.at(-1), { by: 'domain', used: 100, limit: 100 })
  t.match(await send(world, 'alice@example.org', 1), /^reject /, 'the sum is that of all')
  t.equal(await send(world, 'alice@example.net', 1), 'dunno')
})

t.test('the users of a domain have its default, and the domain its sum', async t => {
  const world = await daemonWith(
    t,
    'mtpolicyd/defaultdomain=example.org',
    'mtpolicyd/domain/Example.org/user/threshold=4',
    'mtpolicyd/domain/example.org/threshold=13',
    'mtpolicyd/user/bob/threshold=7',
    'mtpolicyd/user/carol/threshold/message=2',
  )
  t.equal(await passing(world, 'alice@example.org'), 4)
  t.equal(await send(world, 'carol', 3).then(answer => answer.slice(0, 6)), 'reject')
  t.equal(await send(world, 'carol', 2), 'dunno')
  t.equal(await passing(world, 'carol'), 2)
  t.equal(await passing(world, 'bob'), 5)
  t.match(world.verdicts.at(-1), { by: 'domain', used: 13 })
  t.equal(await passing(world, 'dave@example.net'), 50)
})

t.test(
  'the users of a domain have limits of every window (Adit Systems, 250 per hour)',
  async t => {
    const world = await daemonWith(
      t,
      'mtpolicyd/domain/XN--mller-kva.example/user/threshold/hour=3',
      'mtpolicyd/domain/xn--mller-kva.example/user/threshold/message=2',
      'mtpolicyd/domain/xn--mller-kva.example/user/threshold/rolling=5',
      'mtpolicyd/user/boss@xn--mller-kva.example/threshold=30',
      'mtpolicyd/user/news@xn--mller-kva.example/threshold=unlimited',
    )
    for (const user of ['a@müller.example', 'B@XN--mller-kva.example']) {
      t.match(await send(world, user, 3), /^reject 5\.5\.3 /, user)
      t.equal(await passing(world, user), 3, user)
      t.match(world.verdicts.at(-1), { by: 'hour' })
    }
    t.equal(await passing(world, 'boss@müller.example'), 3, 'the own limit is that of the day')
    t.match(await send(world, 'boss@müller.example', 3), /^reject 5\.5\.3 /)
    t.match(await send(world, 'news@müller.example', 3), /^reject 5\.5\.3 /)
    for (let i = 0; i < 9; i++) t.equal(await send(world, 'news@müller.example', 2), 'dunno')
    t.equal(await passing(world, 'a@example.net'), 50, 'another domain')
    world.now += HOUR + 120_000
    t.equal(await passing(world, 'a@müller.example'), 2)
    t.match(world.verdicts.at(-1), { by: 'rolling' })
  },
)

t.test('the server has its sum', async t => {
  const world = await daemonWith(
    t,
    'mtpolicyd/server/threshold=12',
    'mtpolicyd/server/threshold/hour=7',
  )
  t.equal(await passing(world, 'alice'), 7)
  t.match(await send(world, 'bob', 1), /^reject /)
  t.match(world.verdicts.at(-1), { by: 'server-hour' })
  world.now += HOUR + 120_000
  t.equal(await passing(world, 'bob'), 5)
  t.match(world.verdicts.at(-1), { by: 'server' })
})

t.test('excess and language say what becomes of too much mail, and how it is said', async t => {
  const held = await daemonWith(t, 'mtpolicyd/threshold=1', 'mtpolicyd/excess=hold')
  t.equal(await send(held, 'alice', 1), 'dunno')
  t.match(await send(held, 'alice', 1), /^hold/i)
  const deferred = await daemonWith(t, 'mtpolicyd/threshold=1', 'mtpolicyd/excess=defer')
  t.match(await send(deferred, 'alice', 2), /^defer/i)
  const german = await daemonWith(t, 'mtpolicyd/threshold=1', 'mtpolicyd/language=de')
  t.match(await send(german, 'alice', 2), /^reject .*Empf/)
  t.match(await send(german, 'alice', 1, CHINESE), /^reject .* Ihrem derzeitigen Standort/)
  const french = await daemonWith(t, 'mtpolicyd/threshold=1', 'mtpolicyd/language=fr')
  t.match(await send(french, 'alice', 2), /^reject .*destinataire/)
})

t.test('mail from an allowed network passes whatever the country, and counts', async t => {
  const world = await daemonWith(
    t,
    'mtpolicyd/threshold=3',
    `mtpolicyd/allowednetworks=203.0.113.4/30`,
    'mtpolicyd/user/bob/allowednetworks=203.0.113.64/26',
  )
  t.equal(await send(world, 'alice', 3, CHINESE), 'dunno')
  t.match(await send(world, 'alice', 1, CHINESE), /^reject /)
  t.match(world.verdicts.at(-1), { by: 'limit', country: 'CN' })
  t.match(await send(world, 'alice', 1, '203.0.113.70'), /^reject /)
  t.match(world.verdicts.at(-1), { by: 'countries' })
  t.equal(await send(world, 'bob', 1, '203.0.113.70'), 'dunno')
  t.equal(await send(world, 'bob', 1, CHINESE), 'dunno')
})
