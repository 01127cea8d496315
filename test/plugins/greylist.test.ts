/** Greylisting, with a store whose clock the test turns, and once with the real ones. */

import t, { type Test } from 'tap'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { type FakeKeyValueStore, fakeKeyValueStore } from '../support/fake-key-value.ts'
import { chain, makeWorld, NOON, plugin, type World } from '../support/world.ts'

const DSN = 'dbi:SQLite:dbname=:memory:'
const DB = `<Connection db>\nmodule = Sql\ndsn = "${DSN}"\n</Connection>`
const MEMCACHED = '<Connection memcached>\nmodule = Memcached\n</Connection>'
const REDIS = '<Connection redis>\nmodule = Redis\n</Connection>'
const BOTH = `${DB}\n${MEMCACHED}`
const SESSIONS = '<SessionCache>\nmodule = Memory\n</SessionCache>'
const IN_REDIS = '<Ticket>\nmodule = Redis\n</Ticket>\n<AWL>\nmodule = Redis\n</AWL>'
const END = plugin('Action', 'action = reject end of chain', 'end')
const PASSED = 'reject end of chain'
const DEFERRED = 'defer greylisting is active'

const MAIL = {
  sender: 'news@example.net',
  client_address: '192.0.2.5',
  recipient: 'rcpt@example.org',
}
const TICKET = 'news@example.net,192.0.2.5,rcpt@example.org'

interface GreyWorld extends World {
  readonly store: FakeKeyValueStore
  /** Lets time go by, for us and for the store. */
  later(seconds: number): void
}

interface GreyOptions {
  readonly globals?: string
  readonly blocks?: string
  readonly secondMilliseconds?: number
}

async function greyWorld(
  t: Test,
  lines = '',
  { globals = BOTH, blocks = '', secondMilliseconds = 1000 }: GreyOptions = {},
): Promise<GreyWorld> {
  const store = fakeKeyValueStore(NOON)
  const text = chain(plugin('Greylist', lines) + blocks + END, globals)
  const world = await makeWorld(text, { keyValue: store, secondMilliseconds })
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return Object.assign(world, {
    store,
    later(seconds: number) {
      world.now += seconds * 1000
      store.now = world.now
    },
  })
}

const whitelist = (world: World, table = 'autowl') =>
  world
    .sql(DSN)
    .query(`SELECT sender_domain, client_ip, count, last_seen FROM ${table} ORDER BY id`, [], 100)

/** A mail that comes, waits, and comes again. */
async function passOnce(world: GreyWorld, mail: Record<string, string> = MAIL): Promise<void> {
  await world.ask(mail)
  world.later(301)
  await world.ask(mail)
}

t.test('a client that retries after the waiting time passes', async t => {
  const world = await greyWorld(t)
  t.equal(await world.ask(MAIL), DEFERRED)
  t.equal(world.store.entries()[TICKET], String(NOON / 1000 + 300))
  t.equal(world.store.secondsLeft(TICKET), 7200)
  world.later(100)
  t.equal(await world.ask(MAIL), `${DEFERRED} (200s left)`)
  world.later(201)
  t.equal(await world.ask(MAIL), PASSED)
  t.strictSame(world.store.entries(), {}, 'the ticket is used up')
  t.strictSame(whitelist(world), [['example.net', '192.0.2.5', 1, NOON / 1000 + 301]])
  t.equal(await world.ask(MAIL), DEFERRED, 'another mail begins anew')
  world.later(7200)
  t.equal(await world.ask(MAIL), DEFERRED, 'who comes too late as well')
})

t.test('the waiting times are those in the plugin or in <Ticket>', async t => {
  const ticket = '<Ticket>\nmodule = Memcached\nmin_retry_wait = 10\n</Ticket>'
  const world = await greyWorld(t, `min_retry_wait = 60\nmax_retry_wait = 90\n${ticket}`)
  t.equal(await world.ask(MAIL), DEFERRED)
  t.equal(world.store.secondsLeft(TICKET), 90)
  t.equal(await world.ask(MAIL), `${DEFERRED} (10s left)`, 'the inner one counts')
  world.later(11)
  t.equal(await world.ask(MAIL), PASSED)
  const never = await makeWorld(
    chain(plugin('Greylist', 'min_retry_wait = 100\nmax_retry_wait = 100'), BOTH),
  )
  t.match(never.messages, [/warning: .*no mail can pass unless max_retry_wait/])
})

