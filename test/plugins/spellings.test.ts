/** One address is one address, however its domain is written: for every list, trap and table. */

import t, { type Test } from 'tap'
import { fakeKeyValueStore } from '../support/fake-key-value.ts'
import { chain, makeWorld, NOON, plugin, type World, type WorldOptions } from '../support/world.ts'

const MEMCACHED = '<Connection memcached>\nmodule = Memcached\n</Connection>'
const DB = '<Connection db>\nmodule = Sql\ndsn = "dbi:SQLite:dbname=:memory:"\n</Connection>'
const DSN = 'dbi:SQLite:dbname=:memory:'
const ADDRESSES = ['a@trap.example', 'a@TRAP.example', 'a@trap.example.', 'a@Trap.Example.']
const OTHERS = ['A@trap.example', 'a@trap.example..', 'a@trap.example.org', 'a.@trap.example']

async function rightWorld(t: Test, text: string, options: WorldOptions = {}): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

for (const [what, block, globals] of [
  ['Honeypot', plugin('Honeypot', 'recipients = a@trap.example'), MEMCACHED],
  [
    'Honeypot, as written with capitals',
    plugin('Honeypot', 'recipients = a@TRAP.example.'),
    MEMCACHED,
  ],
  [
    'Honeypot, by expression',
    plugin('Honeypot', 'recipients_re = "^a@trap\\.example$"'),
    MEMCACHED,
  ],
  [
    'Condition',
    plugin('Condition', 'key = recipient\nmatch = a@trap.example\naction = reject'),
    '',
  ],
  [
    'Condition',
    plugin('Condition', 'key = r:recipient\nmatch = a@TRAP.example\naction = reject'),
    '',
  ],
  [
    'Condition, by expression',
    plugin('Condition', 'key = r:recipient\nre_match = "^a@trap\\.example$"\naction = reject'),
    '',
  ],
  [
    'RegexList',
    plugin('RegexList', 'key = recipient\nregex = "^a@trap\\.example$"\naction = reject'),
    '',
  ],
  [
    'SqlList',
    plugin(
      'SqlList',
      'field = recipient\nsql_query = "SELECT 1 WHERE ? = \'a@trap.example\'"\nmatch_action = reject',
    ),
    DB,
  ],
  [
    'SqlUserConfig',
    plugin(
      'SqlUserConfig',
      'field = recipient\nsql_query = "SELECT \'{\\"x\\":1}\' WHERE ? = \'a@trap.example\'"',
    ) + plugin('Condition', 'key = s:x\nmatch = 1\naction = reject', 'found'),
    DB,
  ],
] as const) {
  t.test(`${what}: case and final dot of the domain do not count`, async t => {
    for (const recipient of [...ADDRESSES, ...OTHERS]) {
      const world = await rightWorld(t, chain(block, globals), {
        keyValue: fakeKeyValueStore(NOON),
      })
      const answer = await world.ask({ client_address: '192.0.2.4', recipient })
      const wanted = ADDRESSES.includes(recipient) ? /^reject/ : /^dunno$/
      t.match(answer, wanted, recipient)
      t.strictSame(world.errors, [])
    }
  })
}

t.test('Condition and RegexList: inverted, no spelling gets around them', async t => {
  for (const block of [
    plugin('Condition', 'key = helo_name\nmatch = mx.example.org\ninvert = 1\naction = reject'),
    plugin(
      'RegexList',
      'key = helo_name\nregex = "^mx\\.example\\.org$"\ninvert = 1\naction = reject',
    ),
  ]) {
    const world = await rightWorld(t, chain(block))
    t.equal(await world.ask({ helo_name: 'MX.example.org.' }), 'dunno')
    t.equal(await world.ask({ helo_name: 'mx2.example.org' }), 'reject')
  }
})

