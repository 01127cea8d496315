/** The control sockets: frames, levels, streams, and what versions apart say to each other. */

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect, createServer, Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Broadcast } from '../../daemon/control/broadcast.ts'
import { callDaemon, followDaemon, openStream } from '../../daemon/control/client.ts'
import type { Control, WatchedRequest, WatchedVerdict } from '../../daemon/control/control.ts'
import { type DaemonStatus, readSocketBeside } from '../../daemon/control/protocol.ts'
import { serveControl } from '../../daemon/control/server.ts'
import { idleControl } from '../support/idle-control.ts'

/** A folder with a path short enough for a socket. */
function socketIn(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'control-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'control.sock')
}

const STATUS = { version: '1' } as DaemonStatus

async function serve(t: Test, more: Partial<Control> = {}): Promise<string> {
  const path = socketIn(t)
  const server = await serveControl(path, {
    ...idleControl,
    status: () => STATUS,
    reload: () => ['a warning'],
    ...more,
  })
  t.teardown(() => server.close())
  return path
}

/** Everything that comes back for these bytes. */
function say(path: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(bytes))
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', chunk => {
      text += chunk
    })
    socket.once('end', () => resolve(text))
    socket.once('error', reject)
  })
}

const verdict = (user: string): WatchedVerdict => ({
  instance: '1.2',
  user,
  client: '192.0.2.1',
  country: undefined,
  rcpt: 1,
  size: 0,
  verdict: 'dunno',
  observed: undefined,
  by: '',
  used: undefined,
  limit: undefined,
  ms: 0,
})

t.test('an answer is one line, in the form of all versions', async t => {
  const path = await serve(t)
  t.equal(await say(path, '{"command":"status"}\n'), '{"ok":true,"result":{"version":"1"}}\n')
  t.equal(await say(path, '{"command":"reload"}\n'), '{"ok":true,"result":["a warning"]}\n')
  t.strictSame(await callDaemon(path, 'reload', {}), { ok: true, result: ['a warning'] })
})

for (const [what, line, message] of [
  ['an unknown command', '{"command":"stop"}', 'unknown command "stop"'],
  ['no command', '{}', 'unknown command ""'],
  ['a name of the language', '{"command":"constructor"}', 'unknown command "constructor"'],
  ['no object', '7', 'unknown command ""'],
  ['an unknown argument', '{"command":"watch","arguments":{"x":1}}', 'unknown argument "x"'],
  ['a wrong argument', '{"command":"watch","arguments":{"user":1}}', '"user" must be a string'],
  ['arguments of no kind', '{"command":"watch","arguments":[]}', 'must be an object'],
  ['no account', '{"command":"user","arguments":{}}', 'argument "name" is missing'],
  [
    'a beginning that is no text',
    '{"command":"accounts","arguments":{"prefix":1}}',
    'argument "prefix" must be a string',
  ],
  [
    'too many senders',
    '{"command":"top","arguments":{"since":0,"by":"refused","most":1001}}',
    'argument "most" must be a whole number from 1 to 1000',
  ],
  [
    'an order that there is none of',
    '{"command":"top","arguments":{"since":0,"by":"bytes","most":1}}',
    'argument "by" must be one of recipients, messages, refused',
  ],
  [
    'a time that is no number',
    '{"command":"top","arguments":{"since":"24h","by":"refused","most":1}}',
    'argument "since" must be a number',
  ],
  [
    'more than top takes',
    '{"command":"top","arguments":{"since":0,"by":"refused","most":1,"x":"y"}}',
    'unknown argument "x"',
  ],
  ['no attributes', '{"command":"explain","arguments":{}}', '"attributes" must be an object'],
  [
    'an attribute of two lines',
    '{"command":"explain","arguments":{"attributes":{"a":"b\\nc"}}}',
    'attribute "a" must be a string of one line',
  ],
  [
    'an attribute that is no text',
    '{"command":"explain","arguments":{"attributes":{"a":1}}}',
    'attribute "a" must be a string of one line',
  ],
  ['nothing to ask why', '{"command":"why"}', 'one of the arguments "code", "queueId" and'],
  [
    'two questions why',
    '{"command":"why","arguments":{"code":"K3F-9QT","instance":"a"}}',
    'expected one of the arguments',
  ],
  ['no code', '{"command":"why","arguments":{"code":"K3F-9Q0"}}', 'a code such as K3F-9QT'],
  ['a code that is no text', '{"command":"why","arguments":{"code":7}}', '"code" must be a string'],
  ['arguments for none', '{"command":"status","arguments":{"a":""}}', 'unknown argument "a"'],
] as const) {
  t.test(`${what} is refused in words`, async t => {
    const reply: unknown = JSON.parse(await say(await serve(t), `${line}\n`))
    t.match(reply, { ok: false, message: new RegExp(message) })
  })
}

