/** Plugins that keep or find something in an SQL database: here SQLite, as configurations name it. */

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chain, makeWorld, plugin, type World, type WorldOptions } from '../support/world.ts'

const DSN = 'dbi:SQLite:dbname=:memory:'
const DB = `<Connection db>\nmodule = Sql\ndsn = "${DSN}"\n</Connection>`
const SESSIONS = '<SessionCache>\nmodule = Memory\n</SessionCache>'

async function rightWorld(t: Test, text: string, options?: WorldOptions): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

const rows = (world: World, query: string) => world.sql(DSN).query(query, [], 100)

const COUNTERS = 'SELECT key, time, count, count_rcpt, size, size_rcpt FROM acct_sender ORDER BY id'

t.test('a query that has no place for the value is a mistake at load', async t => {
  for (const module of ['SqlList', 'SqlUserConfig']) {
    for (const [query, message] of [
      ['SELECT 1', /error: "sql_query" in .*the query has no `\?` for the value/],
      ["SELECT 1 WHERE a = '?'", /no `\?` for the value/],
      ['SELECT 1 WHERE a @\\? b', /no `\?` for the value/],
      ['SELECT 1 WHERE a = ? AND b = ?', /warning: .*the query has 2 `\?`, but only one value/],
      ['SELECT 1 WHERE a = ? -- really?', undefined],
      ['SELECT 1 WHERE a = $1', undefined],
    ] as const) {
      const world = await makeWorld(
        chain(
          plugin(module, `sql_query = "${query}"`),
          '<Connection db>\nmodule = Sql\ndsn = "dbi:SQLite:dbname=:memory:"\n</Connection>',
        ),
      )
      t.teardown(() => world.close())
      if (message === undefined) t.strictSame(world.messages, [], query)
      else t.match(world.messages.join('\n'), message, query)
    }
  }
})

t.test('Accounting counts mails, recipients and bytes per value and period', async t => {
  const world = await rightWorld(
    t,
    chain(plugin('Accounting', 'fields = "sender, client_name"'), DB),
  )
  t.strictSame(rows(world, COUNTERS), [], 'the table is there before the first mail')
  const mail = { sender: 'a@example.org', client_name: ' ', recipient_count: '3', size: '100' }
  t.equal(await world.ask(mail), 'dunno')
  await world.ask({ sender: 'a@example.org', recipient_count: '0' })
  await world.ask({ sender: 'A@example.org', size: 'many', recipient_count: '-1' })
  await world.ask({ recipient_count: '7', sender: '' })
  world.now = Date.UTC(2026, 11, 1, 12)
  await world.ask(mail)
  t.strictSame(rows(world, COUNTERS), [
    ['a@example.org', '2026-11', 2, 4, 100, 300],
    ['A@example.org', '2026-11', 1, 1, 0, 0],
    ['a@example.org', '2026-12', 1, 3, 100, 300],
  ])
  t.strictSame(rows(world, 'SELECT * FROM acct_client_name'), [], 'blank is nobody')
})

t.test('Accounting: with sessions a mail is counted once', async t => {
  const text = chain(plugin('Accounting', 'fields = sender'), `${DB}\n${SESSIONS}`)
  const world = await rightWorld(t, text)
  for (const instance of ['1', '1', '2']) await world.ask({ instance, sender: 'a' })
  t.match(rows(world, COUNTERS), [['a', '2026-11', 2]])
})

t.test('Accounting: two blocks of the same name count separately', async t => {
  const inner = plugin('Accounting', 'fields = recipient', 'acct')
  const text =
    plugin('Accounting', 'fields = sender', 'acct') +
    plugin('Condition', `key = sender\nre_match = .\n${inner}`)
  const world = await rightWorld(t, chain(text, `${DB}\n${SESSIONS}`))
  for (const instance of ['1', '1', '2']) {
    await world.ask({ instance, sender: 'a', recipient: 'b' })
  }
  t.match(rows(world, COUNTERS), [['a', '2026-11', 2]])
  t.strictSame(rows(world, 'SELECT key, count FROM acct_recipient'), [['b', 2]])
})