t.test(
  'each sender, client and recipient has its own ticket; any of them may be missing',
  async t => {
    const world = await greyWorld(t)
    await world.ask(MAIL)
    world.later(301)
    for (const other of ['sender', 'client_address', 'recipient'] as const) {
      t.equal(await world.ask({ ...MAIL, [other]: `x${MAIL[other]}` }), DEFERRED, other)
    }
    t.equal(await world.ask({}), DEFERRED)
    t.equal(world.store.entries()[',,'], String(NOON / 1000 + 601))
    t.equal(await world.ask(MAIL), PASSED)
  },
)

t.test('messages, score and mode', async t => {
  const silent = await greyWorld(t, 'append_waittime = 0\ndefer_message = 450 4.2.0 later')
  t.equal(await silent.ask(MAIL), '450 4.2.0 later')
  t.equal(await silent.ask(MAIL), '450 4.2.0 later')

  const scored = await greyWorld(t, 'score = -5', { blocks: plugin('AddScoreHeader') })
  await scored.ask(MAIL)
  scored.later(301)
  t.equal(await scored.ask(MAIL), 'PREPEND X-MtScore: NO score=-5 [greylist=-5]')

  const ending = await greyWorld(t, 'mode = dunno')
  await ending.ask(MAIL)
  ending.later(301)
  t.equal(await ending.ask(MAIL), 'dunno')

  const off = await greyWorld(t, 'enabled = off')
  t.equal(await off.ask(MAIL), PASSED)
  t.strictSame(off.store.entries(), {})
})

t.test('mode = accept: Postfix has no such action, so it is dunno', async t => {
  const store = fakeKeyValueStore(NOON)
  await store.set(TICKET, '1', 60)
  const text = chain(plugin('Greylist', 'mode = accept') + END, BOTH)
  const world = await makeWorld(text, { keyValue: store })
  t.teardown(() => world.close())
  t.match(world.messages, [/warning: "mode" .*"accept" is answered as "dunno"/])
  t.equal(await world.ask(MAIL), 'dunno')
})

t.test('create_ticket = 0 judges only mail that already has a ticket', async t => {
  const world = await greyWorld(t, 'create_ticket = 0')
  t.equal(await world.ask(MAIL), PASSED)
  t.strictSame(world.store.entries(), {})
  await world.store.set(TICKET, String(NOON / 1000 + 50), 100)
  t.equal(await world.ask(MAIL), `${DEFERRED} (50s left)`)
  world.later(51)
  t.equal(await world.ask(MAIL), PASSED)
})

t.test(
  'in two stages: mail that passes the first block passes the second, and is scored once',
  async t => {
    const world = await greyWorld(t, 'score = -5\ncreate_ticket = 0\nquery_autowl = 0', {
      blocks:
        plugin('Condition', 'key = r:sender\nre_match = .\nscore = 20', 'sc') +
        plugin(
          'ScoreAction',
          `threshold = 5\n${plugin('Greylist', 'score = -5', 'second')}`,
          'stage',
        ) +
        plugin('AddScoreHeader'),
    })
    t.equal(await world.ask(MAIL), DEFERRED)
    world.later(301)
    t.equal(await world.ask(MAIL), 'PREPEND X-MtScore: YES score=15 [greylist=-5, sc=20]')
  },
)

t.test('a pair that has passed three times is known until it is not seen for 60 days', async t => {
  const world = await greyWorld(t)
  for (const count of [1, 2, 3]) {
    await passOnce(world, { ...MAIL, recipient: `${count}@example.org` })
    t.match(whitelist(world), [['example.net', '192.0.2.5', count]])
  }
  const another = { ...MAIL, sender: 'other@example.net', recipient: 'new@example.org' }
  t.equal(await world.ask(another), PASSED)
  t.match(whitelist(world), [['example.net', '192.0.2.5', 4, world.now / 1000]])
  t.equal(await world.ask({ ...another, client_address: '192.0.2.6' }), DEFERRED)
  t.equal(await world.ask({ ...another, sender: 'other@sub.example.net' }), DEFERRED)
  world.later(60 * 86_400)
  t.equal(await world.ask(MAIL), PASSED, 'to the day')
  world.later(60 * 86_400 + 1)
  t.equal(await world.ask(MAIL), DEFERRED)
  world.later(301)
  t.equal(await world.ask(MAIL), PASSED)
  t.match(whitelist(world), [['example.net', '192.0.2.5', 1]], 'and begins again')
})

