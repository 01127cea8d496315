/** The plugins with an SQL database, on each of the databases a configuration can name. */

import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { freePort } from '../support/free-port.ts'
import {
  SQL_DATABASES,
  SQL_SERVERS,
  type SqlDatabase,
  type SqlDatabaseName,
  sqlMissing,
  startSqlDatabase,
  startSqlServer,
} from '../support/sql-databases.ts'
import { chain, makeWorld, plugin, type World } from '../support/world.ts'

// They mostly wait for their databases.
t.jobs = 2
t.setTimeout(100_000)

async function worldOn(t: Test, database: SqlDatabase, text: string): Promise<World> {
  const world = await makeWorld(chain(text, database.block))
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

/** Their column `key` is a word of SQL's. */
const quoted = (name: SqlDatabaseName, word: string): string =>
  name === 'postgresql' ? `"${word}"` : `\`${word}\``

/** A table as mtpolicyd made it, or, in PostgreSQL, for which it made none, by hand. */
const TABLE_OF_MTPOLICYD: Record<SqlDatabaseName, (table: string) => string> = {
  sqlite: table =>
    `CREATE TABLE ${table} (id INTEGER PRIMARY KEY AUTOINCREMENT, \`key\` VARCHAR(255), ` +
    '`time` VARCHAR(255), count INT, count_rcpt INT, size INT, size_rcpt INT)',
  postgresql: table =>
    `CREATE TABLE ${table} (id SERIAL, key VARCHAR(255), time VARCHAR(255), ` +
    'count INT, count_rcpt INT, size BIGINT, size_rcpt BIGINT, UNIQUE (key, time))',
  mariadb: table =>
    `CREATE TABLE ${table} (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, ` +
    '`key` VARCHAR(255) NOT NULL, `time` VARCHAR(255) NOT NULL, count INT UNSIGNED NOT NULL, ' +
    'count_rcpt INT UNSIGNED NOT NULL, size INT UNSIGNED NOT NULL, size_rcpt INT UNSIGNED NOT NULL, ' +
    'UNIQUE (`key`, `time`), KEY (`key`), KEY (`time`)) ENGINE=MyISAM DEFAULT CHARSET=latin1',
}

const INJECTIONS = [
  "'; DROP TABLE acct_sender; --",
  "' OR '1'='1",
  "\\' OR 1=1 -- ",
  '" OR ""="',
  '? $1 %s',
  'a`b"c\'d\\',
]

for (const name of SQL_DATABASES) {
  t.test(`the plugins on ${name}`, { skip: sqlMissing(name) }, async t => {
    const database = await startSqlDatabase(t, name)
    const key = quoted(name, 'key')
    const counters = (table: string): string =>
      `SELECT ${key}, ${quoted(name, 'count')}, count_rcpt, size, size_rcpt FROM ${table} ORDER BY id`

    t.test('Accounting creates its tables at start and counts', async t => {
      const world = await worldOn(
        t,
        database,
        plugin('Accounting', 'fields = "sender, client_name"'),
      )
      t.strictSame(world.errors, [])
      const db = world.sql(database.dsn)
      t.strictSame(await db.query(counters('acct_client_name'), [], 9), [], 'before the first mail')
      await world.ask({ sender: 'a@example.org', recipient_count: '3', size: '100' })
      await world.ask({ sender: 'a@example.org', recipient_count: '0' })
      await world.ask({ sender: 'b@example.org', client_name: 'client.example.org' })
      t.strictSame(await db.query(counters('acct_sender'), [], 9), [
        ['a@example.org', 2, 4, 100, 300],
        ['b@example.org', 1, 1, 0, 0],
      ])
      t.strictSame(await db.query(counters('acct_client_name'), [], 9), [
        ['client.example.org', 1, 1, 0, 0],
      ])
      t.strictSame(world.errors, [])
    })

    t.test('a hundred simultaneous mails are all counted, by two daemons', async t => {
      const accounting = plugin('Accounting', 'fields = "sender, recipient"\ntable_prefix = two_')
      const worlds = [
        await worldOn(t, database, accounting),
        await worldOn(t, database, accounting),
      ]
      const mail = { sender: 'a', recipient: 'b', recipient_count: '2', size: '10' }
      await Promise.all(worlds.flatMap(world => Array.from({ length: 100 }, () => world.ask(mail))))
      for (const world of worlds) t.strictSame(world.errors, [])
      const db = worlds[0]?.sql(database.dsn)
      t.strictSame(await db?.query(counters('two_sender'), [], 9), [['a', 200, 400, 2000, 4000]])
      t.strictSame(await db?.query(counters('two_recipient'), [], 9), [['b', 200, 400, 2000, 4000]])
    })

    t.test('Quota before Accounting lets exactly the threshold pass, for every metric', async t => {
      for (const [metric, threshold] of [
        ['count', 3],
        ['count_rcpt', 6],
        ['size', 30],
        ['size_rcpt', 60],
      ] as const) {
        const prefix = `table_prefix = q_${metric}_`
        const quota = plugin(
          'Quota',
          `field = sender\nmetric = ${metric}\nthreshold = ${threshold}\n${prefix}`,
        )
        const world = await worldOn(
          t,
          database,
          quota + plugin('Accounting', `fields = sender\n${prefix}`),
        )
        const send = (sender: string) => world.ask({ sender, recipient_count: '2', size: '10' })
        for (let i = 0; i < 3; i++) t.equal(await send('a'), 'dunno', `${metric}, mail ${i}`)
        t.equal(await send('a'), 'defer smtp traffic quota has been exceeded', metric)
        t.equal(await send('b'), 'dunno', 'another sender')
        world.now = Date.UTC(2026, 11, 1)
        t.equal(await send('a'), 'dunno', 'the next month')
        t.strictSame(world.errors, [])
      }
    })

    t.test('a table of mtpolicyd’s is used unchanged', async t => {
      const lines = 'table_prefix = old_'
      const first = await worldOn(t, database, plugin('Accounting', `fields = size\n${lines}`))
      const db = first.sql(database.dsn)
      await db.execute(TABLE_OF_MTPOLICYD[name]('old_sender'), [])
      await db.execute(
        `INSERT INTO old_sender (${key}, ${quoted(name, 'time')}, ${quoted(name, 'count')},
         count_rcpt, size, size_rcpt) VALUES (?, ?, ?, ?, ?, ?)`,
        ['a', '2026-11', 4, 4, 4, 4],
      )
      const world = await worldOn(
        t,
        database,
        plugin('Accounting', `fields = sender\n${lines}`) +
          plugin('Quota', `field = sender\nmetric = count\nthreshold = 6\n${lines}`),
      )
      t.equal(await world.ask({ sender: 'a' }), 'dunno')
      t.match(await world.ask({ sender: 'a' }), /^defer/)
      await Promise.all(Array.from({ length: 50 }, () => world.ask({ sender: 'b' })))
      const found = (await db.query(counters('old_sender'), [], 9)).map(row => row.slice(0, 2))
      t.strictSame(found, [
        ['a', 6],
        ['b', 50],
      ])
      t.strictSame(world.errors, [])
    })

    t.test('any sender name is counted and has no other effect', async t => {
      const lines = 'table_prefix = odd_'
      const world = await worldOn(
        t,
        database,
        plugin('Quota', `field = sender\nmetric = count\nthreshold = 2\n${lines}`) +
          plugin('Accounting', `fields = sender\n${lines}`),
      )
      const senders = [...INJECTIONS, 'jörg@exämple.org', '😀@example.org', 'ж'.repeat(200)]
      for (const sender of senders) {
        t.equal(await world.ask({ sender }), 'dunno', sender)
        t.equal(await world.ask({ sender }), 'dunno', sender)
        t.match(await world.ask({ sender }), /^defer/, sender)
      }
      const long = 'x'.repeat(255)
      t.equal(await world.ask({ sender: `${long}a@example.org` }), 'dunno')
      t.equal(await world.ask({ sender: `${long}b@example.org` }), 'dunno')
      t.match(await world.ask({ sender: `${long}c` }), /^defer/, 'counted by its first 255')
      t.strictSame(world.errors, [])
      const rows = await world.sql(database.dsn).query('SELECT id FROM odd_sender', [], 99)
      t.equal(rows.length, senders.length + 1)
    })

    t.test(
      'SqlList and SqlUserConfig find what is looked up, and nothing by injection',
      async t => {
        const world = await worldOn(
          t,
          database,
          plugin('SqlUserConfig') +
            plugin('Condition', 'key = s:limit\ngt_match = 4\naction = reject limit') +
            plugin(
              'SqlList',
              'sql_query = "SELECT hit FROM list WHERE address = ?"\nfield = sender\n' +
                'match_action = reject hit\nnot_match_action = reject miss',
            ),
        )
        const db = world.sql(database.dsn)
        await db.execute('CREATE TABLE list (address VARCHAR(99), hit INT)', [])
        await db.execute("INSERT INTO list VALUES ('hit@example.org', 0)", [])
        const json = name === 'sqlite' ? 'BLOB' : 'JSON'
        await db.execute(`CREATE TABLE user_config (address VARCHAR(99), config ${json})`, [])
        await db.execute(`INSERT INTO user_config VALUES ('u', '{"limit": 5}'), ('v', '[]')`, [])
        t.equal(await world.ask({ recipient: 'u' }), 'reject limit')
        t.equal(await world.ask({ recipient: 'v', sender: 'hit@example.org' }), 'reject hit')
        for (const sender of ['', 'miss@example.org', ...INJECTIONS]) {
          t.equal(await world.ask({ recipient: sender, sender }), 'reject miss', sender)
        }
        t.strictSame(world.errors, [])
        t.equal((await db.query('SELECT address FROM list', [], 9)).length, 1)
      },
    )
  })
}

t.test('MariaDB as mtpolicyd used it', { skip: sqlMissing('mariadb') }, async t => {
  const database = await startSqlDatabase(t, 'mariadb')

  t.test('the default query of SqlList', async t => {
    const world = await worldOn(t, database, plugin('SqlList', 'match_action = reject listed'))
    const db = world.sql(database.dsn)
    await db.execute('CREATE TABLE whitelist (client_ip INT UNSIGNED NOT NULL)', [])
    await db.execute("INSERT INTO whitelist VALUES (INET_ATON('192.0.2.1'))", [])
    t.equal(await world.ask({ client_address: '192.0.2.1' }), 'reject listed')
    t.equal(await world.ask({ client_address: '192.0.2.2' }), 'dunno')
    t.equal(await world.ask({ client_address: '2001:db8::1' }), 'dunno')
    t.strictSame(world.errors, [])
  })

  t.test('tables have the engine that the file names, and hold the bytes of UTF-8', async t => {
    const world = await worldOn(
      t,
      database,
      plugin('Accounting', 'fields = sender\ntable_prefix = my_', 'my') +
        plugin('Accounting', 'fields = sender\ntable_prefix = inno_\nmysql_engine = InnoDB', 'in'),
    )
    const db = world.sql(database.dsn)
    const engines = await db.query(
      "SELECT table_name, engine, table_collation FROM information_schema.tables WHERE table_name IN ('my_sender', 'inno_sender') ORDER BY 1",
      [],
      9,
    )
    t.strictSame(engines, [
      ['inno_sender', 'InnoDB', 'latin1_swedish_ci'],
      ['my_sender', 'MyISAM', 'latin1_swedish_ci'],
    ])
    await world.ask({ sender: 'jörg ж €' })
    t.strictSame(await db.query('SELECT HEX(`key`) FROM my_sender', [], 9), [
      [Buffer.from('jörg ж €').toString('hex').toUpperCase()],
    ])
    t.strictSame(world.errors, [])
  })

  t.test('a full column of mtpolicyd’s stays full, and the others keep counting', async t => {
    const first = await worldOn(t, database, plugin('Accounting', 'fields = x'))
    const db = first.sql(database.dsn)
    await db.execute(TABLE_OF_MTPOLICYD.mariadb('acct_sender'), [])
    const world = await worldOn(t, database, plugin('Accounting', 'fields = sender'))
    for (let i = 0; i < 3; i++) await world.ask({ sender: 'a', size: '3000000000' })
    t.strictSame(await db.query('SELECT count, count_rcpt, size FROM acct_sender', [], 9), [
      [3, 3, 4294967295],
    ])
    t.strictSame(world.errors, [])
  })
})

t.test('PostgreSQL', { skip: sqlMissing('postgresql') }, async t => {
  const database = await startSqlDatabase(t, 'postgresql')

  t.test('read and write access to rows is enough', async t => {
    const owner = await worldOn(t, database, plugin('Accounting', 'fields = sender'))
    const db = owner.sql(database.dsn)
    await db.execute("CREATE ROLE counter LOGIN PASSWORD 'only-rows'", [])
    await db.execute('GRANT SELECT, INSERT, UPDATE ON acct_sender TO counter', [])
    await db.execute('GRANT USAGE ON SEQUENCE acct_sender_id_seq TO counter', [])
    const block = database.block
      .replace(/^user = .*$/m, 'user = counter')
      .replace(/^password = .*$/m, 'password = only-rows')
    const world = await worldOn(t, { ...database, block }, plugin('Accounting', 'fields = sender'))
    t.equal(await world.ask({ sender: 'a' }), 'dunno')
    t.strictSame(world.errors, [])
    t.strictSame(await db.query('SELECT key, count FROM acct_sender', [], 9), [['a', 1]])
  })

  t.test('its operators with a question mark', async t => {
    const query = `SELECT 1 WHERE '{"a": 1}'::jsonb \\\\? ?`
    const world = await worldOn(
      t,
      database,
      plugin('SqlList', `sql_query = "${query}"\nfield = sender\nmatch_action = reject key`),
    )
    t.equal(await world.ask({ sender: 'a' }), 'reject key')
    t.equal(await world.ask({ sender: 'b' }), 'dunno')
    t.strictSame(world.errors, [])
  })
})

for (const name of SQL_SERVERS) {
  t.test(`mail while ${name} is away`, { skip: sqlMissing(name) }, async t => {
    const { server, ...database } = await startSqlServer(t, name)
    await server.stop()
    const plugins =
      plugin('SqlUserConfig') +
      plugin('Accounting', 'fields = sender') +
      plugin('Quota', 'field = sender\nmetric = count\nthreshold = 3') +
      plugin('SqlList', 'sql_query = "SELECT 1 FROM acct_sender WHERE 1 = 0 AND time = ?"')
    const world = await makeWorld(chain(plugins, database.block))
    const strict = await makeWorld(chain(plugins, `${database.block}\non_failure = defer`))
    t.teardown(() => world.close())
    t.teardown(() => strict.close())
    const mail = { sender: 'a', recipient: 'b', client_address: '192.0.2.1' }

    t.match(world.errors.join('\n'), /plugin v\/accounting failed at start: .*ECONNREFUSED/)
    const answers = await Promise.all(Array.from({ length: 50 }, () => world.ask(mail)))
    t.strictSame(new Set(answers), new Set(['dunno']), 'it passes')
    t.notMatch(world.errors.join('\n'), /timed out/, 'and waits for nothing')
    t.match(await strict.ask(mail), /^defer/i, 'unless the file says otherwise')
    for (const module of ['accounting', 'quota', 'sqllist']) {
      const line = new RegExp(`^plugin ${module} failed: (PostgreSQL|MySQL) at 127.*ECONNREFUSED`)
      t.ok(
        world.errors.some(error => line.test(error)),
        `${module} says so`,
      )
    }
    t.match(world.notes.join('\n'), /sqluserconfig: query failed: .*ECONNREFUSED/)

    await server.start()
    // Nobody reloads anything.
    await sleep(1000)
    const before = world.errors.length
    for (let i = 0; i < 2; i++) t.equal(await world.ask(mail), 'dunno')
    t.match(await world.ask(mail), /^defer/, 'three are counted')
    t.strictSame(world.errors.slice(before), [])

    server.signal('SIGSTOP')
    t.equal(await world.ask(mail), 'dunno', 'silence costs no mail')
    server.signal('SIGCONT')

    const everything = JSON.stringify([world.errors, world.notes, world.verdicts, world.messages])
    t.notMatch(everything, database.password)
    t.notMatch(everything, JSON.stringify(database.password).slice(1, -1))
  })
}

t.test('a password in a data source name is not shown', async t => {
  const secret = 'never-shown'
  const port = await freePort()
  for (const dsn of [
    `postgres://mail:${secret}@127.0.0.1:${port}/mail`,
    `dbi:mysql:database=mail;host=127.0.0.1;port=${port};user=mail;password=${secret}`,
    `dbi:Oracle:password=${secret}`,
    `postgres://mail:${secret}%@127.0.0.1:${port}/mail`,
  ]) {
    const block = `<Connection db>\nmodule = Sql\ndsn = "${dsn}"\n</Connection>`
    const world = await makeWorld(
      chain(plugin('Accounting', 'fields = sender') + plugin('SqlUserConfig'), block),
    )
    t.equal(await world.ask({ sender: 'a', recipient: 'b' }), 'dunno')
    t.ok(world.errors.length > 0)
    t.notMatch(JSON.stringify([world.errors, world.notes, world.messages]), secret)
    world.close()
  }
})
