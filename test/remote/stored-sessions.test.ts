/** Sessions in Memcached and Redis: one mail, several daemons, and stores that fail. */

import t, { type Test } from 'tap'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import type { KeyValueStore } from '../../daemon/policy/ports/key-value.ts'
import { Session, type SessionCache, type SessionValue } from '../../daemon/policy/session.ts'
import { memcachedStore } from '../../daemon/remote/memcached.ts'
import { memorySessions } from '../../daemon/remote/memory-sessions.ts'
import { redisStore } from '../../daemon/remote/redis.ts'
import type { ClosableKeyValueStore } from '../../daemon/remote/server-limits.ts'
import { storedSessions } from '../../daemon/remote/stored-sessions.ts'
import type { Clock } from '../../daemon/system/clock.ts'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { type FakeKeyValueStore, fakeKeyValueStore } from '../support/fake-key-value.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { chain, makeWorld, NOON, plugin } from '../support/world.ts'

const KEY = 'univention-mtpolicyd-session-1'
const LOCK = 'univention-mtpolicyd-lock-1'

const STORES = [
  {
    name: 'memcached' as const,
    open: (port: number) => memcachedStore({ servers: [`127.0.0.1:${port}`], namespace: '' }),
  },
  {
    name: 'redis' as const,
    open: (port: number) =>
      redisStore({
        server: `127.0.0.1:${port}`,
        sock: undefined,
        sentinels: [],
        service: undefined,
        password: undefined,
        db: 0,
      }),
  },
]

const sessionsIn = (store: KeyValueStore, lockSeconds = 10, clock?: Clock): SessionCache =>
  storedSessions(store, { expireSeconds: 300, lockSeconds }, clock)

/** Adds 1 to what the mail's session counts, and takes its time. */
async function count(cache: SessionCache, milliseconds = 0, instance = '1'): Promise<void> {
  const session = await cache.acquire(instance)
  const before = Number(session.get('n') ?? 0)
  if (milliseconds > 0) await new Promise(resolve => setTimeout(resolve, milliseconds))
  session.set('n', before + 1)
  await cache.release(instance, session)
}

async function counted(cache: SessionCache): Promise<SessionValue | undefined> {
  const session = await cache.acquire('1')
  await cache.release('1', session)
  return session.get('n')
}

for (const { name, open } of STORES) {
  t.test(
    `${name}: requests of one mail come one after the other, also in two daemons`,
    { skip: serverMissing(name) },
    async t => {
      const server = await startServer(name)
      t.teardown(() => server.remove())
      const stores: ClosableKeyValueStore[] = [open(server.port), open(server.port)]
      t.teardown(() => stores.map(store => store.close()))
      const caches = stores.map(store => sessionsIn(store))
      const work = Array.from({ length: 20 }, (_, i) => caches[i % 2] ?? sessionsIn(open(1)))
      await Promise.all(work.map((cache, i) => count(cache, i % 3)))
      for (const cache of caches) t.equal(await counted(cache), 20)
      await Promise.all(work.map((cache, i) => count(cache, 0, `other${i % 4}`)))
      for (const cache of caches)
        t.equal(await counted(cache), 20, 'other mails are other sessions')
    },
  )

  t.test(
    `${name}: what a chain finds is known to the next request of the mail, in another daemon`,
    { skip: serverMissing(name) },
    async t => {
      const server = await startServer(name)
      t.teardown(() => server.remove())
      const kind = name === 'redis' ? 'Redis' : 'Memcached'
      const option = name === 'redis' ? 'server' : 'servers'
      const text = chain(
        plugin('Condition', 'key = sender\nre_match = .\nscore = 2.50') +
          plugin('ScoreAction', 'threshold = 5\naction = "reject %SCORE%%SCORE_DETAIL%"'),
        `<Connection ${name}>\nmodule = ${kind}\n${option} = "127.0.0.1:${server.port}"\n</Connection>
         <SessionCache>\nmodule = ${kind}\n</SessionCache>`,
      )
      const [one, other] = [await makeWorld(text), await makeWorld(text)]
      t.teardown(() => [one, other].map(world => world.close()))
      const mail = { sender: 'a@example.org', instance: 'a b.1' }
      t.equal(await one.ask(mail), 'dunno')
      t.equal(await other.ask(mail), 'reject 5, condition=2.50, condition=2.50')
      t.equal(await other.ask({ ...mail, instance: '2' }), 'dunno')
      await server.stop()
      t.equal(await one.ask(mail), 'dunno', 'the mail goes on without a session')
      t.match(one.errors, [/session data for message a b\.1 is unavailable: (memcached|redis) 127/])
      await server.start()
      t.equal(await other.ask({ ...mail, instance: '3' }), 'dunno')
      t.match(await other.ask({ ...mail, instance: '3' }), /^reject 5/)
    },
  )
}

function faked(lockSeconds?: number) {
  const store = fakeKeyValueStore(NOON)
  const clock = virtualClock()
  return { store, clock, cache: sessionsIn(store, lockSeconds, clock) }
}