t.test('what is not JSON is refused, and what never ends is cut off', async t => {
  const path = await serve(t)
  t.match(await say(path, 'hello\n'), /^\{"ok":false,"message":/)
  t.equal(await say(path, 'x'.repeat(70_000)).catch(() => ''), '')
})

t.test('the socket for readers answers and changes nothing', async t => {
  let reloads = 0
  const path = await serve(t, {
    reload: () => {
      reloads++
      return []
    },
  })
  const reading = readSocketBeside(path)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(reading).mode & 0o777, 0o660)
  t.match(await say(reading, '{"command":"status"}\n'), '"ok":true')
  const explain = '{"command":"explain","arguments":{"attributes":{"sasl_username":"alice"}}}\n'
  t.match(await say(reading, explain), '"action":"dunno"')
  const why = '{"command":"why","arguments":{"code":"(k3f9qt)"}}\n'
  t.match(await say(reading, why), '"days":90')
  const refusal: unknown = JSON.parse(await say(reading, '{"command":"reload"}\n'))
  t.match(refusal, { ok: false, message: /"reload" is for root only/ })
  t.equal(reloads, 0)
})

t.test('whole requests are for root only, and none is missed once they are shown', async t => {
  const requests = new Broadcast<WatchedRequest>()
  const path = await serve(t, { requests: (_, signal) => requests.subscribe(signal) })
  const refusal: unknown = JSON.parse(await say(readSocketBeside(path), '{"command":"requests"}\n'))
  t.match(refusal, { ok: false, message: /"requests" is for root only/ })
  const controller = new AbortController()
  const stream = await openStream(path, 'requests', {}, controller.signal)
  const request = { attributes: { sender: 'alice@example.org' }, verdict: verdict('alice') }
  requests.publish(request)
  t.match(await stream.next(), { done: false, value: { attributes: request.attributes } })
  controller.abort()
  t.match(await stream.next(), { done: true })
  await t.rejects(openStream(socketIn(t), 'requests', {}, new AbortController().signal), {
    message: /no daemon listens/,
  })
})

t.test('what a command rejects with is its message', async t => {
  const path = await serve(t, { reload: () => Promise.reject(new Error('port 1 is in use')) })
  t.strictSame(await callDaemon(path, 'reload', {}), { ok: false, message: 'port 1 is in use' })
})

t.test('where no daemon listens there is no reply', async t => {
  t.equal(await callDaemon(socketIn(t), 'status', {}), undefined)
  await t.rejects(followDaemon(socketIn(t), 'watch', {}, new AbortController().signal).next(), {
    message: /no daemon listens/,
  })
})

t.test('verdicts are watched as they come, and only those that are wanted', async t => {
  const verdicts = new Broadcast<WatchedVerdict>()
  const path = await serve(t, {
    watch: ({ user }, signal) => verdicts.subscribe(signal, one => !user || one.user === user),
  })
  const controller = new AbortController()
  const seen: string[] = []
  const watching = (async () => {
    for await (const { user } of followDaemon(path, 'watch', { user: 'eve' }, controller.signal)) {
      seen.push(String(user))
      if (seen.length === 2) controller.abort()
    }
  })()
  while (!verdicts.isHeard) await new Promise(setImmediate)
  for (const user of ['eve', 'bob', 'eve']) verdicts.publish(verdict(user))
  await watching
  t.strictSame(seen, ['eve', 'eve'])
  while (verdicts.isHeard) await new Promise(setImmediate)
  t.pass('nobody is left listening')
})

t.test('a watcher that does not read is dropped, and nobody waits for it', async t => {
  const verdicts = new Broadcast<WatchedVerdict>(10)
  const path = await serve(t, { watch: (_, signal) => verdicts.subscribe(signal) })
  const socket = connect(path)
  t.teardown(() => socket.destroy())
  socket.pause().write('{"command":"watch"}\n')
  while (!verdicts.isHeard) await new Promise(setImmediate)
  const large = verdict('x'.repeat(10_000))
  for (let count = 0; verdicts.isHeard && count < 10_000; count++) {
    verdicts.publish(large)
    if (count % 5 === 0) await new Promise(setImmediate)
  }
  t.notOk(verdicts.isHeard)
  let text = ''
  for await (const chunk of socket.setEncoding('utf8')) text += chunk
  t.match(text.trimEnd().split('\n').at(-1), /"ok":false.*fell more than 10 records behind/)
})

t.test('a broadcast gives each reader everything, and refuses too many', async t => {
  const numbers = new Broadcast<number>()
  const controller = new AbortController()
  const readers = Array.from({ length: 32 }, () => numbers.subscribe(controller.signal))
  t.throws(() => numbers.subscribe(controller.signal), { message: /too many readers/ })
  for (const number of [1, 2, 3]) numbers.publish(number)
  const first = readers[0]?.[Symbol.asyncIterator]()
  t.strictSame(await first?.next(), { value: 1, done: false })
  const waiting = [await first?.next(), await first?.next()].map(result => result?.value)
  t.strictSame(waiting, [2, 3])
  const last = first?.next()
  controller.abort()
  t.strictSame(await last, { value: undefined, done: true })
  t.notOk(numbers.isHeard)
})