t.test('a local part is compared without its quotes, as Postfix sends it', async t => {
  const trap = await rightWorld(
    t,
    chain(plugin('Honeypot', 'recipients = ""old trap"@example.org"'), MEMCACHED),
    { keyValue: fakeKeyValueStore(NOON) },
  )
  const from = { client_address: '192.0.2.4' }
  t.match(await trap.ask({ ...from, recipient: 'old trap@example.org' }), /^reject/)

  t.match(
    await trap.ask({ client_address: '::ffff:192.0.2.4', recipient: 'x@example.org' }),
    /^reject/,
    'the client is known, however its address is written',
  )

  const query = 'SELECT 1 WHERE ? = \'"old trap"@example.org\''
  const list = await rightWorld(
    t,
    chain(plugin('SqlList', `field = sender\nsql_query = "${query}"\nmatch_action = reject`), DB),
  )
  t.equal(await list.ask({ sender: 'old trap@example.org' }), 'reject', 'a table with quotes')
  t.equal(await list.ask({ sender: "x' OR '1'='1@example.org" }), 'dunno', 'it is only a value')
})

t.test('a login name is one, in whatever case it is typed', async t => {
  const quota =
    plugin('Quota', 'field = sasl_username\nmetric = count\nthreshold = 2\naction = reject') +
    plugin('Accounting', 'fields = sasl_username')
  const counting = await rightWorld(t, chain(quota, DB))
  const answers = []
  for (const sasl_username of ['alice', 'ALICE', 'Alice', 'bob']) {
    answers.push(await counting.ask({ sasl_username }))
  }
  t.strictSame(answers, ['dunno', 'dunno', 'reject', 'dunno'])

  for (const [block, globals] of [
    [plugin('Condition', 'key = sasl_username\nmatch = Alice\naction = reject'), ''],
    [plugin('RegexList', 'key = sasl_username\nregex = "^alice$"\naction = reject'), ''],
    [
      plugin(
        'SqlList',
        'field = sasl_username\nsql_query = "SELECT 1 WHERE ? = \'alice\'"\nmatch_action = reject',
      ),
      DB,
    ],
  ] as const) {
    const world = await rightWorld(t, chain(block, globals))
    t.equal(await world.ask({ sasl_username: 'ALICE' }), 'reject', block)
    t.equal(await world.ask({ sasl_username: 'alice2' }), 'dunno')
  }
})

t.test('Greylist: one ticket and one whitelist entry for all spellings', async t => {
  const store = fakeKeyValueStore(NOON)
  const world = await rightWorld(t, chain(plugin('Greylist'), `${MEMCACHED}\n${DB}`), {
    keyValue: store,
  })
  const mail = { client_address: '192.0.2.4', sender: 'a@Example.org.', recipient: 'b@EXAMPLE.net' }
  t.match(await world.ask(mail), /^defer/)
  t.strictSame(Object.keys(store.entries()), ['a@example.org,192.0.2.4,b@example.net'])
  world.now += 301_000
  store.now = world.now
  const again = {
    client_address: '::ffff:192.0.2.4',
    sender: 'a@example.ORG',
    recipient: 'b@example.net.',
  }
  t.equal(await world.ask(again), 'dunno')
  const rows = await world.sql(DSN).query('SELECT sender_domain FROM autowl', [], 9)
  t.strictSame(rows, [['example.org']])
})

t.test('Accounting and Quota: nobody has a second count under another spelling', async t => {
  const field = 'sender'
  const world = await rightWorld(
    t,
    chain(
      plugin('Quota', `field = ${field}\nmetric = count\nthreshold = 2\naction = reject`) +
        plugin('Accounting', `fields = ${field}`),
      DB,
    ),
  )
  const answers = []
  for (const sender of ['a@example.org', 'a@EXAMPLE.org', 'a@example.org.', 'A@example.org']) {
    answers.push(await world.ask({ sender }))
  }
  t.strictSame(answers, ['dunno', 'dunno', 'reject', 'dunno'])
})