async function keep(cache: SessionCache, values: Readonly<Record<string, SessionValue>>) {
  const session = await cache.acquire('1')
  for (const [key, value] of Object.entries(values)) session.set(key, value)
  await cache.release('1', session)
}

t.test('all that a session can hold comes back', async t => {
  const { store, cache } = faked()
  const values = { text: 'jörg\n"', number: -2.5, yes: true, none: null, list: [['a', 1], {}] }
  await keep(cache, { ...values, ['__proto__']: 'x', endless: Number.POSITIVE_INFINITY })
  const session = await cache.acquire('1')
  t.match(Object.fromEntries(session.entries()), values)
  t.equal(session.get('__proto__'), 'x')
  t.equal(session.text('endless'), 'Infinity')
  t.equal(store.secondsLeft(KEY), 300)
  t.ok(LOCK in store.entries())
  t.equal(store.secondsLeft(LOCK), 10)
  session.delete('text')
  await cache.release('1', session)
  t.strictSame(Object.keys(store.entries()), [KEY], 'the lock is given back')
  t.equal((await cache.acquire('1')).get('text'), undefined)
})

t.test(
  'within one daemon requests of a mail stand in line: nobody asks for the lock twice',
  async t => {
    const { store } = faked()
    let asked = 0
    const counting: KeyValueStore = {
      ...store,
      add(key, value, expireSeconds) {
        asked++
        return store.add(key, value, expireSeconds)
      },
    }
    const cache = sessionsIn(counting)
    await Promise.all([30, 30, 0, 0].map(milliseconds => count(cache, milliseconds)))
    t.equal(asked, 4)
    t.equal(await counted(cache), 4)
  },
)

t.test('what cannot be read is an empty session', async t => {
  const { store, cache } = faked()
  for (const odd of ['', '{', '[1]', 'null', '"text"', '\x04\x0b\x0812345678\x04\x08']) {
    await store.set(KEY, odd, 60)
    const session = await cache.acquire('1')
    t.strictSame([...session.keys()], [], odd)
    await cache.release('1', session)
  }
})

t.test('a session that is too large is not stored, and the next one can be', async t => {
  const { store, cache } = faked()
  await keep(cache, { small: 1 })
  const session = await cache.acquire('1')
  session.set('large', 'x'.repeat(512 * 1024))
  await t.rejects(cache.release('1', session) as Promise<void>, /too large/)
  t.strictSame(store.entries(), { [KEY]: '{"small":1}' })
  await keep(cache, { more: 2 })
  t.strictSame(store.entries(), { [KEY]: '{"small":1,"more":2}' })
})

t.test('a lock of another daemon is waited for, but not for ever', async t => {
  const { store, cache, clock } = faked(10)
  await store.set(LOCK, 'somebody else', 60)
  const waiting = counted(cache)
  await clock.advance(5000)
  await store.delete(LOCK)
  await clock.advance(150)
  t.equal(await waiting, undefined)
  await store.set(LOCK, 'somebody else', 60)
  const outcome = counted(cache).catch(String)
  await clock.advance(9999)
  t.equal(await Promise.race([outcome, 'waiting']), 'waiting')
  await clock.advance(1)
  t.match(await outcome, /LookupError: another daemon has not released the session within 10 s/)
  t.equal(store.entries()[LOCK], 'somebody else', 'and it stays theirs')
  await store.delete(LOCK)
  await count(cache)
  t.equal(await counted(cache), 1, 'the line here goes on')
  t.equal(clock.pending, 0)
})

t.test('attempts to get a lock become rarer: at most some ten per second', async t => {
  const { store, cache, clock } = faked(10)
  await store.set(LOCK, 'somebody else', 60)
  let attempts = 0
  const { add } = store
  store.add = (...call) => {
    attempts++
    return add(...call)
  }
  const outcome = counted(cache).catch(String)
  await clock.advance(10_000)
  t.match(await outcome, /not released/)
  t.ok(attempts > 60 && attempts < 220, `${attempts} attempts`)
})

t.test('a session that is held for too long is lost', async t => {
  const { store, cache, clock } = faked(10)
  const session = await cache.acquire('1')
  session.set('late', 1)
  await clock.advance(9001)
  store.now += 11_000
  await count(sessionsIn(store, 10, clock))
  await t.rejects(cache.release('1', session) as Promise<void>, /longer than "lock_timeout"/)
  t.strictSame(store.entries(), { [KEY]: '{"n":1}' }, 'the other one’s stands')
  const slow = await cache.acquire('1')
  slow.set('late', 2)
  await clock.advance(9001)
  await cache.release('1', slow)
  t.strictSame(store.entries(), { [KEY]: '{"n":1,"late":2}' }, 'slow, but in time')
})

t.test('a store that fails gives up the turn as well', async t => {
  const { store, cache } = faked()
  store.isDown = true
  await t.rejects(counted(cache), /store is down/)
  store.isDown = false
  const session = await cache.acquire('1')
  store.isDown = true
  await t.rejects(cache.release('1', session) as Promise<void>, /store is down/)
  store.isDown = false
  await store.delete(LOCK)
  await count(cache)
  t.equal(await counted(cache), 1)
})