t.test('a row of mtpolicyd’s table counts, and the table is used unchanged', async t => {
  const world = await greyWorld(t)
  const sql = world.sql(DSN)
  sql.execute('DROP TABLE autowl', [])
  sql.execute(
    `CREATE TABLE autowl (id INTEGER PRIMARY KEY AUTOINCREMENT, sender_domain VARCHAR(255) NOT NULL,
     client_ip VARCHAR(39) NOT NULL, count INT UNSIGNED NOT NULL, last_seen INTEGER NOT NULL)`,
    [],
  )
  sql.execute(`INSERT INTO autowl VALUES (NULL, 'example.net', '192.0.2.5', 100, ?)`, [NOON / 1000])
  t.equal(await world.ask(MAIL), PASSED, 'mtpolicyd did not find it')
  t.match(whitelist(world), [['example.net', '192.0.2.5', 101]])
  await passOnce(world, { ...MAIL, sender: 'a@example.com' })
  await passOnce(world, { ...MAIL, sender: 'b@example.com' })
  t.match(whitelist(world), [['example.net'], ['example.com', '192.0.2.5', 2]])
})

t.test('table and days are configurable; the whitelist can be ignored or omitted', async t => {
  const awl = '<AWL>\nmodule = Sql\nautowl_table = other\nautowl_expire_days = 1\n</AWL>'
  const world = await greyWorld(t, `autowl_threshold = 1\nautowl_table = x\n${awl}`)
  await passOnce(world)
  t.match(whitelist(world, 'other'), [['example.net', '192.0.2.5', 1]])
  t.equal(await world.ask(MAIL), PASSED)
  world.later(86_401)
  t.equal(await world.ask(MAIL), DEFERRED)

  const unasked = await greyWorld(t, 'autowl_threshold = 1\nquery_autowl = 0')
  await passOnce(unasked)
  t.match(whitelist(unasked), [['example.net', '192.0.2.5', 1]])
  t.equal(await unasked.ask(MAIL), DEFERRED)

  const without = await greyWorld(t, 'autowl_threshold = 1\nuse_autowl = 0', {
    globals: MEMCACHED,
  })
  await passOnce(without)
  t.equal(await without.ask(MAIL), DEFERRED, 'and needs no database')
})

t.test('an odd sender bypasses the whitelist', async t => {
  const world = await greyWorld(t, 'autowl_threshold = 1')
  for (const sender of [`a@${'b'.repeat(256)}`, 'a@bücher.example']) {
    await passOnce(world, { ...MAIL, sender })
    t.equal(await world.ask({ ...MAIL, sender }), DEFERRED)
  }
  t.strictSame(whitelist(world), [])
  await passOnce(world, { ...MAIL, sender: '' })
  await passOnce(world, { ...MAIL, sender: 'nodomain' })
  t.match(whitelist(world), [
    ['', '192.0.2.5', 1],
    ['nodomain', '192.0.2.5', 1],
  ])
})

t.test('the hourly task removes expired pairs, no other task does', async t => {
  const world = await greyWorld(t)
  const sql = world.sql(DSN)
  for (const [domain, days] of [
    ['old.example', 61],
    ['new.example', 59],
  ] as const) {
    sql.execute(`INSERT INTO autowl VALUES (NULL, ?, '192.0.2.5', 5, ?)`, [
      domain,
      NOON / 1000 - days * 86_400,
    ])
  }
  await world.runTask('daily')
  await world.runTask('HOURLY')
  t.match(whitelist(world), [['old.example'], ['new.example']])
  await world.runTask('hourly')
  t.match(whitelist(world), [['new.example']])
})

