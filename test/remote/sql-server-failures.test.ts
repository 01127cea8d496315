/** What can go wrong with an SQL server, seen with the real ones: nobody waits long, and it heals. */

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { sqlConnection } from '../../daemon/remote/dsn.ts'
import type { ClosableSqlConnection } from '../../daemon/remote/sqlite-connection.ts'
import {
  failure,
  SQL_SERVERS,
  type SqlServerName,
  sqlMissing,
  startSqlServer,
} from '../support/sql-databases.ts'
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts'

// They mostly wait.
t.jobs = 2
t.setTimeout(100_000)

/** Queries until there is an answer, with a while between the attempts. */
async function untilAnswered(db: ClosableSqlConnection, clock: VirtualClock): Promise<void> {
  const latest = performance.now() + 30_000
  for (;;) {
    try {
      await db.query('SELECT 1', [], 1)
      return
    } catch (error) {
      if (performance.now() > latest) throw error
      await clock.advance(10_000)
    }
  }
}

const SLEEP: Record<SqlServerName, string> = {
  postgresql: 'SELECT pg_sleep(?)',
  mariadb: 'SELECT SLEEP(?)',
}

/** Sleeps on this connection only, so that asking again elsewhere takes no time. */
const SLEEP_ON: Record<SqlServerName, (id: unknown) => string> = {
  postgresql: id =>
    `SELECT CASE pg_backend_pid() WHEN ${id} THEN pg_sleep(20)::text ELSE 'elsewhere' END`,
  mariadb: id => `SELECT IF(CONNECTION_ID() = ${id}, SLEEP(20), 'elsewhere')`,
}
const OWN_ID: Record<SqlServerName, string> = {
  postgresql: 'SELECT pg_backend_pid()',
  mariadb: 'SELECT CONNECTION_ID()',
}
/** Is it in the middle of such a statement? */
const SLEEPS: Record<SqlServerName, (id: unknown) => string> = {
  postgresql: id =>
    `SELECT pid FROM pg_stat_activity WHERE pid = ${id} AND state = 'active' AND query LIKE '%leep(20)%'`,
  mariadb: id =>
    `SELECT id FROM information_schema.processlist WHERE id = ${id} AND info LIKE '%leep(20)%'`,
}
const END: Record<SqlServerName, (id: unknown) => string> = {
  postgresql: id => `SELECT pg_terminate_backend(${id})`,
  mariadb: id => `KILL ${id}`,
}

/**
 * What comes of a statement whose connection is ended while it sleeps: rows, or a message. On a slow machine
 * the server may be quicker to say that it took too long; then that is tried again.
 */
async function endInTheMiddle(
  db: ClosableSqlConnection,
  name: SqlServerName,
  run: (text: string) => unknown,
): Promise<unknown> {
  let outcome: unknown
  for (let tries = 0; tries < 20; tries++) {
    // So that others than the victim's are open; the last one used is used first.
    await Promise.all(Array.from({ length: 20 }, () => db.query('SELECT 1', [], 1)))
    const [[id] = []] = await db.query(OWN_ID[name], [], 1)
    let isOver = false
    const result = Promise.resolve(run(SLEEP_ON[name](id))).then(
      rows => rows,
      (error: Error) => error.message,
    )
    const over = result.then(() => {
      isOver = true
    })
    let sleeps = false
    while (!sleeps && !isOver) sleeps = (await db.query(SLEEPS[name](id), [], 1)).length > 0
    if (sleeps) await db.execute(END[name](id), [])
    await over
    outcome = await result
    if (!/statement timeout|max_statement_time/.test(String(outcome))) return outcome
  }
  return outcome
}

for (const name of SQL_SERVERS) {
  t.test(`a server that fails: ${name}`, { skip: sqlMissing(name) }, async t => {
    const { server, ...source } = await startSqlServer(t, name)
    const clock = virtualClock()
    const db = sqlConnection(source, clock)
    t.teardown(() => db.close())

    t.test('a statement that takes too long fails, and others are answered meanwhile', async t => {
      const slow = failure(() => db.query(SLEEP[name], [20], 1))
      t.strictSame(await db.query('SELECT 1', [], 1), [[1]])
      // By the server itself: on this clock no time passes.
      t.match((await slow).message, /time|interrupted/)
      t.strictSame(await db.query('SELECT 1', [], 1), [[1]], 'at once')
    })

    t.test('a connection that the administrator ends in the middle of a statement', async t => {
      const change = await endInTheMiddle(db, name, text => db.execute(text, []))
      t.match(change, /terminat|closed|lost|kill/i, 'nobody knows whether a change was made')
      t.strictSame(await db.query('SELECT 1', [], 1), [[1]])
      const question = await endInTheMiddle(db, name, text => db.query(text, [], 1))
      t.strictSame(question, [['elsewhere']], 'a question is asked again')
    })

    t.test('a restart between two questions is not noticed', async t => {
      await Promise.all(Array.from({ length: 20 }, () => db.query('SELECT 1', [], 1)))
      await server.stop()
      await server.start()
      t.strictSame(await db.query('SELECT 1', [], 1), [[1]])
      await server.stop('SIGKILL')
      await server.start()
      t.strictSame(await db.query('SELECT 1', [], 1), [[1]], 'nor a crash')
    })

    t.test('a stopped server fails at once, and is found again when it is back', async t => {
      await server.stop()
      const first = await failure(() => db.query('SELECT 1', [], 1))
      t.match(first.message, /ECONNREFUSED/)
      const second = await failure(() => db.query('SELECT 1', [], 1))
      t.match(second.message, /ECONNREFUSED.*; not tried again for 0\.2 s$/)
      await server.start()
      await untilAnswered(db, clock)
    })

    t.test('a silent server costs one statement its time, and nobody after it', async t => {
      await Promise.all(Array.from({ length: 20 }, () => db.query('SELECT 1', [], 1)))
      server.signal('SIGSTOP')
      const first = failure(() => db.query('SELECT 1', [], 1))
      await clock.advance(2000)
      t.match((await first).message, /no answer within 2 s$/)
      const next = await failure(() => db.query('SELECT 1', [], 1))
      // A link of the pool may still have been opening.
      const silence =
        /(?:no answer within 2|no connection within 1\.5) s; not tried again for [\d.]+ s$/
      t.match(next.message, silence)
      server.signal('SIGCONT')
      await untilAnswered(db, clock)
    })

    t.test('a wrong password is reported, without the password', async t => {
      const password = 'another-pa55word'
      const wrong = sqlConnection({ ...source, password })
      const { message } = await failure(() => wrong.query('SELECT 1', [], 1))
      wrong.close()
      t.match(message, /password/i)
      t.notMatch(message, password)
    })

    t.test('closed while busy: what runs is finished, what waits is not', async t => {
      const other = sqlConnection(source)
      await other.query('SELECT 1', [], 1)
      const running = other.query(SLEEP[name], [0.5], 1)
      const asked = Array.from({ length: 10 }, () =>
        Promise.resolve(other.query(SLEEP[name], [0.5], 1)).catch(error => String(error)),
      )
      await sleep(200)
      other.close()
      t.equal((await running).length, 1)
      t.match((await Promise.all(asked)).at(-1), /has been closed/)
      t.match((await failure(() => other.query('SELECT 1', [], 1))).message, /has been closed/)
    })
  })
}
