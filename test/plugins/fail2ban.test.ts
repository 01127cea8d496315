/** Fail2Ban, against a real fail2ban-server and against some that behave worse. */

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { jailer } from '../../daemon/lookup/fail2ban.ts'
import { askFail2ban } from '../../scripts/servers/fail2ban.ts'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { answering, peerServer } from '../support/peer-server.ts'
import { chain, makeWorld, plugin, type World } from '../support/world.ts'

const skip = serverMissing('fail2ban')
const SESSIONS = '<SessionCache>\nmodule = Memory\n</SessionCache>'
/** Pickles of (0, 1) and of a text, as fail2ban answers. */
const DONE = Buffer.from(
  '\x80\x05\x95\x07\0\0\0\0\0\0\0K\0K\x01\x86\x94.<F2B_END_COMMAND>',
  'latin1',
)
const REFUSED = Buffer.from('\x80\x04\x8c\x0eERROR: too bad\x94.<F2B_END_COMMAND>', 'latin1')
const END = /<F2B_END_COMMAND>/

async function rightWorld(t: Test, socket: string, lines = '', globals = ''): Promise<World> {
  const block = plugin('Fail2Ban', `socket = "${socket}"\n${lines}`, 'ban')
  const world = await makeWorld(chain(block, globals))
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

const from = (client_address: string, instance = '') => ({ client_address, instance })

t.test('the client’s address is banned, IPv4 or IPv6', { skip }, async t => {
  const server = await startServer('fail2ban')
  t.teardown(() => server.remove())
  const banned = async (jail: string) =>
    (await askFail2ban(server, 'get', jail, 'banip')).trim().split(/\s+/).toSorted()
  const world = await rightWorld(t, server.socket)
  t.equal(await world.ask(from('192.0.2.1')), 'dunno')
  t.equal(await world.ask(from('2001:DB8:0::1')), 'dunno')
  t.equal(await world.ask(from('::ffff:198.51.100.1')), 'dunno')
  t.equal(await world.ask(from('192.0.2.1')), 'dunno', 'banned already')
  t.strictSame(await banned('postfix'), ['192.0.2.1', '198.51.100.1', '2001:db8::1'])
  const other = await rightWorld(t, server.socket, 'jail = other')
  // Many more at a time than its socket lets wait.
  await Promise.all(Array.from({ length: 100 }, (_, i) => other.ask(from(`203.0.113.${i}`))))
  while ((await banned('other')).length < 100) await pause(50)
  t.strictSame([...world.errors, ...other.errors], [])
  // Its action runs a little later.
  const file = join(server.folder, 'banned')
  while (!existsSync(file) || !readFileSync(file, 'utf8').includes('2001:db8::1')) await pause(50)

  await server.stop()
  t.equal(await world.ask(from('192.0.2.3')), 'dunno')
  t.match(world.errors, [/^plugin ban failed: .*(ENOENT|ECONNREFUSED)/])
  await server.start()
  t.equal(await world.ask(from('192.0.2.4')), 'dunno')
  t.strictSame(await banned('postfix'), ['192.0.2.4'], 'a restart is nothing special')
  t.equal(world.errors.length, 1)

  const nowhere = await rightWorld(t, server.socket, 'jail = nowhere')
  await nowhere.ask(from('192.0.2.5'))
  t.match(nowhere.errors, [/UnknownJailException nowhere/], 'fail2ban’s own words')
})

t.test('what is sent is what Python’s pickle, protocol 2, writes', async t => {
  const server = await peerServer(answering(END, DONE))
  t.teardown(() => server.close())
  const { signal } = new AbortController()
  await jailer(server.path).ban('pöstfix', '192.0.2.1', signal)
  const script = [
    'import pickle, sys',
    'words = ["set", "p\\u00f6stfix", "banip", "192.0.2.1"]',
    'sys.stdout.buffer.write(pickle.dumps(words, 2) + b"<F2B_END_COMMAND>")',
  ]
  const wanted = execFileSync('python3', ['-c', script.join('\n')]).toString('latin1')
  t.equal(server.heard, wanted)
})

t.test('once per mail; only addresses; nobody in observe mode', async t => {
  const server = await peerServer(answering(END, DONE))
  t.teardown(() => server.close())
  const world = await rightWorld(t, server.path, '', SESSIONS)
  await world.ask(from('192.0.2.1', 'a'))
  await world.ask(from('192.0.2.1', 'a'))
  t.equal(server.connections, 1)
  await world.ask(from('192.0.2.1', 'b'))
  t.equal(server.connections, 2)
  for (const nobody of ['unknown', '', '192.0.2.1\nx', '192.0.2.999']) await world.ask(from(nobody))
  await world.ask({})
  t.equal(server.connections, 2)
  t.match(world.notes.at(-1), /no client_address to ban/)
  const observing = await rightWorld(t, server.path, '', 'mode = observe')
  await observing.ask(from('192.0.2.1'))
  const off = await rightWorld(t, server.path, 'enabled = off')
  await off.ask(from('192.0.2.1'))
  t.equal(server.connections, 2)
  t.strictSame([...world.errors, ...observing.errors, ...off.errors], [])
})

t.test('a refusal is a failure, even if it arrives after the mail has continued', async t => {
  let isHolding = false
  const held: Socket[] = []
  const server = await peerServer(socket => {
    socket.on('data', () => void (isHolding ? held.push(socket) : socket.write(REFUSED)))
  })
  t.teardown(() => server.close())
  const world = await rightWorld(t, server.path)
  await world.ask(from('192.0.2.1'))
  t.match(world.errors, [/^plugin ban failed: .*ERROR: too bad/])

  isHolding = true
  t.equal(await world.ask(from('192.0.2.2')), 'dunno', 'no mail waits for the reply')
  t.equal(server.open, 1)
  t.equal(world.errors.length, 1)
  for (const socket of held) socket.write(REFUSED)
  while (server.open > 0) await pause(10)
  await world.ask(from('192.0.2.3'))
  t.equal(world.errors.length, 2, 'said with the next mail')
  await world.ask(from('192.0.2.4'))
  t.equal(world.errors.length, 2, 'and only once')
})

t.test(
  'a server that is silent, hangs up, or never stops sending fails within the time limit',
  async t => {
    for (const [name, talk, message] of [
      ['silent', () => undefined, /no answer in time/],
      ['gone', socket => socket.destroy(), /EPIPE|ECONNRESET|closed/],
      ['endless', socket => socket.write('x'.repeat(100_000)), /too long/],
    ] satisfies [string, Parameters<typeof peerServer>[0], RegExp][]) {
      const server = await peerServer(talk)
      const { ban } = jailer(server.path)
      const { signal } = new AbortController()
      const ends: number[] = []
      const bans = ['192.0.2.1', '192.0.2.2'].map(async address => {
        await t.rejects(ban('postfix', address, signal), { name: 'LookupError', message }, name)
        ends.push(performance.now())
      })
      await Promise.all(bans)
      const [one = 0, other = 0] = ends
      t.ok(other - one < 1500, `${name}: the second one does not wait for another two seconds`)
      await server.close()
    }
    const aborted = AbortSignal.abort()
    await t.rejects(jailer('/nowhere').ban('postfix', '192.0.2.1', aborted), {
      name: 'LookupError',
    })
  },
)