t.test('the whitelist in Redis', async t => {
  const world = await greyWorld(t, `autowl_threshold = 2\n${IN_REDIS}`, { globals: REDIS })
  const key = 'awl-,example.net,192.0.2.5'
  await passOnce(world)
  t.strictSame(world.store.entries(), { [key]: '1' })
  t.equal(await world.ask(MAIL), DEFERRED, 'once is not twice')
  world.later(301)
  t.equal(await world.ask(MAIL), PASSED)
  t.equal(await world.ask(MAIL), PASSED, 'at once')
  t.equal(world.store.entries()[key], '3')
  t.equal(world.store.secondsLeft(key), 60 * 86_400)
  const one = await greyWorld(t, `autowl_threshold = 1\n${IN_REDIS}`, { globals: REDIS })
  t.equal(await one.ask(MAIL), DEFERRED, 'with a threshold of 1 the unknown are unknown, too')
})

t.test('one mail: each recipient has a ticket, and what has passed stays passed', async t => {
  const world = await greyWorld(t, 'score = -5', {
    globals: `${BOTH}\n${SESSIONS}`,
    blocks: plugin('AddScoreHeader'),
  })
  const to = (recipient: string, instance: string) => world.ask({ ...MAIL, instance, recipient })
  t.equal(await to('a', '1'), DEFERRED)
  world.later(10)
  t.equal(await to('b', '1'), DEFERRED, 'another recipient')
  t.equal(await to('a', '1'), `${DEFERRED} (290s left)`, 'named twice: the time goes on')
  world.later(291)
  t.match(await to('a', '2'), 'PREPEND X-MtScore: NO score=-5 [greylist=-5]')
  t.equal(await to('b', '2'), `${DEFERRED} (9s left)`, 'the first one’s pass is not for the second')
  t.equal(await to('a', '2'), 'dunno', 'asked again: still passed')
  t.equal(await to('', '2'), 'dunno', 'DATA of a mail with several recipients')
  t.equal(await to('', '3'), DEFERRED)
  world.later(10)
  t.equal(await to('b', '2'), 'dunno')
  t.match(whitelist(world), [['example.net', '192.0.2.5', 1]], 'counted once per mail')
})

t.test('one mail with several recipients of a known pair counts once', async t => {
  const world = await greyWorld(t, 'autowl_threshold = 1', { globals: `${BOTH}\n${SESSIONS}` })
  await passOnce(world, { ...MAIL, instance: '1' })
  for (const recipient of ['a', 'b', 'c']) {
    t.equal(await world.ask({ ...MAIL, instance: '2', recipient }), PASSED)
  }
  t.match(whitelist(world), [['example.net', '192.0.2.5', 2]])
})

t.test('a store that does not respond is a failed plugin, not deferred mail', async t => {
  const world = await greyWorld(t)
  world.store.isDown = true
  t.equal(await world.ask(MAIL), PASSED)
  t.match(world.errors, [/^plugin greylist failed: the store is down/])
  world.sql(DSN).execute('DROP TABLE autowl', [])
  world.store.isDown = false
  t.equal(await world.ask(MAIL), PASSED)
  t.match(world.errors.at(-1), /no such table/)
  const strict = await greyWorld(t, '', { globals: `${BOTH}\non_failure = defer` })
  strict.store.isDown = true
  t.match(await strict.ask(MAIL), /^defer the mail could not be checked/)
})

t.test('an unknown value under a ticket’s key is not a ticket', async t => {
  const world = await greyWorld(t)
  await world.store.set(TICKET, 'soon', 60)
  t.equal(await world.ask(MAIL), DEFERRED)
  t.equal(await world.ask(MAIL), `${DEFERRED} (300s left)`)
})

