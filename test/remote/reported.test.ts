/**
 * What users of other programs have reported about their connections to databases, directories and
 * caches; each is tried here, mostly against the real server. The addresses lead to the reports.
 */

import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { sqlConnection } from '../../daemon/remote/dsn.ts'
import { ldapDirectory } from '../../daemon/remote/ldap.ts'
import { memcachedStore } from '../../daemon/remote/memcached.ts'
import { redisStore } from '../../daemon/remote/redis.ts'
import type { ClosableSqlConnection } from '../../daemon/remote/sqlite-connection.ts'
import type { Clock } from '../../daemon/system/clock.ts'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { peerServer } from '../support/peer-server.ts'
import {
  failure,
  type SqlServerName,
  sqlMissing,
  startSqlServer,
} from '../support/sql-databases.ts'
import { virtualClock } from '../support/virtual-clock.ts'

t.jobs = 2

async function database(t: Test, name: SqlServerName, args: readonly string[] = []) {
  const { server, ...source } = await startSqlServer(t, name, args)
  const open = (): ClosableSqlConnection => {
    // Under a clock that stands still no deadline of ours is over, however slow this machine is.
    const db = sqlConnection(source, virtualClock())
    t.teardown(() => db.close())
    return db
  }
  return { server, open }
}

// https://github.com/sidorares/node-mysql2/issues/1925, https://github.com/postalserver/postal/pull/3603
t.test(
  'MariaDB hangs up on idle connections: nobody notices',
  { skip: sqlMissing('mariadb') },
  async t => {
    const { open } = await database(t, 'mariadb', ['--wait-timeout=1'])
    const [db, observer] = [open(), open()]
    await db.execute('CREATE TABLE t (n INT)', [])
    const [mine] = await db.query('SELECT CONNECTION_ID()', [], 1)
    const isThere = async (): Promise<boolean> => {
      const sql = 'SELECT 1 FROM information_schema.processlist WHERE id = ?'
      return (await observer.query(sql, [mine?.[0] ?? 0], 1)).length > 0
    }
    while (await isThere()) await pause(100)
    t.equal(await db.execute('INSERT INTO t VALUES (?)', [1]), 1, 'not even for a change')
    t.strictSame(await db.query('SELECT COUNT(*) FROM t', [], 1), [[1]])
  },
)

// https://github.com/npgsql/efcore.pg/issues/1306, https://github.com/keycloak/keycloak/issues/22422
t.test(
  'PostgreSQL: a link to what is a standby now is left',
  { skip: sqlMissing('postgresql') },
  async t => {
    const { open } = await database(t, 'postgresql')
    const [db, admin] = [open(), open()]
    const isStandby = (is: 'on' | 'off') =>
      admin.execute(`ALTER DATABASE postgres SET default_transaction_read_only = ${is}`, [])
    await admin.execute('CREATE TABLE t (n INT)', [])
    await isStandby('on')
    t.strictSame(await db.query('SHOW transaction_read_only', [], 1), [['on']])
    t.match(
      (await failure(() => db.execute('INSERT INTO t VALUES (?)', [1]))).message,
      /read-only transaction/,
    )
    await isStandby('off')
    t.equal(await db.execute('INSERT INTO t VALUES (?)', [1]), 1)
    t.equal((await db.query('INSERT INTO t VALUES (2) RETURNING n', [], 1)).length, 1)
  },
)

// https://github.com/paypal/hera/pull/69
t.test(
  'MariaDB: a link to what is read-only now is left',
  { skip: sqlMissing('mariadb') },
  async t => {
    const { server, open } = await database(t, 'mariadb')
    const db = open()
    const dsn = `dbi:mysql:mysql;mysql_socket=${server.socket}`
    const root = sqlConnection({ dsn, user: 'root', password: '' }, virtualClock())
    t.teardown(() => root.close())
    await db.execute('CREATE TABLE t (n INT)', [])
    const link = async () => (await db.query('SELECT CONNECTION_ID()', [], 1))[0]?.[0]
    const before = await link()
    await root.execute('SET GLOBAL read_only = 1', [])
    const { message } = await failure(() => db.execute('INSERT INTO t VALUES (?)', [1]))
    t.match(message, /read-only/)
    t.not(await link(), before)
    await root.execute('SET GLOBAL read_only = 0', [])
    t.equal(await db.execute('INSERT INTO t VALUES (?)', [1]), 1)
  },
)

