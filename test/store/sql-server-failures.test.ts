/** What can go wrong with an SQL server, seen with the real ones: nobody waits long, and it heals. */

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { LookupError } from '../../daemon/policy/errors.ts'
import { sqlConnection } from '../../daemon/store/dsn.ts'
import type { ClosableSqlConnection } from '../../daemon/store/sqlite-connection.ts'
import {
  DEADLINE_MS,
  failure,
  SQL_SERVERS,
  type SqlServerName,
  sqlMissing,
  startSqlServer,
} from '../support/sql-databases.ts'

// They mostly wait.
t.jobs = 2
t.setTimeout(100_000)

/** Asks until there is an answer. */
async function untilAnswered(db: ClosableSqlConnection): Promise<void> {
  const latest = performance.now() + 30_000
  for (;;) {
    try {
      await db.query('SELECT 1', [], 1)
      return
    } catch (error) {
      if (performance.now() > latest) throw error
      await sleep(200)
    }
  }
}

const SLEEP: Record<SqlServerName, string> = {
  postgresql: 'SELECT pg_sleep(?)',
  mariadb: 'SELECT SLEEP(?)',
}

for (const name of SQL_SERVERS) {
  t.test(`a server that fails: ${name}`, { skip: sqlMissing(name) }, async t => {
    const { server, ...source } = await startSqlServer(t, name)
    const db = sqlConnection(source)
    t.teardown(() => db.close())

    t.test('a statement that takes too long fails, and others are answered meanwhile', async t => {
      const slow = failure(() => db.query(SLEEP[name], [20], 1))
      t.strictSame(await db.query('SELECT 1', [], 1), [[1]])
      const { message, milliseconds } = await slow
      t.match(message, /time|interrupted/)
      t.ok(milliseconds < DEADLINE_MS, `${milliseconds} ms`)
      t.strictSame(await db.query('SELECT 1', [], 1), [[1]], 'at once')
    })

    t.test('more than can wait are turned away, not kept', async t => {
      const asked = Array.from({ length: 1500 }, () =>
        Promise.resolve(db.query(SLEEP[name], [0.5], 1)).then(
          () => 'answered',
          error => (error instanceof LookupError ? error.message : `bug: ${error}`),
        ),
      )
      const outcomes = await Promise.all(asked)
      const turnedAway = outcomes.filter(outcome => outcome.endsWith('1000 queries wait already'))
      t.ok(turnedAway.length >= 400, `${turnedAway.length} were turned away`)
      t.ok(outcomes.includes('answered'))
      t.notOk(outcomes.some(outcome => outcome.startsWith('bug')))
      await untilAnswered(db)
    })

    t.test('a connection that the administrator ends in the middle of a statement', async t => {
      const mine =
        name === 'postgresql'
          ? 'SELECT pid FROM pg_stat_activity WHERE query LIKE ? AND pid <> pg_backend_pid()'
          : 'SELECT id FROM information_schema.processlist WHERE info LIKE ? AND id <> CONNECTION_ID()'

      /** Ends the connection on which such a statement runs. */
      async function end(statement: string): Promise<void> {
        for (;;) {
          const [victim] = await db.query(mine, [`%${statement}%`], 1)
          if (!victim) continue
          const kill = name === 'postgresql' ? 'SELECT pg_terminate_backend(PID)' : 'KILL PID'
          await db.execute(kill.replace('PID', String(victim[0])), [])
          return
        }
      }
      await Promise.all(Array.from({ length: 20 }, () => db.query('SELECT 1', [], 1)))
      const change = failure(() => db.execute(SLEEP[name].replace('?', '1.5'), []))
      await end('leep(1.5)')
      const { message, milliseconds } = await change
      t.match(message, /terminat|closed|lost|kill/i, 'nobody knows whether a change was made')
      t.ok(milliseconds < DEADLINE_MS)
      t.strictSame(await db.query('SELECT 1', [], 1), [[1]])
      const question = db.query(SLEEP[name].replace('?', '1.4'), [], 1)
      await end('leep(1.4)')
      t.equal((await question).length, 1, 'a question is asked again')
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
      t.match(second.message, /ECONNREFUSED.*; not asked again for a moment$/)
      for (const { milliseconds } of [first, second]) t.ok(milliseconds < DEADLINE_MS)
      await server.start()
      await untilAnswered(db)
    })

    t.test('a silent server costs one deadline, then nobody waits for it', async t => {
      await Promise.all(Array.from({ length: 20 }, () => db.query('SELECT 1', [], 1)))
      server.signal('SIGSTOP')
      const first = await failure(() => db.query('SELECT 1', [], 1))
      t.match(first.message, /no answer within 2 s$/)
      t.ok(first.milliseconds < DEADLINE_MS, `${first.milliseconds} ms`)
      const next = await failure(() => db.query('SELECT 1', [], 1))
      t.match(next.message, /no answer within 2 s; not asked again/)
      t.ok(next.milliseconds < 1000, `${next.milliseconds} ms`)
      server.signal('SIGCONT')
      await untilAnswered(db)
    })

    t.test('a wrong password is said, without the password', async t => {
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
