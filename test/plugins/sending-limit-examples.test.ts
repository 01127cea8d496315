/**
 * What mail administrators have asked for elsewhere, as they would write it here. The numbers are those
 * of their requests.
 */

import t, { type Test } from 'tap'
import { chain, makeWorld, NOON, type World, type WorldOptions } from '../support/world.ts'

const HOUR = 3_600_000

async function configured(t: Test, blocks: string, options: WorldOptions = {}): Promise<World> {
  const text = chain(blocks, 'timezone = "Europe/Berlin"')
  const world = await makeWorld(text, { ...options })
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

let instances = 0

/** What becomes of a message of alice at its end. */
function send(
  world: World,
  recipients: number,
  attributes: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  return world.ask({
    protocol_state: 'END-OF-MESSAGE',
    instance: `example.${instances++}`,
    sasl_username: 'alice@example.org',
    sender: 'alice@example.org',
    client_address: '198.51.100.7',
    recipient_count: String(recipients),
    size: '5000',
    ...attributes,
  })
}

/** How many messages pass of so many. */
async function passing(
  world: World,
  messages: number,
  attributes: Readonly<Record<string, string>> = {},
): Promise<number> {
  let passed = 0
  for (let i = 0; i < messages; i++) if ((await send(world, 1, attributes)) === 'dunno') passed++
  return passed
}

t.test('a limit per hour and per day, and a cap per message (mailcow #7295)', async t => {
  const world = await configured(
    t,
    `<Plugin day>
      module = "SendingLimit"
      threshold = 100
    </Plugin>
    <Plugin hour>
      module = "SendingLimit"
      threshold = 20
      window = 1h
      most_recipients = 10
    </Plugin>`,
  )
  t.match(await send(world, 11), /^reject 5\.5\.3 A message may have 10 recipients at most/)
  t.equal(await passing(world, 30), 20)
  t.equal(
    await send(world, 1),
    'reject 5.7.1 Limit of 20 recipients per hour reached; ' +
      'you can send again after 2026-11-20 14:01 (Europe/Berlin)',
  )
  for (let hour = 1; hour <= 4; hour++) {
    world.now = NOON + hour * (HOUR + 60_000 * 2)
    t.equal(await passing(world, 25), 20, `hour ${hour}`)
  }
  world.now += 2 * HOUR
  t.match(await send(world, 1), /^reject 5\.7\.1 Daily limit of 100 recipients reached/)
  t.match(world.verdicts.at(-1), { by: 'day', used: 100, limit: 100 })
})

t.test('refused mail costs nothing, whatever refuses it (policyd-rate-limit #20)', async t => {
  const world = await configured(
    t,
    `<Plugin day>
      module = "SendingLimit"
      threshold = 5
    </Plugin>
    <Plugin hour>
      module = "SendingLimit"
      threshold = 3
      window = 1h
    </Plugin>
    <Plugin forged>
      module = "Condition"
      key = "sender"
      match = "forged@example.net"
      action = "reject"
    </Plugin>`,
  )
  t.equal(await passing(world, 50, { sender: 'forged@example.net' }), 0)
  t.match(await send(world, 200), /^reject/)
  t.equal(await passing(world, 9), 3)
  world.now += 2 * HOUR
  t.equal(await passing(world, 9), 2, 'the six that the hour refused are not in the day')
})

t.test('other limits for port 25 than for logins (policyd-rate-limit #36)', async t => {
  const world = await configured(
    t,
    `<Plugin logins>
      module = "SendingLimit"
      threshold = 3
      window = 10m
    </Plugin>
    <Plugin strangers>
      module = "SendingLimit"
      per = client
      applies_to = unauthenticated
      unit = messages
      threshold = 2
      window = 1m
      excess = defer
    </Plugin>`,
  )
  t.equal(await passing(world, 9), 3)
  t.equal(await passing(world, 9, { sasl_username: '', sender: 'x@example.net' }), 2)
  t.match(
    await send(world, 1, { sasl_username: '' }),
    /^defer 4\.7\.1 Limit of 2 messages per minute for 198\.51\.100\.7 reached; /,
  )
  t.equal(await passing(world, 9, { sasl_username: '', client_address: '192.0.2.1' }), 2)
})

t.test('the sum of a domain, and each of its users (mailcow #7295, iRedAdmin #19)', async t => {
  const world = await configured(
    t,
    `<Plugin user>
      module = "SendingLimit"
      threshold = 3
      <Domain example.org>
        threshold = 4
      </Domain>
    </Plugin>
    <Plugin domain>
      module = "SendingLimit"
      per = domain
      threshold = unlimited
      <Domain example.org>
        threshold = 6
      </Domain>
    </Plugin>`,
  )
  t.equal(await passing(world, 9), 4)
  t.equal(await passing(world, 9, { sasl_username: 'bob@example.org' }), 2)
  t.match(
    await send(world, 1, { sasl_username: 'carol@example.org' }),
    /^reject 5\.7\.1 Daily limit of 6 recipients for all users of example\.org reached; /,
  )
  t.match(world.verdicts.at(-1), { by: 'domain' })
  t.equal(await passing(world, 9, { sasl_username: 'dave@example.net' }), 3)
})

t.test('held first, for a person to look at, and refused later (go-policyd)', async t => {
  const world = await configured(
    t,
    `<Plugin limit>
      module = "SendingLimit"
      excess = "from 200 hold, from 400 reject"
      warn_at = 25%
    </Plugin>`,
  )
  t.equal(await send(world, 150), 'dunno')
  t.match(world.verdicts.at(-1), { near: 'limit' }, 'an account with 10,000 mails is seen early')
  t.equal(await send(world, 50), 'dunno')
  t.equal(await send(world, 1), 'hold beyond 200 recipients per day (limit)')
  t.match(await send(world, 199), /^hold /)
  t.match(await send(world, 1), /^reject 5\.7\.1 Daily limit of 400 recipients reached/)
})

t.test(
  'a newsletter, whose senders are in a file (rspamd #1149, policyd-rate-limit #25)',
  async t => {
    const members = new Map([['news@example.org', 'x']])
    const world = await configured(
      t,
      `<Plugin limit>
      module = "SendingLimit"
      threshold = 100
      most_recipients = 50
      <Group newsletter>
        members = "hash:/etc/postfix/newsletter"
        threshold = 20000
        most_recipients = 10000
      </Group>
    </Plugin>`,
      {
        outside: { openTable: () => ({ get: key => members.get(key), problem: () => undefined }) },
      },
    )
    const news = { sasl_username: 'News@example.org' }
    t.equal(await send(world, 10_000, news), 'dunno')
    t.match(await send(world, 10_001, news), /^reject 5\.5\.3/)
    t.equal(await send(world, 10_000, news), 'dunno')
    t.match(await send(world, 1, news), /Daily limit of 20000 recipients reached/)
    t.match(await send(world, 51), /^reject 5\.5\.3/)
  },
)

t.test('megabytes per day', async t => {
  const world = await configured(
    t,
    `<Plugin volume>
      module = "SendingLimit"
      unit = megabytes
      threshold = 500
      most_megabytes = 25
    </Plugin>`,
  )
  t.equal(
    await send(world, 1, { size: '30000000' }),
    'reject 5.3.4 A message may have 25 MB at most, this one has 30 MB',
  )
  t.equal(await passing(world, 30, { size: '25000000' }), 20)
  t.equal(
    await send(world, 1),
    'reject 5.7.1 Daily limit of 500 MB reached; ' +
      'you can send again after 2026-11-21 00:00 (Europe/Berlin)',
  )
})

t.test('one limit for the whole server per hour (postfwd #34)', async t => {
  const world = await configured(
    t,
    `<Plugin server>
      module = "SendingLimit"
      per = server
      applies_to = all
      threshold = 6
      window = 1h
      language = de
    </Plugin>`,
  )
  t.equal(await passing(world, 4), 4)
  t.equal(await passing(world, 4, { sasl_username: '' }), 2)
  t.equal(
    await send(world, 1, { sasl_username: 'bob@example.net' }),
    'reject 5.7.1 Das Limit von 6 Empfaengern pro Stunde fuer alle Benutzer dieses Servers ist erreicht; ' +
      'Sie koennen ab 2026-11-20 14:01 (Europe/Berlin) wieder senden',
  )
})

t.test('forwarded mail does not block the customers of a domain (postfwd #42)', async t => {
  const world = await configured(
    t,
    `<Plugin limit>
      module = "SendingLimit"
      per = domain
      threshold = 3
    </Plugin>`,
  )
  const forwarded = { sasl_username: '', sender: 'someone@example.org' }
  t.equal(await passing(world, 1000, forwarded), 1000)
  t.equal(await passing(world, 9), 3)
})

t.test('a limit of a day in which a network of infected hosts is one client', async t => {
  const world = await configured(
    t,
    `<Plugin network>
      module = "SendingLimit"
      per = network
      applies_to = all
      unit = messages
      threshold = 5
      window = 10m
    </Plugin>`,
  )
  let passed = 0
  for (let host = 1; host <= 20; host++) {
    passed += await passing(world, 1, { client_address: `2001:db8:7:7::${host}` })
  }
  t.equal(passed, 5)
})

t.test(
  'of a stolen password only so many messages leave (hmailserver #349, Stalwart #966)',
  async t => {
    const world = await configured(
      t,
      `<Plugin minute>
      module = "SendingLimit"
      threshold = 10
      window = 1m
    </Plugin>
    <Plugin rolling>
      module = "SendingLimit"
      threshold = 150
      window = 24h
    </Plugin>`,
    )
    let passed = 0
    // A message each second for an hour, then one each minute for the rest of two days.
    for (let second = 0; second < 3600; second++) {
      world.now = NOON + second * 1000
      passed += await passing(world, 1)
    }
    t.equal(passed, 150)
    for (let minute = 61; minute < 24 * 60; minute += 7) {
      world.now = NOON + minute * 60_000
      passed += await passing(world, 1)
    }
    t.equal(passed, 150, 'never more than the limit within 24 hours, whenever they begin')
    world.now = NOON + 25 * HOUR + 30 * 60_000
    t.equal(await passing(world, 10), 10)
  },
)
