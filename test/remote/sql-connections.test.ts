/** What every SQL connection keeps to, on each real database. */

import t from 'tap'
import { sqlConnection } from '../../daemon/remote/dsn.ts'
import {
  failure,
  SQL_DATABASES,
  type SqlDatabaseName,
  sqlMissing,
  startSqlDatabase,
} from '../support/sql-databases.ts'

/** A table with all that people keep in their columns, one row of it, and how it comes. */
const COLUMNS: Record<SqlDatabaseName, string> = {
  sqlite: 'small INT, big INTEGER, half REAL, price TEXT, day TEXT, yes BOOL, raw BLOB, none TEXT',
  postgresql:
    'small INT, big BIGINT, half FLOAT8, price NUMERIC(9,2), day DATE, yes BOOL, raw BYTEA, none TEXT',
  mariadb:
    'small INT, big BIGINT, half DOUBLE, price DECIMAL(9,2), day DATE, yes BOOL, raw BLOB, none TEXT',
}

for (const name of SQL_DATABASES) {
  t.test(`every SQL connection: ${name}`, { skip: sqlMissing(name) }, async t => {
    const db = sqlConnection(await startSqlDatabase(t, name))
    t.teardown(() => db.close())
    const isServer = name !== 'sqlite'

    t.test('texts come back as they went, whatever is in them', async t => {
      const charset = name === 'mariadb' ? ' CHARSET=utf8mb4' : ''
      await db.execute(`CREATE TABLE texts (id INT PRIMARY KEY, t VARCHAR(200))${charset}`, [])
      const texts = [
        "it's",
        '"q"',
        'a\\',
        "\\'; --",
        '?',
        '$1',
        'jörg@exämple.org',
        '😀 €',
        '',
        '%_',
      ]
      for (const [id, text] of texts.entries()) {
        t.equal(await db.execute('INSERT INTO texts VALUES (?, ?)', [id, text]), 1)
        const found = await db.query(
          'SELECT t, id FROM texts WHERE t = ? AND id = ?',
          [text, id],
          9,
        )
        t.strictSame(found, [[text, id]])
      }
      await db.execute('INSERT INTO texts VALUES (?, ?)', [99, null])
      t.strictSame(await db.query('SELECT t FROM texts WHERE id = 99', [], 9), [[null]])
      t.strictSame(await db.query("SELECT t FROM texts WHERE t = ''' OR 1=1'", [], 9), [])
    })

    t.test('values come as numbers where they are some, else as text', async t => {
      await db.execute(`CREATE TABLE things (${COLUMNS[name]})`, [])
      const raw = isServer ? "'bytes'" : "CAST('bytes' AS TEXT)"
      await db.execute(
        `INSERT INTO things VALUES (-7, 9007199254740991, 0.5, '10.50', '2026-11-20',
         ${name === 'postgresql' ? 'TRUE' : '1'}, ${raw}, NULL)`,
        [],
      )
      t.strictSame(await db.query('SELECT * FROM things', [], 9), [
        [-7, 9007199254740991, 0.5, '10.50', '2026-11-20', 1, 'bytes', null],
      ])
      t.strictSame(await db.query('SELECT * FROM things WHERE small = ?', [-7], 9), [
        [-7, 9007199254740991, 0.5, '10.50', '2026-11-20', 1, 'bytes', null],
      ])
      if (!isServer) return
      await db.execute('UPDATE things SET big = 9223372036854775807', [])
      t.strictSame(await db.query('SELECT big FROM things WHERE small = ?', [-7], 9), [
        ['9223372036854775807'],
      ])
    })

    t.test('at most as many rows as asked for; how many were changed', async t => {
      await db.execute('CREATE TABLE many (n INT)', [])
      const values = Array.from({ length: 50 }, (_, n) => `(${n})`).join()
      t.equal(await db.execute(`INSERT INTO many VALUES ${values}`, []), 50)
      t.equal((await db.query('SELECT n FROM many', [], 3)).length, 3)
      t.equal((await db.query('SELECT n FROM many WHERE n >= ?', [0], 50)).length, 50)
      t.equal((await db.query('SELECT n FROM many WHERE n = ?', [7], 1)).length, 1)
      t.equal(await db.execute('UPDATE many SET n = n WHERE n < ?', [10]), 10)
      t.equal(await db.execute('DELETE FROM many WHERE n > 1000', []), 0)
    })

    t.test('a question mark in a text, a name or a comment is no placeholder', async t => {
      await db.execute('CREATE TABLE marks (t VARCHAR(9))', [])
      await db.execute("INSERT INTO marks VALUES ('?')", [])
      const sql = "SELECT '?' /* ? */ FROM marks -- what?\n WHERE t = ? AND t <> 'it''s ?'"
      t.strictSame(await db.query(sql, ['?'], 1), [['?']])
    })

    t.test(
      'what the database refuses is a LookupError, and the next question is asked',
      async t => {
        for (const [sql, values] of [
          ['SELECT nonsense FROM nowhere', []],
          ['SELECT nonsense FROM nowhere WHERE a = ?', ['a']],
          ['SELECT 1 WHERE 1 = ? OR 2 = ?', ['1']],
          ['SELECT 1', ['one too many']],
          ['not SQL', []],
        ] as const) {
          const { message } = await failure(() => db.query(sql, values, 1))
          t.match(
            message,
            isServer ? /^(PostgreSQL|MySQL) at 127\.0\.0\.1:\d+: ./ : /test\.sqlite: ./,
          )
          t.notMatch(message, /no answer|no connection/)
          t.strictSame(await db.query('SELECT 1', [], 1), [[1]], sql)
        }
      },
    )

    t.test('a hundred at once, each gets its own answer', async t => {
      const asked = Array.from({ length: 100 }, (_, n) => n)
      const sql = 'SELECT n FROM many WHERE n = ?'
      await db.execute('DELETE FROM many', [])
      await Promise.all(asked.map(n => db.execute('INSERT INTO many VALUES (?)', [n])))
      const answers = await Promise.all(asked.map(n => db.query(sql, [n], 1)))
      t.strictSame(
        answers,
        asked.map(n => [[n]]),
      )
    })
  })
}
