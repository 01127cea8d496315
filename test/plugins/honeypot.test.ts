/** Addresses that nobody uses, and what becomes of clients that write to them. */

import t, { type Test } from 'tap'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { type FakeKeyValueStore, fakeKeyValueStore } from '../support/fake-key-value.ts'
import { chain, makeWorld, NOON, plugin, type World } from '../support/world.ts'

const MEMCACHED = '<Connection memcached>\nmodule = Memcached\n</Connection>'
const SESSIONS = '<SessionCache>\nmodule = Memory\n</SessionCache>'
const END = plugin('Action', 'action = reject end of chain', 'end')
const FREE = 'reject end of chain'
const TRAPPED = 'reject trapped by honeypod'

type TrapWorld = World & { readonly store: FakeKeyValueStore }

async function trapWorld(
  t: Test,
  lines: string,
  globals = MEMCACHED,
  after = '',
): Promise<TrapWorld> {
  const store = fakeKeyValueStore(NOON)
  const text = chain(plugin('Honeypot', lines, 'trap') + after + END, globals)
  const world = await makeWorld(text, { keyValue: store })
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return Object.assign(world, { store })
}

const from = (client_address: string, recipient: string) => ({ client_address, recipient })

t.test(
  'a client that writes to a honeypot is refused, there and everywhere, for some time',
  async t => {
    const world = await trapWorld(t, 'recipients = "bob@example.org,  al@example.org"\nexpire = 60')
    t.equal(await world.ask(from('192.0.2.4', 'real@example.org')), FREE)
    t.strictSame(world.store.entries(), {})
    t.equal(await world.ask(from('192.0.2.4', 'al@example.org')), TRAPPED)
    t.strictSame(Object.keys(world.store.entries()), ['trap,192.0.2.4'])
    t.equal(world.store.secondsLeft('trap,192.0.2.4'), 60)
    t.equal(await world.ask(from('192.0.2.4', 'real@example.org')), TRAPPED)
    t.equal(await world.ask(from('192.0.2.5', 'real@example.org')), FREE, 'nobody else')
    t.equal(await world.ask(from('192.0.2.5', 'Bob@example.org')), FREE, 'compared exactly')
    world.store.now += 59_000
    t.equal(await world.ask(from('192.0.2.4', 'real@example.org')), TRAPPED)
    world.store.now += 1000
    t.equal(await world.ask(from('192.0.2.4', 'real@example.org')), FREE)
  },
)

t.test('honeypots by regular expression, a message, and renewal', async t => {
  const world = await trapWorld(
    t,
    'recipients_re = "^trap-\\d+@, (?i)^SINK@"\nreject_message = go away\nexpire = 60',
  )
  t.equal(await world.ask(from('192.0.2.4', 'trap-17@example.org')), 'reject go away')
  world.store.now += 50_000
  t.equal(await world.ask(from('192.0.2.4', 'sink@example.org')), 'reject go away')
  world.store.now += 50_000
  t.equal(await world.ask(from('192.0.2.4', 'x@example.org')), 'reject go away', 'renewed')
  t.equal(await world.ask(from('192.0.2.5', 'trap-x@example.org')), FREE)
  t.equal(await world.ask({ recipient: 'trap-1@example.org' }), FREE, 'no client, nobody to trap')
  const odd = await makeWorld(chain(plugin('Honeypot', 'recipients_re = "(, a@"'), MEMCACHED))
  t.match(odd.messages, [/warning: "recipients_re" .*"\(" is skipped/])
})

t.test('any other mode scores once per mail and runs the nested blocks', async t => {
  const world = await trapWorld(
    t,
    'recipients = bob@example.org\nmode = passive\nscore = 7',
    `${MEMCACHED}\n${SESSIONS}`,
    plugin('AddScoreHeader'),
  )
  const ask = (instance: string, recipient: string) =>
    world.ask({ ...from('192.0.2.4', recipient), instance })
  t.match(await ask('1', 'real@example.org'), /score=0/)
  t.match(await ask('2', 'bob@example.org'), 'PREPEND X-MtScore: YES score=7 [trap=7]')
  world.store.isDown = true
  t.equal(await ask('2', 'real@example.org'), 'dunno', 'known from the mail’s session')
  t.strictSame(world.errors, [])

  const inner = plugin('Action', 'action = hold trapped', 'inner')
  const nested = await trapWorld(t, `recipients = bob@example.org\nmode = passive\n${inner}`)
  t.equal(await nested.ask(from('192.0.2.4', 'bob@example.org')), 'hold trapped')
  t.equal(await nested.ask(from('192.0.2.5', 'real@example.org')), FREE)
})

t.test('switched off, without a store, and with one that does not respond', async t => {
  const off = await trapWorld(t, 'recipients = bob@example.org\nenabled = off')
  t.equal(await off.ask(from('192.0.2.4', 'bob@example.org')), FREE)
  const missing = await makeWorld(chain(plugin('Honeypot', 'memcached = other'), MEMCACHED))
  t.match(missing.messages, [/error: "memcached" in .*there is no <Connection other>/])
  t.equal(missing.problems[0]?.severity, 'fatal')
  const world = await trapWorld(t, 'recipients = bob@example.org')
  world.store.isDown = true
  t.equal(await world.ask(from('192.0.2.4', 'real@example.org')), FREE)
  t.match(world.errors, [/^plugin trap failed: the store is down/])
})

t.test(
  'one daemon traps for all, in a real memcached or in Redis',
  { skip: serverMissing('memcached') || serverMissing('redis') },
  async t => {
    const [memcached, redis] = await Promise.all([startServer('memcached'), startServer('redis')])
    t.teardown(() => Promise.all([memcached.remove(), redis.remove()]))
    for (const connection of [
      `module = Memcached\nservers = "127.0.0.1:${memcached.port}"`,
      `module = Redis\nserver = "127.0.0.1:${redis.port}"`,
    ]) {
      const text = chain(
        plugin('Honeypot', 'recipients = bob@example.org\nmemcached = kept') + END,
        `<Connection kept>\n${connection}\n</Connection>`,
      )
      const one = await makeWorld(text)
      const other = await makeWorld(text)
      t.teardown(() => [one, other].map(world => world.close()))
      t.equal(await other.ask(from('192.0.2.4', 'real@example.org')), FREE)
      t.equal(await one.ask(from('192.0.2.4', 'bob@example.org')), TRAPPED)
      t.equal(await other.ask(from('192.0.2.4', 'real@example.org')), TRAPPED)
    }
  },
)
