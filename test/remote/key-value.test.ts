/** Memcached and Redis behind one port, against real servers that stop, hang and come back. */

import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { memcachedStore } from '../../daemon/remote/memcached.ts'
import { type RedisOptions, redisStore } from '../../daemon/remote/redis.ts'
import { type ClosableKeyValueStore, MOST_BYTES } from '../../daemon/remote/server-limits.ts'
import type { Clock } from '../../daemon/system/clock.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import type { ServerOptions, TestServer } from '../../scripts/servers/server.ts'
import { type ServerName, serverMissing, startServer } from '../../scripts/test-servers.ts'
import { freePort } from '../support/free-port.ts'
import { peerServer } from '../support/peer-server.ts'
import { virtualClock } from '../support/virtual-clock.ts'

// Much of this is waiting.
t.jobs = 4

const PLAIN: RedisOptions = {
  server: '',
  sock: undefined,
  sentinels: [],
  service: undefined,
  password: undefined,
  db: 0,
}

const redisAt = (port: number, more: Partial<RedisOptions> = {}, clock?: Clock) =>
  redisStore({ ...PLAIN, server: `127.0.0.1:${port}`, ...more }, clock)
const memcachedAt = (...ports: number[]) =>
  memcachedStore({ servers: ports.map(port => `127.0.0.1:${port}`), namespace: 'test-' })

const STORES = [
  {
    name: 'memcached',
    open: (port: number, clock?: Clock) =>
      memcachedStore({ servers: [`127.0.0.1:${port}`], namespace: 'test-' }, clock),
  },
  { name: 'redis', open: (port: number, clock?: Clock) => redisAt(port, {}, clock) },
] as const

async function running(t: Test, name: ServerName, options?: ServerOptions): Promise<TestServer> {
  const server = await startServer(name, options)
  t.teardown(() => server.remove())
  return server
}

function opened(t: Test, store: ClosableKeyValueStore): ClosableKeyValueStore {
  t.teardown(() => store.close())
  return store
}

async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const latest = performance.now() + 20_000
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > latest) throw error
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

/** What a raw connection is answered: what a test needs to know that the port does not tell. */
function askRaw(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', data => {
      socket.destroy()
      resolve(data.toString())
    })
    socket.write(command)
  })
}