t.test(
  'Accounting: periods by strftime in the configured zone; unknown conversions are reported',
  async t => {
    const at = (pattern: string) => `fields = sender\ntime_pattern = "${pattern}"`
    const world = await rightWorld(
      t,
      chain(plugin('Accounting', at('%Y-%m-%d %H')), `${DB}\ntimezone = "Asia/Tokyo"`),
    )
    world.now = Date.UTC(2026, 10, 20, 18)
    await world.ask({ sender: 'a' })
    t.match(rows(world, COUNTERS), [['a', '2026-11-21 03']])
    const unknown = await makeWorld(chain(plugin('Accounting', at('%Q')), DB))
    t.match(unknown.messages, [/error: "time_pattern" in .*"%Q" is not known to strftime/])
  },
)

t.test('Accounting uses a table of mtpolicyd’s without a unique key', async t => {
  const world = await rightWorld(
    t,
    chain(
      plugin('Accounting', 'fields = sender') +
        plugin('Quota', 'field = sender\nmetric = count\nthreshold = 6'),
      DB,
    ),
  )
  const sql = world.sql(DSN)
  await sql.execute('DROP TABLE acct_sender', [])
  await sql.execute(
    'CREATE TABLE acct_sender (id INTEGER PRIMARY KEY AUTOINCREMENT, key VARCHAR(255), ' +
      'time VARCHAR(255), count INT, count_rcpt INT, size INT, size_rcpt INT)',
    [],
  )
  await sql.execute("INSERT INTO acct_sender VALUES (NULL, 'a', '2026-11', 4, 4, 4, 4)", [])
  t.equal(await world.ask({ sender: 'a' }), 'dunno')
  t.match(await world.ask({ sender: 'a' }), /^defer/)
  t.match(rows(world, COUNTERS), [['a', '2026-11', 6]])
})

t.test('Accounting: a field that could be SQL cannot name a table', async t => {
  const world = await makeWorld(chain(plugin('Accounting', 'fields = "a;DROP"'), DB))
  t.match(world.messages, [/error: "fields" in .*"a;DROP" cannot name a table/])
})

t.test('Quota before Accounting lets exactly the threshold pass, for every metric', async t => {
  for (const [metric, threshold] of [
    ['count', 3],
    ['count_rcpt', 6],
    ['size', 30],
    ['size_rcpt', 60],
  ] as const) {
    const quota = plugin('Quota', `field = sender\nmetric = ${metric}\nthreshold = ${threshold}`)
    const world = await rightWorld(t, chain(quota + plugin('Accounting', 'fields = sender'), DB))
    const send = (sender: string) => world.ask({ sender, recipient_count: '2', size: '10' })
    for (let i = 0; i < 3; i++) t.equal(await send('a'), 'dunno', `${metric}, mail ${i}`)
    t.equal(await send('a'), 'defer smtp traffic quota has been exceeded', metric)
    t.equal(await send('b'), 'dunno', 'another sender')
    t.equal(await send(''), 'dunno', 'no sender')
    world.now = Date.UTC(2026, 11, 1)
    t.equal(await send('a'), 'dunno', 'the next month')
  }
})