/** What daemons before the typed interface answered. */
async function olderDaemon(t: Test): Promise<string> {
  const path = socketIn(t)
  const server: Server = createServer(socket => {
    socket.once('data', bytes => {
      const { command } = JSON.parse(bytes.toString()) as { command: string }
      const reply =
        command === 'status'
          ? { ok: true, result: STATUS }
          : { ok: false, message: `unknown command "${command}"` }
      socket.end(`${JSON.stringify(reply)}\n`)
    })
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => server.close())
  return path
}

t.test('an older daemon answers what it knows, and the rest is explained', async t => {
  const path = await olderDaemon(t)
  t.match(await callDaemon(path, 'status', {}), { ok: true, result: STATUS })
  const watching = followDaemon(path, 'watch', {}, new AbortController().signal)
  await t.rejects(watching.next(), { message: /older than this program; restart it/ })
})

t.test('a daemon that is stuck is given up', async t => {
  const path = await serve(t, { status: () => new Promise<DaemonStatus>(() => undefined) })
  await t.rejects(callDaemon(path, 'status', {}, 50), {
    message: 'the daemon did not answer within 0.05 s',
  })
})

/** The server's ends of connections, as they are accepted. */
function acceptedIn(t: Test): { servers: Set<Server>; sockets: Socket[] } {
  const servers = new Set<Server>()
  const sockets: Socket[] = []
  const { emit } = Server.prototype
  t.teardown(() => {
    Server.prototype.emit = emit
  })
  Server.prototype.emit = function (this: Server, name: string, ...values: unknown[]) {
    servers.add(this)
    const [first] = values
    if (name === 'connection' && first instanceof Socket) sockets.push(first)
    return Reflect.apply(emit, this, [name, ...values])
  }
  return { servers, sockets }
}

t.test('a watcher that reads in fits and starts leaves nothing behind', async t => {
  const verdicts = new Broadcast<WatchedVerdict>(100_000)
  const { sockets } = acceptedIn(t)
  const path = await serve(t, { watch: (_, signal) => verdicts.subscribe(signal) })
  const socket = connect(path)
  t.teardown(() => socket.destroy())
  socket.write('{"command":"watch"}\n')
  while (!verdicts.isHeard) await new Promise(setImmediate)
  const accepted = sockets.at(0)
  const before = accepted?.listenerCount('close')
  const large = verdict('x'.repeat(1_000_000))
  let read = 0
  socket.on('data', bytes => {
    read += bytes.length
  })
  for (let count = 1; count <= 20; count++) {
    socket.pause()
    verdicts.publish(large)
    await new Promise(resolve => setTimeout(resolve, 5))
    socket.resume()
    while (read < count * 1_000_000) await new Promise(resolve => setTimeout(resolve, 1))
  }
  t.equal(accepted?.listenerCount('close'), before)
  t.equal(accepted?.listenerCount('drain'), 0)
})

t.test('a watcher that reads nothing loses its connection', async t => {
  const verdicts = new Broadcast<WatchedVerdict>(10)
  const { sockets } = acceptedIn(t)
  const path = await serve(t, { watch: (_, signal) => verdicts.subscribe(signal) })
  const socket = connect(path)
  t.teardown(() => socket.destroy())
  socket.pause().write('{"command":"watch"}\n')
  while (!verdicts.isHeard) await new Promise(setImmediate)
  const large = verdict('x'.repeat(1_000_000))
  for (let count = 0; count < 5; count++) {
    verdicts.publish(large)
    await new Promise(setImmediate)
  }
  const accepted = sockets.at(0)
  t.equal(accepted?.timeout, 10_000)
  accepted?.emit('timeout')
  while (verdicts.isHeard) await new Promise(setImmediate)
  t.ok(accepted?.destroyed)
})

t.test('a connection that cannot be accepted is not the end', async t => {
  const { servers } = acceptedIn(t)
  const path = await serve(t)
  await callDaemon(path, 'status', {})
  await callDaemon(readSocketBeside(path), 'status', {})
  for (const server of servers) {
    for (let again = 0; again < 3; again++) {
      t.doesNotThrow(() => server.emit('error', new Error('accept ENFILE')))
    }
  }
  t.match(await callDaemon(path, 'status', {}), { ok: true })
})

t.test('what nobody reads any more is not looked for any more', async t => {
  let made = 0
  let isLeft = false
  async function* hours() {
    try {
      for (; made < 1000; made++) {
        await sleep(1)
        yield []
      }
    } finally {
      isLeft = true
    }
  }
  const path = await serve(t, { hours })
  const socket = connect(path, () => {
    socket.write('{"command":"hours","arguments":{"since":0,"until":1}}\n')
  })
  socket.once('data', () => socket.destroy())
  while (!isLeft) await sleep(5)
  t.ok(made < 1000)
})