// https://github.com/porsager/postgres/issues/120, https://github.com/pgbouncer/pgbouncer/issues/1038
for (const name of ['postgresql', 'mariadb'] as const) {
  t.test(
    `${name}: a table is changed under prepared statements`,
    { skip: sqlMissing(name) },
    async t => {
      const { open } = await database(t, name)
      const [db, admin] = [open(), open()]
      await admin.execute('CREATE TABLE t (n INT, text VARCHAR(9))', [])
      await admin.execute("INSERT INTO t VALUES (1, '7')", [])
      const ask = () => db.query('SELECT * FROM t WHERE n = ?', [1], 1)
      t.strictSame(await ask(), [[1, '7']])
      await admin.execute('ALTER TABLE t ADD COLUMN more INT DEFAULT 5', [])
      t.strictSame(await ask(), [[1, '7', 5]])
      await admin.execute(
        name === 'mariadb'
          ? 'ALTER TABLE t MODIFY text INT'
          : 'ALTER TABLE t ALTER COLUMN text TYPE INT USING text::int',
        [],
      )
      t.strictSame(await ask(), [[1, 7, 5]])
      await admin.execute('ALTER TABLE t DROP COLUMN more', [])
      t.strictSame(await ask(), [[1, 7]])
    },
  )
}

function redis(t: Test, port: number, password: string | undefined, clock?: Clock) {
  const where = { server: `127.0.0.1:${port}`, sock: undefined, sentinels: [], service: undefined }
  const store = redisStore({ ...where, password, db: 0 }, clock)
  t.teardown(() => store.close())
  return store
}

/** A command of an administrator's. */
function command(port: number, line: string): Promise<void> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
    socket.write(`${line}\r\n`)
  })
}

// https://github.com/redis/redis/issues/584, https://github.com/Volafile/volafile-bugs/issues/131
t.test(
  'Redis that accepts no writes says why, and is still read',
  { skip: serverMissing('redis') },
  async t => {
    const server = await startServer('redis')
    t.teardown(() => server.remove())
    const store = redis(t, server.port, undefined)
    await store.set('a', '1', 60)
    await command(server.port, 'CONFIG SET maxmemory 1')
    await t.rejects(store.set('b', '1', 60), /: OOM command not allowed/)
    await t.rejects(store.increment('n', 60), /: OOM command not allowed/)
    t.equal(await store.get('a'), '1')
    await command(server.port, 'CONFIG SET maxmemory 0')
    t.equal(await store.increment('n', 60), 1)
  },
)

t.test(
  'Redis: a password where none is needed, and one that is set later',
  { skip: serverMissing('redis') },
  async t => {
    const server = await startServer('redis')
    t.teardown(() => server.remove())
    const clock = virtualClock()
    const [without, withOne] = [undefined, 'pa55'].map(one => redis(t, server.port, one, clock))
    await without?.set('a', '1', 60)
    t.equal(await withOne?.get('a'), '1', 'needed or not')
    await command(server.port, 'CONFIG SET requirepass pa55')
    t.equal(await withOne?.get('a'), '1')
    await clock.advance(60_000)
    await t.rejects(async () => without?.get('a'), /NOAUTH/)
    t.equal(await withOne?.get('a'), '1', 'a new connection logs in')
  },
)

// https://github.com/ldapts/ldapts/issues/77, https://github.com/authelia/authelia/pull/58
t.test('LDAP: a notice of disconnection, and then the end', async t => {
  const success = (id: number, tag: number) =>
    Buffer.from([0x30, 12, 2, 1, id, tag, 7, 10, 1, 0, 4, 0, 4, 0])
  const notice = Buffer.concat([
    Buffer.from([0x30, 36, 2, 1, 0, 0x78, 31, 10, 1, 52, 4, 0, 4, 0, 0x8a, 22]),
    Buffer.from('1.3.6.1.4.1.1466.20036'),
  ])
  const server = await peerServer(socket => {
    socket.on('data', data => {
      const id = data[4] ?? 0
      socket.write(success(id, 0x65))
      setTimeout(() => socket.end(notice), 20)
    })
  })
  t.teardown(() => server.close())
  const directory = ldapDirectory({
    host: '127.0.0.1',
    port: server.port,
    keepalive: true,
    timeout: 3,
    binddn: undefined,
    password: undefined,
    starttls: false,
  })
  t.teardown(() => directory.close())
  for (let i = 1; i < 4; i++) {
    t.strictSame(await directory.search('dc=example', '(uid=a)', ['sn'], 2), [])
    while (server.open > 0) await pause(5)
    t.equal(server.connections, i)
  }
})

t.test('memcached that hangs up on idle clients', { skip: serverMissing('memcached') }, async t => {
  const server = await startServer('memcached', { args: ['-o', 'idle_timeout=1'] })
  t.teardown(() => server.remove())
  const store = memcachedStore({ servers: [`127.0.0.1:${server.port}`], namespace: '' })
  t.teardown(() => store.close())
  for (let i = 0; i < 2; i++) {
    await store.set('a', `${i}`, 60)
    await pause(3500)
    t.equal(await store.get('a'), `${i}`)
  }
})