for (const { name, open } of STORES) {
  const skip = serverMissing(name)

  t.test(`${name}: what is stored is found, until it is deleted or over`, { skip }, async t => {
    const server = await running(t, name)
    const store = opened(t, open(server.port))
    t.equal(await store.get('a'), undefined)
    await store.set('a', '1', 60)
    t.equal(await store.get('a'), '1')
    t.equal(await store.add('a', '2', 60), false)
    t.equal(await store.get('a'), '1')
    t.equal(await store.add('b', '2', 60), true)
    t.equal(await store.get('b'), '2')
    await store.delete('a')
    await store.delete('a')
    t.equal(await store.get('a'), undefined)
    for (const value of ['', 'täglich\r\nEND\r\n\0', 'x'.repeat(MOST_BYTES)]) {
      await store.set('value', value, 60)
      t.equal((await store.get('value')) === value, true, `${value.length} characters`)
    }
    await t.rejects(store.set('value', 'x'.repeat(MOST_BYTES + 1), 60), LookupError)
    await store.set('short', '1', 1)
    await store.set('year', '1', 365 * 24 * 60 * 60)
    t.equal(await store.get('year'), '1', 'more than 30 days')
    await eventually(async () => {
      if ((await store.get('short')) !== undefined) throw new Error('still there')
    })
  })

  t.test(`${name}: counts, also when all count at once`, { skip }, async t => {
    const server = await running(t, name)
    const store = opened(t, open(server.port))
    const other = opened(t, open(server.port))
    const sums = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? store : other).increment('n', 60)),
    )
    t.strictSame(
      sums.toSorted((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i + 1),
    )
    await store.set('n', '41', 60)
    t.equal(await store.increment('n', 60), 42)
    await store.set('n', '1', 1)
    await store.set('other', '1', 1)
    await store.increment('n', 60)
    await eventually(async () => {
      if ((await store.get('other')) !== undefined) throw new Error('still there')
    })
    t.equal(await store.get('n'), '2', 'the expiry was renewed')
    await store.set('word', 'no number', 60)
    await t.rejects(store.increment('word', 60), LookupError)
    t.equal(await store.get('word'), 'no number', 'and the connection goes on')
  })

  t.test(`${name}: any text is a key`, { skip }, async t => {
    const server = await running(t, name)
    const store = opened(t, open(server.port))
    const long = `${'a'.repeat(300)}@example.org`
    const keys = ['', ' ', 'a b', 'a\r\nset x 0 0 1\r\n1', '\0', 'jörg', long, `${long}2`, '{a}']
    for (const [i, key] of keys.entries()) await store.set(key, `${i}`, 60)
    for (const [i, key] of keys.entries()) {
      t.equal(await store.get(key), `${i}`, JSON.stringify(key.slice(-20)))
    }
    t.equal(await store.get('x'), undefined)
  })

  t.test(`${name}: many questions at once get each its own answer`, { skip }, async t => {
    const server = await running(t, name)
    const store = opened(t, open(server.port))
    const keys = Array.from({ length: 300 }, (_, i) => `key${i}`)
    await Promise.all(keys.map(key => store.set(key, key.repeat(100), 60)))
    const values = await Promise.all(keys.map(key => store.get(key)))
    t.strictSame(
      values,
      keys.map(key => key.repeat(100)),
    )
    const flood = await Promise.allSettled(Array.from({ length: 1500 }, () => store.get('key1')))
    const failed = flood.filter(({ status }) => status === 'rejected')
    t.equal(failed.length, 500, 'no more than 1000 wait')
    t.ok(failed.every(one => 'reason' in one && one.reason instanceof LookupError))
  })

  t.test(`${name}: stopped and started again`, { skip }, async t => {
    const server = await running(t, name)
    const store = opened(t, open(server.port))
    await store.set('a', '1', 60)
    await server.stop()
    await t.rejects(store.get('a'), LookupError)
    await t.rejects(store.add('a', '1', 60), /ECONNREFUSED/)
    await server.start()
    t.equal(await eventually(() => store.get('a')), undefined)
    await store.set('a', '2', 60)
    t.equal(await store.get('a'), '2')
    store.close()
    await t.rejects(store.get('a'), /closed/)
  })

  t.test(`${name}: a server that hangs costs one question its time`, { skip }, async t => {
    const server = await running(t, name)
    const clock = virtualClock()
    const store = opened(t, open(server.port, clock))
    const outcome = (question: Promise<unknown>): Promise<string> =>
      question.then(() => 'an answer', String)
    await store.set('a', '1', 60)
    server.signal('SIGSTOP')
    const first = outcome(store.get('a'))
    await clock.advance(600)
    const second = outcome(store.set('b', '1', 60))
    await clock.advance(400)
    t.match(await first, /LookupError: .*: no answer within 1 s$/)
    t.match(await second, /no answer within 1 s$/, 'the connection is of no use any more')
    t.match(await outcome(store.get('a')), /no answer within 1 s; not tried again for 2 s$/)
    await clock.advance(2000)
    const probe = outcome(store.get('a'))
    t.match(await outcome(store.get('a')), /another request is checking whether it has recovered$/)
    await clock.advance(1000)
    t.match(await probe, /no answer within 1 s$/)
    t.match(await outcome(store.get('a')), /not tried again for 2 s$/, 'still silent')
    server.signal('SIGCONT')
    await clock.advance(2000)
    t.equal(await store.get('a'), '1')
    t.strictSame(await Promise.all([store.get('a'), store.get('a')]), ['1', '1'], 'all as before')
  })

  t.test(
    `${name}: a connection that nobody uses is closed before a firewall forgets it`,
    async t => {
      const server = await peerServer(socket => {
        socket.on('data', data => socket.write(`${data}`.startsWith('get') ? 'END\r\n' : '$-1\r\n'))
      })
      t.teardown(() => server.close())
      const clock = virtualClock()
      const store = opened(t, open(server.port, clock))
      t.equal(await store.get('a'), undefined)
      await clock.advance(59_000)
      t.equal(await store.get('a'), undefined)
      await clock.advance(59_000)
      t.equal(server.connections, 1)
      await clock.advance(1000)
      while (server.open > 0) await new Promise(resolve => setTimeout(resolve, 5))
      t.equal(await store.get('a'), undefined)
      t.equal(server.connections, 2)
    },
  )
}