t.test('Quota: its action, nested blocks, a per-mail threshold, and no counter yet', async t => {
  const quota = (lines: string) => plugin('Quota', `field = sender\nmetric = count\n${lines}`)
  const acting = await rightWorld(t, chain(quota('threshold = 0\naction = reject full'), DB))
  t.equal(await acting.ask({ sender: 'a' }), 'reject full', 'nothing counted, 0 is reached')
  const inside = plugin('Action', 'action = reject inside', 'inside')
  const nested = await rightWorld(t, chain(quota(`threshold = 0\n${inside}`), DB))
  t.equal(await nested.ask({ sender: 'a' }), 'reject inside')
  const own = await rightWorld(
    t,
    chain(
      plugin(
        'Condition',
        `key = sender\nmatch = rich\n${plugin('SetField', 'key = quota\nvalue = 9')}`,
      ) + quota('threshold = 0\nuc_threshold = quota'),
      DB,
    ),
  )
  t.equal(await own.ask({ sender: 'rich' }), 'dunno')
  t.match(await own.ask({ sender: 'poor' }), /^defer/)
  const odd = await rightWorld(
    t,
    chain(
      plugin('SetField', 'key = what\nvalue = bogus') +
        quota('threshold = 1\nuc_metric = what') +
        plugin('Accounting', 'fields = sender'),
      DB,
    ),
  )
  t.equal(await odd.ask({ sender: 'a' }), 'dunno')
  t.match(await odd.ask({ sender: 'a' }), /^defer/, 'a metric that is none leaves the written one')
  const bogus = await makeWorld(
    chain(plugin('Quota', 'field = sender\nmetric = bogus\nthreshold = 1'), DB),
  )
  t.match(bogus.messages, [
    /error: "metric" in .*expected one of: count, count_rcpt, size, size_rcpt/,
  ])
})

t.test('SqlList: any row is a match; score, actions, and missing attributes', async t => {
  const list = (lines: string) =>
    chain(
      plugin('SqlList', `sql_query = "SELECT hit FROM list WHERE address = ?"\n${lines}`, 'l') +
        plugin('AddScoreHeader'),
      DB,
    )
  const filled = async (lines: string) => {
    const world = await rightWorld(t, list(lines))
    await world.sql(DSN).execute('CREATE TABLE list (address TEXT, hit INT)', [])
    await world
      .sql(DSN)
      .execute("INSERT INTO list VALUES ('192.0.2.1', 0), ('192.0.2.2', NULL)", [])
    return world
  }
  const world = await filled('match_action = reject hit\nnot_match_action = reject miss')
  t.equal(await world.ask({ client_address: '192.0.2.1' }), 'reject hit', 'a row with 0')
  t.equal(await world.ask({ client_address: '192.0.2.2' }), 'reject hit', 'a row with NULL')
  t.equal(await world.ask({ client_address: "192.0.2.1' OR 1 --" }), 'reject miss', 'bound')
  t.match(await world.ask({}), /^PREPEND/, 'nothing sent')
  const scored = await filled('score = 3\nfield = sender')
  t.match(await scored.ask({ sender: '192.0.2.1' }), /score=3 \[l=3\]/)
  t.match(await scored.ask({ sender: 'x' }), /score=0$/)
  const off = await filled('match_action = reject hit\nenabled = off')
  t.match(await off.ask({ client_address: '192.0.2.1' }), /^PREPEND/)
})

t.test('a failing query is a failed plugin, not a failed mail', async t => {
  const world = await rightWorld(
    t,
    chain(
      plugin('SqlList', 'sql_query = "SELECT nonsense WHERE ?"\nmatch_action = reject', 'l'),
      DB,
    ),
  )
  t.equal(await world.ask({ client_address: '192.0.2.1' }), 'dunno')
  t.match(world.errors, [/^plugin l failed: :memory:: no such column/])
})

