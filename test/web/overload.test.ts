/** Too much, too slow, too many: the console stays usable, and small. */

import { once } from 'node:events'
import { connect, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { MOST_BODY_BYTES } from '../../daemon/web/body.ts'
import { Connections } from '../../daemon/web/connections.ts'
import { MOST_UNREAD_BYTES } from '../../daemon/web/event-sending.ts'
import { exchange, parsed, webSite } from '../support/web-site.ts'

t.test('a body that is too large is refused, announced or not', async t => {
  const site = await webSite(t)
  const cookie = await site.logIn()
  const head = (...more: readonly string[]): string =>
    [
      'POST /api/change HTTP/1.1',
      `host: localhost:${site.port}`,
      `cookie: ${cookie}`,
      `origin: ${site.own}`,
      'x-requested-with: mtpolicyd',
      'content-type: application/json',
      ...more,
      '',
      '',
    ].join('\r\n')
  const announced = await exchange(site.port, head('content-length: 99999999999'))
  t.match(parsed(announced), { status: 413, value: { error: 'a body has at most 64 KiB' } })
  const chunk = `8000\r\n${' '.repeat(0x8000)}\r\n`
  const chunked = await exchange(
    site.port,
    `${head('transfer-encoding: chunked')}${chunk.repeat(3)}0\r\n\r\n`,
  )
  t.equal(parsed(chunked).status, 413)
  const most = JSON.stringify('x'.repeat(MOST_BODY_BYTES - 2))
  const fits = await site.ask('/api/change', { method: 'POST', body: most, headers: { cookie } })
  t.equal(fits.status, 200)
  for (const body of ['', '{', '\u0000', '{"a":1}x']) {
    const answer = await site.ask('/api/change', { method: 'POST', body, headers: { cookie } })
    t.match(answer, { status: 400, value: { error: 'the body is not JSON' } })
  }
  const deep = '['.repeat(30_000) + ']'.repeat(30_000)
  const nested = await site.ask('/api/change', {
    method: 'POST',
    body: deep,
    headers: { cookie },
  })
  t.ok([200, 400, 500].includes(nested.status), 'deeply nested: answered')
  const both = await exchange(
    site.port,
    `${head('content-length: 2', 'transfer-encoding: chunked')}0\r\n\r\n`,
  )
  t.equal(parsed(both).status, 400, 'two lengths (request smuggling)')
  t.equal((await site.ask('/')).status, 200)
})

t.test('headers that are too large are refused', async t => {
  const site = await webSite(t)
  const large = await exchange(
    site.port,
    `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
  )
  t.equal(parsed(large).status, 431)
  t.equal(parsed(await exchange(site.port, 'nonsense\r\n\r\n')).status, 400)
  t.equal((await site.ask(`/api/echo/${'a'.repeat(10_000)}`)).status, 401)
})

t.test('whoever sends a request byte by byte is disconnected', async t => {
  const site = await webSite(t, { times: { headers: 200, request: 400, look: 50 } })
  const drip = async (start: string): Promise<string> => {
    const socket = connect(site.port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', chunk => {
      answer += chunk
    })
    socket.on('error', () => undefined)
    socket.write(start)
    const timer = setInterval(() => socket.write('a'), 20)
    await once(socket, 'close')
    clearInterval(timer)
    return answer
  }
  t.equal(parsed(await drip('GET / HTTP/1.1\r\nhost: localhost\r\nx: ')).status, 408, 'headers')
  const cookie = await site.logIn()
  const post = `POST /api/change HTTP/1.1\r\nhost: localhost:${site.port}\r\ncookie: ${cookie}\r\norigin: ${site.own}\r\nx-requested-with: mtpolicyd\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n`
  const answer = await drip(post)
  t.ok(answer === '' || [400, 408].includes(parsed(answer).status), 'a body')
  t.equal((await site.ask('/')).status, 200)
})

t.test('silent connections give their place to who comes; those in use keep it', async t => {
  const site = await webSite(t, { most: 10 })
  const cookie = await site.logIn()
  const stream = await open(site.port)
  stream.write(`GET /api/events HTTP/1.1\r\nhost: localhost\r\ncookie: ${cookie}\r\n\r\n`)
  await once(stream, 'data')
  const silent = await Promise.all(Array.from({ length: 30 }, () => open(site.port)))
  for (let tries = 0; tries < 5; tries++) t.equal((await site.ask('/')).status, 200)
  t.ok(site.connections.count <= 10, `${site.connections.count} connections`)
  t.notOk(stream.destroyed)
  site.hub.publish('status', '{"still":"here"}')
  t.match(String((await once(stream, 'data'))[0]), 'still')
  for (const socket of [...silent, stream]) socket.destroy()
})

t.test('10,000 connections: who is logged in is answered', async t => {
  const site = await webSite(t)
  const cookie = await site.logIn()
  const sockets: Socket[] = []
  let most = 0
  for (let round = 0; round < 100; round++) {
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => open(site.port)))))
    most = Math.max(most, site.connections.count)
    if (round % 20 !== 19) continue
    const { status } = await site.ask('/api/echo/a', { headers: { cookie } })
    t.equal(status, 200, `with ${sockets.length} connections`)
  }
  t.ok(most <= 512, `${most} were open at once`)
  for (const socket of sockets) socket.destroy()
  await until(() => site.connections.count === 0)
  t.pass('and none is left over')
})

t.test('a reader of events that does not read is dropped, and others do not notice', async t => {
  const site = await webSite(t)
  const cookie = await site.logIn()
  const request = `GET /api/events HTTP/1.1\r\nhost: localhost\r\ncookie: ${cookie}\r\n\r\n`
  const slow = await open(site.port)
  slow.write(request)
  await once(slow, 'data')
  slow.pause()
  const reader = await open(site.port)
  let bytes = 0
  reader.write(request)
  await once(reader, 'data')
  reader.on('data', chunk => {
    bytes += chunk.length
  })
  const event = JSON.stringify('x'.repeat(MOST_UNREAD_BYTES / 8))
  let sent = 0
  // The kernel's buffers come first.
  for (let round = 0; round < 2000 && site.connections.count > 1; round++) {
    site.hub.publish('status', event)
    sent += event.length
    await until(() => bytes >= sent)
  }
  t.equal(site.connections.count, 1, 'the slow one is gone')
  t.ok(site.hub.isHeard, 'the other one is there')
  slow.destroy()
  reader.destroy()
  await until(() => !site.hub.isHeard)
})

t.test('events end with the session they were begun with', async t => {
  const site = await webSite(t)
  const cookie = await site.logIn()
  const stream = await open(site.port)
  stream.write(`GET /api/events HTTP/1.1\r\nhost: localhost\r\ncookie: ${cookie}\r\n\r\n`)
  const [first] = await once(stream, 'data')
  t.match(String(first), /content-type: text\/event-stream/)
  t.match(String(first), /content-security-policy/)
  const ended = once(stream, 'end')
  await site.ask('/api/logout', { method: 'POST', body: {}, headers: { cookie } })
  await ended
  t.notOk(site.hub.isHeard)
  // One that only looks on does not outlast its session, either.
  const next = await site.logIn()
  const second = await open(site.port)
  second.write(`GET /api/events HTTP/1.1\r\nhost: localhost\r\ncookie: ${next}\r\n\r\n`)
  await once(second, 'data')
  second.resume()
  const over = once(second, 'end')
  await site.clock.advance(2 * 3_600_000 + 15_000)
  await over
  t.equal((await site.ask('/api/events')).status, 401)
})

t.test('more than 200 open consoles, or 100 of one login, are told to come later', async t => {
  const site = await webSite(t)
  const [cookie, other, last] = [await site.logIn(), await site.logIn(), await site.logIn()]
  const open200: Socket[] = []
  const openMore = async (count: number, from: string): Promise<void> => {
    for (let more = 0; more < count; more++) {
      const socket = await open(site.port)
      socket.write(`GET /api/events HTTP/1.1\r\nhost: localhost\r\ncookie: ${from}\r\n\r\n`)
      await once(socket, 'data')
      open200.push(socket)
    }
  }
  await openMore(100, cookie)
  const refused = await site.ask('/api/events', { headers: { cookie } })
  t.match(refused, { status: 503, headers: { 'retry-after': '30' } }, 'one login has them all')
  await openMore(99, other)
  open200.shift()?.destroy()
  await until(() => site.connections.count === 198)
  await openMore(1, cookie)
  await openMore(1, last)
  t.match(await site.ask('/api/events', { headers: { cookie: other } }), {
    status: 503,
    headers: { 'retry-after': '30' },
  })
  for (const socket of open200) socket.destroy()
  await until(() => !site.hub.isHeard)
  t.pass()
})

const slowPost = (port: number): string =>
  [
    'POST /api/login HTTP/1.1',
    `host: localhost:${port}`,
    `origin: http://localhost:${port}`,
    'x-requested-with: mtpolicyd',
    'content-type: application/json',
    'content-length: 60000',
    '',
    '{',
  ].join('\r\n')

t.test('those who send a body slowly keep nobody out', async t => {
  const site = await webSite(t, { most: 20 })
  const cookie = await site.logIn()
  const slow: Socket[] = []
  for (let more = 0; more < 60; more++) {
    const socket = await open(site.port)
    socket.write(slowPost(site.port))
    slow.push(socket)
    // So that the server reads it before the next one comes.
    await sleep(10)
  }
  for (let tries = 0; tries < 5; tries++) {
    t.equal((await site.ask('/api/echo/a', { headers: { cookie } })).status, 200)
  }
  t.ok(site.connections.count <= 20, `${site.connections.count} connections`)
  for (const socket of slow) socket.destroy()
})

t.test('nor do those who do not read what they have asked for', async t => {
  const site = await webSite(t, { most: 20 })
  const cookie = await site.logIn()
  const request = `GET /api/echo/${'x'.repeat(8000)} HTTP/1.1\r\nhost: localhost\r\ncookie: ${cookie}\r\n\r\n`
  const deaf: Socket[] = []
  for (let more = 0; more < 20; more++) {
    const socket = await open(site.port)
    socket.pause()
    deaf.push(socket)
  }
  // Until the kernel takes no more of the answers.
  for (let round = 0; round < 600; round++) {
    for (const socket of deaf) socket.write(request)
    if (round % 5 === 0) await sleep(2)
  }
  await sleep(200)
  for (let tries = 0; tries < 5; tries++) {
    t.equal((await site.ask('/api/echo/a', { headers: { cookie } })).status, 200)
  }
  for (const socket of deaf) socket.destroy()
})

t.test('a connection that asks more and more without waiting for answers is closed', async t => {
  const asked: (() => void)[] = []
  const daemon = {
    call: () => Promise.reject(new Error('not asked')),
    follow: () => Promise.reject(new Error('not asked')),
    // It hangs.
    status: () => new Promise<never>((_, reject) => void asked.push(() => reject(new Error('')))),
  }
  const site = await webSite(t, { daemon })
  const one = 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'
  const few = await open(site.port)
  few.write(one.repeat(3))
  await until(() => asked.length === 3)
  t.notOk(few.destroyed, 'a few are in order')
  const many = await open(site.port)
  many.write(one.repeat(1000))
  await Promise.race([once(many, 'close'), sleep(5000)])
  t.ok(many.destroyed)
  t.ok(asked.length < 20, `${asked.length} were under way`)
  for (const end of asked) end()
  few.destroy()
  await until(() => site.connections.count === 0)
  t.equal(site.connections.count, 0)
})

t.test('of IPv6, a whole network has the connections of one address', t => {
  const connections = new Connections({ most: 100, mostPerAddress: 4 })
  const from = (remoteAddress: string): boolean =>
    connections.admit(
      Object.defineProperty(new Socket(), 'remoteAddress', { value: remoteAddress }),
    )
  for (let host = 1; host <= 4; host++) t.ok(from(`2001:db8::${host}`))
  t.notOk(from('2001:db8::5'), 'the fifth of this network')
  t.ok(from('2001:db8:0:1::1'), 'another network')
  for (let port = 1; port <= 4; port++) t.ok(from('192.0.2.1'))
  t.notOk(from('::ffff:192.0.2.1'), 'an address by its other name')
  t.ok(from('192.0.2.2'))
  for (let own = 0; own < 20; own++) t.ok(from('::1'), 'a proxy on this host')
  t.end()
})

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; tries < 3000 && !isSo(); tries++) await sleep(5)
}