const noMemcached = serverMissing('memcached')
const noRedis = serverMissing('redis')

t.test(
  'memcached: each of several servers has its share of the keys',
  { skip: noMemcached },
  async t => {
    const servers = await Promise.all([
      running(t, 'memcached'),
      running(t, 'memcached'),
      running(t, 'memcached'),
    ])
    const store = opened(t, memcachedAt(...servers.map(({ port }) => port)))
    // Where Perl's Cache::Memcached 1.30 puts them, of three servers (observed).
    const PLACES = [2, 2, 0, 2, 2, 2, 1, 1, 2, 2, 1, 1]
    const keyOf = (i: number) => `key${i + 1},a@example.org`
    for (const [i, place] of PLACES.entries()) {
      await store.set(keyOf(i), `${i}`, 60)
      const port = servers[place]?.port ?? 0
      t.match(await askRaw(port, `get test-${keyOf(i)}\r\n`), `VALUE test-${keyOf(i)} 0 `)
    }
    await servers[1]?.stop()
    for (const [i, place] of PLACES.entries()) {
      if (place === 1) await t.rejects(store.get(keyOf(i)), LookupError)
      else t.equal(await store.get(keyOf(i)), `${i}`, 'the others go on')
    }
  },
)

t.test('memcached: only keys that it cannot take are encoded', { skip: noMemcached }, async t => {
  const server = await running(t, 'memcached')
  const store = opened(t, memcachedAt(server.port))
  await store.set('jörg@example.org,2001:db8::1,', 'plain', 60)
  t.match(await askRaw(server.port, 'get test-jörg@example.org,2001:db8::1,\r\n'), /plain/)
  const fitting = 'a'.repeat(245)
  await store.set(fitting, 'plain', 60)
  t.match(await askRaw(server.port, `get test-${fitting}\r\n`), /plain/)
  await store.set(`${fitting}b`, 'encoded', 60)
  t.equal(await store.get(fitting), 'plain')
})