t.test(
  'SqlUserConfig: values of a user for later plugins, whatever the database contains',
  async t => {
    const world = await rightWorld(
      t,
      chain(
        plugin('SqlUserConfig') +
          plugin('Condition', 'key = s:limit\ngt_match = 4\naction = reject limit', 'limit') +
          plugin('Condition', 'key = s:flag\nmatch = 1\naction = reject flag', 'flag') +
          plugin(
            'Condition',
            'key = s:_instance\nre_match = .\naction = reject reserved',
            'reserved',
          ) +
          plugin('Condition', 'key = s:name\nmatch = jörg\naction = reject name', 'name'),
        DB,
      ),
    )
    const sql = world.sql(DSN)
    await sql.execute('CREATE TABLE user_config (address TEXT, config TEXT)', [])
    for (const [address, config, answer] of [
      ['limit', '{"limit": 5}', 'reject limit'],
      ['text', '{"limit": "5"}', 'reject limit'],
      ['flag', '{"flag": true, "limit": null}', 'reject flag'],
      ['off', '{"flag": false}', 'dunno'],
      ['reserved', '{"_instance": "x"}', 'dunno'],
      ['umlaut', '{"name": "jörg"}', 'reject name'],
      ['broken', '{', 'dunno'],
      ['nothing', null, 'dunno'],
    ] as const) {
      await sql.execute('INSERT INTO user_config VALUES (?, ?)', [address, config])
      t.equal(await world.ask({ recipient: address }), answer, address)
    }
    t.equal(await world.ask({ recipient: 'absent' }), 'dunno')
    t.equal(await world.ask({}), 'dunno')
    t.match(world.notes.join('\n'), /not JSON[\s\S]*no configuration[\s\S]*no recipient/)
    await sql.execute("INSERT INTO user_config VALUES ('list', '[1]')", [])
    t.equal(await world.ask({ recipient: 'list' }), 'dunno')
    t.match(world.notes.at(-1), /not a JSON object/)
    await sql.execute('DROP TABLE user_config', [])
    t.equal(await world.ask({ recipient: 'limit' }), 'dunno')
    t.match(world.notes.at(-1), /query failed: .*no such table/)
    t.strictSame(world.errors, [], 'all of that is noted, not an error')
  },
)

t.test('a missing or impossible connection is reported at its place', async t => {
  for (const module of ['SqlList', 'SqlUserConfig', 'Accounting', 'Quota']) {
    const lines = 'fields = a\nfield = a\nmetric = count\nthreshold = 1\ndb = other'
    const { messages } = await makeWorld(chain(plugin(module, lines), DB))
    const about = messages.filter(message => !message.includes('warning: unknown option'))
    t.match(about, [
      /^test\.conf:13:6: error: "db" in <Plugin \w+>: there is no <Connection other>/,
    ])
  }
  const wrong = await makeWorld(
    chain(
      plugin('SqlUserConfig'),
      '<Connection db>\nmodule = Sql\ndsn = "dbi:Oracle:x"\n</Connection>',
    ),
  )
  t.match(
    wrong.messages[0],
    /^test\.conf:3:7: error: <Connection db>: unknown kind of database "Oracle"/,
  )
  t.equal(wrong.messages.length, 1, 'the daemon starts with it')
  t.equal(await wrong.ask({ recipient: 'a' }), 'dunno')
  t.match(wrong.notes.at(-1), /query failed: unknown kind of database "Oracle"/)
})

t.test('a database that cannot be opened is a failed plugin until it can be', async t => {
  const folder = t.testdir()
  const path = join(folder, 'later/db.sqlite')
  const db = `<Connection db>\nmodule = Sql\ndsn = "dbi:SQLite:dbname=${path}"\n</Connection>`
  const world = await rightWorld(t, chain(plugin('SqlList', 'match_action = reject'), db))
  t.equal(await world.ask({ client_address: '192.0.2.1' }), 'dunno')
  t.match(world.errors, [/plugin sqllist failed: .*db\.sqlite/])
})

t.test('SqlList: a value is looked up once per mail, each recipient separately', async t => {
  const block = plugin(
    'SqlList',
    'sql_query = "SELECT 1 FROM list WHERE address = ?"\nfield = recipient\nmatch_action = reject\n',
  )
  const world = await rightWorld(t, chain(block, `${DB}\n${SESSIONS}`))
  await world.sql(DSN).execute('CREATE TABLE list (address TEXT)', [])
  t.equal(await world.ask({ instance: '1', recipient: 'a@example.org' }), 'dunno')
  await world.sql(DSN).execute("INSERT INTO list VALUES ('a@example.org')", [])
  t.equal(await world.ask({ instance: '1', recipient: 'a@example.org' }), 'dunno', 'this mail')
  t.equal(await world.ask({ instance: '2', recipient: 'a@example.org' }), 'reject', 'the next one')
  t.equal(await world.ask({ instance: '2', recipient: 'b@example.org' }), 'dunno')
})