const SLOW_DOWN = `<SessionCache>\nmodule = Memcached\nlock_timeout = 30\n</SessionCache>
<Connection memcached>\nmodule = Memcached\n</Connection>`

async function held(t: Test): Promise<FakeKeyValueStore> {
  const store = fakeKeyValueStore(NOON)
  await store.set(LOCK, 'somebody else', 60)
  t.teardown(() => store.delete(LOCK))
  return store
}

t.test('a locked session costs half of the request’s time, not the mail', async t => {
  const store = await held(t)
  const text = chain(
    plugin('SetField', 'key = a\nvalue = b') + plugin('Action', 'action = hold'),
    SLOW_DOWN,
  )
  const world = await makeWorld(text, { keyValue: store, secondMilliseconds: 100 })
  t.teardown(() => world.close())
  t.equal(await world.ask({ instance: '1' }), 'hold')
  t.match(world.errors, [/^session data for message 1 is unavailable: no answer within 200 ms/])
  await store.delete(LOCK)
  // What was still being waited for comes now, and is given back.
  while (LOCK in store.entries() || !(KEY in store.entries())) {
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  t.equal(store.entries()[KEY], '{}')
  t.equal(await world.ask({ instance: '1' }), 'hold')
  t.equal(store.entries()[KEY], '{"a":"b"}')
})

t.test('the log tells the time a request took, with that of giving its session back', async t => {
  const fake = fakeKeyValueStore(NOON)
  const slow: KeyValueStore = {
    ...fake,
    async set(key, value, expireSeconds) {
      await new Promise(resolve => setTimeout(resolve, 50))
      await fake.set(key, value, expireSeconds)
    },
  }
  const text = chain(plugin('SetField', 'key = a\nvalue = b'), SLOW_DOWN)
  const world = await makeWorld(text, { keyValue: slow })
  t.teardown(() => world.close())
  await world.ask({ instance: '1' })
  t.ok(Number(world.verdicts[0]?.ms) >= 49, `${world.verdicts[0]?.ms} ms`)
})

t.test('who could not wait for the session does not end the other one’s turn', async t => {
  const waiting: (() => void)[] = []
  const slow = definePlugin({
    name: 'Slow',
    summary: 'Waits.',
    settings: {},
    create: () => request =>
      request.text('sender') === 'slow'
        ? new Promise(resolve => waiting.push(() => resolve(undefined)))
        : undefined,
  })
  const text = chain(plugin('Slow'), '<SessionCache>\nmodule = Memory\n</SessionCache>')
  const world = await makeWorld(text, { plugins: [slow], secondMilliseconds: 100 })
  // The daemon's own timers do not keep a process alive.
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => {
    clearInterval(alive)
    world.close()
  })
  const first = world.ask({ instance: '1', sender: 'slow' })
  // Each waits for half of a request's time; the first has the whole of it.
  const second = world.ask({ instance: '1', sender: 'second' })
  await new Promise(resolve => setTimeout(resolve, 80))
  await Promise.all([second, world.ask({ instance: '1', sender: 'third' })])
  const lost = () =>
    world.errors.filter(error => error.startsWith('session data for message 1 is unavailable'))
  t.equal(lost().length, 1, 'said once')
  for (const end of waiting) end()
  await first
  await world.ask({ instance: '1' })
  t.equal(lost().length, 1, 'and then it is free')
})

t.test('in memory: a request that could not wait does not end the other one’s turn', async t => {
  const clock = virtualClock()
  const cache = memorySessions({ expireSeconds: 60, lockSeconds: 10 }, clock)
  const first = cache.acquire('1')
  t.type(first, Session, 'at once')
  const second = Promise.resolve(cache.acquire('1')).then(() => 'served', String)
  await clock.advance(9000)
  let isIn = false
  const third = Promise.resolve(cache.acquire('1')).then(session => {
    isIn = true
    return session
  })
  await clock.advance(1000)
  t.match(await second, /another request of the same message has not ended within 10 s/)
  t.notOk(isIn)
  await cache.release('1', await first)
  t.equal(await third, await first, 'the same session')
  await cache.release('1', await third)
  t.equal(cache.acquire('1'), await first, 'at once again')
  t.equal(clock.pending, 0)
})

t.test('in memory: a session is forgotten after it was not used for a while', async t => {
  const clock = virtualClock()
  const cache = memorySessions({ expireSeconds: 60, lockSeconds: 10 }, clock)
  const use = async (instance: string): Promise<SessionValue | undefined> => {
    const session = await cache.acquire(instance)
    const before = session.get('seen')
    session.set('seen', 1)
    await cache.release(instance, session)
    return before
  }
  t.equal(await use('1'), undefined)
  await clock.advance(59_000)
  t.equal(await use('1'), 1)
  await clock.advance(59_000)
  t.equal(await use('1'), 1, 'each use counts')
  await clock.advance(121_000)
  t.equal(await use('1'), undefined)
})