t.test('missing or wrong settings are reported, and the daemon does not start', async t => {
  for (const [lines, globals, message] of [
    ['', DB, /there is no <Connection memcached> for its tickets/],
    ['', MEMCACHED, /there is no <Connection db> for its whitelist; "use_autowl = 0" needs none/],
    [IN_REDIS, DB, /there is no <Connection redis> for its tickets/],
    ['memcached = a', BOTH, /there is no <Connection a> for its tickets/],
    ['<Ticket>\nmemcached = b\n</Ticket>', BOTH, /there is no <Connection b> for its tickets/],
    ['<AWL>\ndb = c\n</AWL>', BOTH, /there is no <Connection c> for its whitelist/],
    ['autowl_table = "a;b"', BOTH, /"a;b" of engine "MyISAM" cannot be a table name/],
    ['<AWL>\nmodule = Memcached\n</AWL>', BOTH, /expected Sql or Redis, found "Memcached"/],
    ['<Ticket>\nmodule = Sql\n</Ticket>', BOTH, /expected Memcached or Redis, found "Sql"/],
    ['<Ticket>\nmin_retry_wait = soon\n</Ticket>', BOTH, /"min_retry_wait" in <Ticket>: expected/],
  ] as const) {
    const world = await makeWorld(chain(plugin('Greylist', lines), globals))
    t.teardown(() => world.close())
    t.match(world.messages[0], message)
    t.ok(world.problems.some(({ severity }) => severity === 'fatal'))
  }
  const odd = await makeWorld(
    chain(plugin('Greylist', 'mode = reject\ndefer_message = wait'), BOTH),
  )
  t.match(odd.messages, [
    /expected one of: passive, dunno, accept, found "\w+"; it counts as "passive"/,
    /"wait" is not an action/,
  ])
})

t.test(
  'with real servers: tickets in memcached and Redis, and a sender too long for a key',
  { skip: serverMissing('memcached') || serverMissing('redis') },
  async t => {
    const [memcached, redis] = await Promise.all([startServer('memcached'), startServer('redis')])
    t.teardown(() => Promise.all([memcached.remove(), redis.remove()]))
    const globals = `${DB}
<Connection memcached>\nmodule = Memcached\nservers = "127.0.0.1:${memcached.port}"\n</Connection>
<Connection redis>\nmodule = Redis\nserver = "127.0.0.1:${redis.port}"\n</Connection>`
    for (const inner of ['', IN_REDIS]) {
      const lines = `min_retry_wait = 0\nautowl_threshold = 2\n${inner}`
      const world = await makeWorld(chain(plugin('Greylist', lines) + END, globals))
      t.teardown(() => world.close())
      for (const sender of [MAIL.sender, `${'long'.repeat(100)}@example.com`, 'a b@example.edu']) {
        const mail = { ...MAIL, sender }
        t.equal(await world.ask(mail), DEFERRED)
        world.now += 1000
        t.equal(await world.ask(mail), PASSED, sender.slice(0, 20))
        t.equal(await world.ask(mail), DEFERRED)
        world.now += 1000
        t.equal(await world.ask(mail), PASSED)
        t.equal(await world.ask(mail), PASSED, 'known')
      }
      t.strictSame(world.errors, [])
    }
  },
)

t.test('a store that answers after the deadline changes nothing for later requests', async t => {
  const globals = `request_timeout = 1\non_failure = defer\n${BOTH}`
  const world = await greyWorld(t, '', { globals, secondMilliseconds: 20 })
  await world.ask(MAIL)
  world.later(301)
  world.store.delay = 60
  t.match(await world.ask(MAIL), /^defer the mail could not be checked/)
  await new Promise(resolve => setTimeout(resolve, 150))
  world.store.delay = 0
  t.ok(TICKET in world.store.entries(), 'the ticket is still there')
  t.equal(await world.ask(MAIL), PASSED, 'and good for the next try')
})

t.test('authenticated users are not greylisted unless the configuration says so', async t => {
  for (const [lines, answer] of [
    ['', 'dunno'],
    ['authenticated = on', 'defer greylisting is active'],
  ] as const) {
    const world = await makeWorld(
      chain(
        plugin('Greylist', `use_autowl = 0\n${lines}`),
        '<Connection memcached>\nmodule = Memcached\n</Connection>',
      ),
      { keyValue: fakeKeyValueStore(NOON) },
    )
    t.teardown(() => world.close())
    const mail = {
      client_address: '192.0.2.4',
      sender: 'a@example.org',
      recipient: 'b@example.net',
    }
    t.equal(await world.ask({ ...mail, sasl_username: 'alice' }), answer)
    t.match(await world.ask({ ...mail, sasl_username: '' }), /^defer/)
  }
})