t.test('memcached: answers that cannot be are the end of the connection', async t => {
  const answers = [
    'nonsense\r\n',
    'VALUE a 0 9999999\r\n',
    'x'.repeat(2000),
    'ERROR\r\n',
    'END\r\nEND\r\n',
  ]
  let connections = 0
  let answer = ''
  const clients = new Set<Socket>()
  const server = createServer(socket => {
    connections++
    clients.add(socket)
    socket.on('data', () => socket.write(answer)).on('error', () => undefined)
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  const store = opened(t, memcachedAt(port))
  for (answer of answers.slice(0, -1))
    await t.rejects(store.get('a'), LookupError, answer.slice(0, 30))
  t.ok(connections >= 3)
  answer = 'END\r\nEND\r\n'
  t.equal(await store.get('a'), undefined)
  const before = connections
  answer = 'VALUE test-a 0 1\r\n1\r\nEND\r\n'
  t.equal(await store.get('a'), '1')
  t.equal(connections, before + 1, 'an answer too many was not taken for the next question’s')
})

t.test('a server whose name cannot be understood is told so', async t => {
  for (const server of ['a:b', '127.0.0.1:99999', '', '[::1', 'a b']) {
    t.throws(() => memcachedStore({ servers: [server], namespace: '' }), /expected HOST:PORT/)
    t.throws(() => redisStore({ ...PLAIN, server }), /expected HOST:PORT/, server)
  }
  const none = memcachedStore({ servers: [], namespace: '' })
  await t.rejects(none.get('a'), /no server is configured/)
  t.throws(() => redisStore({ ...PLAIN, sentinels: ['a:1'] }), /needs "service"/)
})

t.test('redis: a server that has become a replica is left', { skip: noRedis }, async t => {
  const master = await running(t, 'redis')
  const replica = await running(t, 'redis', {
    args: ['--replicaof', '127.0.0.1', `${master.port}`],
  })
  // As a name or an address that follows the master.
  let port = replica.port
  const between = await peerServer(socket => {
    const onward = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.pipe(onward).pipe(socket)
    socket.on('close', () => onward.destroy())
  })
  t.teardown(() => between.close())
  const store = opened(t, redisAt(between.port))
  await t.rejects(store.set('a', '1', 60), /READONLY/)
  await t.rejects(store.increment('n', 60), /READONLY/)
  port = master.port
  await eventually(() => store.set('a', '1', 60))
  t.equal(await store.increment('n', 60), 1)
})

t.test('redis: a server that loads its data says so at once', async t => {
  const answer = '-LOADING Redis is loading the dataset in memory\r\n'
  const server = await peerServer(socket => void socket.on('data', () => socket.write(answer)))
  t.teardown(() => server.close())
  const clock = virtualClock()
  const store = opened(t, redisAt(server.port, {}, clock))
  for (let i = 0; i < 3; i++) await t.rejects(store.get('a'), /: LOADING/)
  t.equal(server.connections, 1)
})

t.test('redis: a password, another database, and a socket', { skip: noRedis }, async t => {
  const password = 'pa55 word'
  const server = await running(t, 'redis', { args: ['--requirepass', password] })
  const store = opened(t, redisAt(server.port, { password, db: 3 }))
  await store.set('a', '3', 60)
  const onSocket = opened(t, redisAt(1, { password, sock: server.socket, db: 3 }))
  t.equal(await onSocket.get('a'), '3')
  const another = opened(t, redisAt(server.port, { password }))
  t.equal(await another.get('a'), undefined, 'not in database 0')

  const said = async (store: ClosableKeyValueStore): Promise<string> => {
    opened(t, store)
    const [one] = await Promise.allSettled([store.get('a'), store.set('b', '1', 60)])
    return one.status === 'rejected' ? String(one.reason) : 'answered'
  }
  t.match(await said(redisAt(server.port)), /LookupError: .*NOAUTH/)
  const wrong = await said(redisAt(server.port, { password: 'wr0ng' }))
  t.match(wrong, /LookupError: .*WRONGPASS/)
  t.notMatch(wrong, /wr0ng/)
  const knowsNoAuth = await running(t, 'redis', { args: ['--rename-command', 'AUTH', ''] })
  for (const secret of ['wr0ng', 'wr0ng'.repeat(40)]) {
    const unknown = await said(redisAt(knowsNoAuth.port, { password: secret }))
    t.match(unknown, /LookupError: .*unknown command/)
    t.notMatch(unknown, /wr0ng/, 'not even where Redis quotes it')
  }
  const beyond = redisAt(server.port, { password, db: 99 })
  t.match(await said(beyond), /LookupError: .*DB index/)
  t.match(await said(beyond), /DB index/, 'each time')
  t.equal(await another.get('b'), undefined, 'nothing was written to database 0 instead')
})

t.test(
  'redis with Sentinel: the master is found, and found again when it has changed',
  { skip: noRedis || serverMissing('redis-sentinel') },
  async t => {
    const master = await running(t, 'redis')
    const replica = await running(t, 'redis', {
      args: ['--replicaof', '127.0.0.1', `${master.port}`],
    })
    const sentinel = await running(t, 'redis-sentinel', {
      files: {
        'sentinel.conf': `sentinel monitor mail 127.0.0.1 ${master.port} 1
sentinel down-after-milliseconds mail 300
sentinel failover-timeout mail 3000
`,
      },
    })
    const nobody = await freePort()
    const store = opened(
      t,
      redisAt(1, {
        sentinels: [`127.0.0.1:${nobody}`, `127.0.0.1:${sentinel.port}`],
        service: 'mail',
      }),
    )
    await store.set('a', '1', 600)
    await eventually(async () => {
      const copied = await askRaw(replica.port, 'GET a\r\n')
      const known = await askRaw(sentinel.port, 'SENTINEL replicas mail\r\n')
      if (!copied.includes('1') || !known.includes(`${replica.port}`)) throw new Error('not yet')
    })
    await master.stop('SIGKILL')
    await t.rejects(store.set('a', '2', 600), LookupError)
    await eventually(() => store.set('a', '3', 600))
    t.match(await askRaw(replica.port, 'GET a\r\n'), /3/, 'the replica is the master now')
    await sentinel.stop()
    t.equal(await store.get('a'), '3', 'sentinels are asked only when somebody connects')
    const unknown = opened(t, redisAt(1, { sentinels: [`127.0.0.1:${nobody}`], service: 'mail' }))
    await t.rejects(unknown.get('a'), /sentinels are unreachable/)
  },
)
