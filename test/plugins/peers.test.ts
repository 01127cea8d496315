/** Plugins that ask another program on behalf of a mail: Proxy and CtIpRep. */

import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { answering, type PeerServer, peerServer } from '../support/peer-server.ts'
import { chain, makeWorld, plugin, type World, type WorldOptions } from '../support/world.ts'

const SESSIONS = '<SessionCache>\nmodule = Memory\n</SessionCache>'
const REQUEST = /^[\s\S]*?\n\n/
const ANY = { request: 'smtpd_access_policy' }

async function rightWorld(t: Test, text: string, options?: WorldOptions): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

async function service(t: Test, ...talk: Parameters<typeof peerServer>): Promise<PeerServer> {
  const server = await peerServer(...talk)
  t.teardown(() => server.close())
  return server
}

const proxy = (lines: string): string =>
  chain(plugin('Proxy', lines) + plugin('Action', 'action = reject the end', 'end'))

t.test('Proxy: the request is forwarded unchanged, and the action ends the chain', async t => {
  const server = await service(
    t,
    answering(REQUEST, 'noise=1\naction=reject a\naction=defer b=c ü\n\n'),
  )
  const request = { sender: 'a=b', instance: '1', empty: '', request: 'smtpd_access_policy' }
  const world = await rightWorld(t, proxy(`host = 127.0.0.1:${server.port}`))
  t.equal(await world.ask(request), 'defer b=c ü', 'the last action counts')
  t.equal(
    server.heard,
    'request=smtpd_access_policy\ninstance=1\nsender=a=b\nempty=\n\n',
    'each attribute once',
  )
  const unix = await rightWorld(t, proxy(`socket_path = "${server.path}"`))
  t.equal(await unix.ask(request), 'defer b=c ü')
  const calm = await service(t, answering(REQUEST, 'action=dunno\r\n\r\n'))
  const ended = await rightWorld(t, proxy(`host = 127.0.0.1:${calm.port}`))
  t.equal(await ended.ask(ANY), 'dunno', 'also dunno, also with CRLF')
  await ended.ask({ ...ANY, sender: 'a\n\naction=ok' })
  t.match(
    calm.heard,
    /\n\nrequest=\w+\nsender=a {2}action=ok\n\n$/,
    'nothing adds a line of its own',
  )
})

t.test('Proxy: an invalid answer is a failure of the plugin', async t => {
  for (const [answer, message] of [
    ['foo=bar\n\n', /the answer has no action/],
    ['garbage\n\n', /not NAME=VALUE/],
    ['action=a\ngarbage\n\n', /not NAME=VALUE/],
    ['\n', /no action/],
    ['x'.repeat(100_000), /too long/],
  ] as const) {
    const server = await service(t, answering(REQUEST, answer))
    const world = await rightWorld(t, proxy(`host = 127.0.0.1:${server.port}`))
    t.equal(await world.ask(ANY), 'reject the end', answer.slice(0, 20))
    t.match(world.errors, [message])
  }
  const rude = await service(t, socket => void socket.on('data', () => socket.destroy()))
  const world = await rightWorld(t, proxy(`host = 127.0.0.1:${rude.port}`))
  t.equal(await world.ask(ANY), 'reject the end')
  t.match(world.errors, [/plugin proxy failed: 127\.0\.0\.1:\d+: .*(closed|ECONNRESET)/])
  const { port } = rude
  await rude.close()
  const alone = await rightWorld(t, `${proxy(`host = 127.0.0.1:${port}`)}`)
  await alone.ask(ANY)
  t.match(alone.errors, [/ECONNREFUSED/])
})

t.test('Proxy: one connection per request, or a few that are kept open', async t => {
  const server = await service(t, answering(REQUEST, 'action=reject x\n\n'))
  const each = await rightWorld(t, proxy(`host = 127.0.0.1:${server.port}`))
  for (let i = 0; i < 3; i++) t.equal(await each.ask(ANY), 'reject x')
  t.equal(server.connections, 3)

  const kept = await rightWorld(t, proxy(`host = 127.0.0.1:${server.port}\nkeepalive = 1`))
  for (let i = 0; i < 3; i++) t.equal(await kept.ask(ANY), 'reject x')
  t.equal(server.connections, 4)
  server.hangUp()
  t.equal(await kept.ask(ANY), 'reject x', 'one that was closed meanwhile is replaced')
  t.equal(server.connections, 5)
  await Promise.all(Array.from({ length: 40 }, () => kept.ask(ANY)))
  // Not more than that are kept; the others end in a moment.
  while (server.open > 16) await pause(10)
  t.strictSame([...each.errors, ...kept.errors], [])

  // Closes when it is asked for the second time: it had not been noticed to be gone.
  const tired = await service(t, (socket, number) => {
    let asked = 0
    socket.on('data', () => {
      if (++asked > 1) socket.destroy()
      else socket.write(`action=reject ${number}\n\n`)
    })
  })
  const once = await rightWorld(t, proxy(`host = 127.0.0.1:${tired.port}\nkeepalive = 1`))
  t.equal(await once.ask(ANY), 'reject 1')
  t.equal(await once.ask(ANY), 'reject 2')

  const chatty = await service(t, answering(REQUEST, 'action=reject x\n\naction=ok\n\n'))
  const wary = await rightWorld(t, proxy(`host = 127.0.0.1:${chatty.port}\nkeepalive = 1`))
  for (let i = 0; i < 3; i++) {
    t.equal(await wary.ask(ANY), 'reject x', 'what nobody asked for is no answer to the next')
  }
})

t.test('Proxy: a silent service fails when the request times out', async t => {
  const server = await service(t, () => undefined)
  const world = await rightWorld(t, proxy(`host = 127.0.0.1:${server.port}`), {
    secondMilliseconds: 50,
  })
  t.equal(await world.ask(ANY), 'reject the end', 'those behind it are asked')
  t.match(world.errors, [/plugin proxy failed: .*in time/, /request timed out/])
  while (server.open > 0) await pause(10)
  t.equal(server.connections, 1, 'and its connection with it')
})

t.test('Proxy: a loop of services comes to an end', async t => {
  const worlds: World[] = []
  const server = await service(t, socket => {
    socket.on('data', () => {
      void worlds[0]?.ask(ANY).then(action => socket.write(`action=${action}\n\n`))
    })
  })
  worlds.push(await rightWorld(t, proxy(`host = 127.0.0.1:${server.port}`)))
  t.equal(await worlds[0]?.ask(ANY), 'reject the end')
  t.match(worlds[0]?.errors, [/500 requests are already pending/], 'once, at the innermost')
})

t.test('Proxy: a missing or invalid target is reported at start', async t => {
  const nothing = await makeWorld(proxy(''))
  t.match(nothing.messages, [/error: .*"host" or "socket_path" is needed/])
  t.equal(await nothing.ask(ANY), 'reject the end')
  t.match(nothing.errors, [/plugin proxy failed: "host" or/], 'and whenever it is asked')
  for (const host of ['localhost', '127.0.0.1:0', '127.0.0.1:99999', '[a]:1', '::1:1']) {
    const { messages } = await makeWorld(proxy(`host = "${host}"`))
    t.match(messages, [/error: "host" in .*expected HOST:PORT, found/], host)
  }
  const both = await makeWorld(proxy('host = "[::1]:10023"\nsocket_path = /run/a'))
  t.match(both.messages, [/warning: .*"socket_path" is used/])
})

async function web(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}

const ctIpRep = (url: string, lines = '', globals = ''): string =>
  chain(
    plugin('CtIpRep', `url = "${url}/ctipd/iprep"\n${lines}`, 'ct') + plugin('AddScoreHeader'),
    globals,
  )
const verdict = (action: string): string => `x-ctch-dm-action:${action}\r\nx-ctch-refid:tid=1\r\n`
const CLIENT = { client_address: '192.0.2.1', instance: '1' }

t.test('CtIpRep queries once per mail, and reacts by the mode', async t => {
  const heard: unknown[] = []
  let answer = verdict('permfail')
  const url = await web(t, async (request, response) => {
    const body = await request.toArray()
    heard.push([request.method, request.url, request.headers['content-type'], body.join('')])
    response.end(answer)
  })
  const scores = 'permfail_score = 5\ntempfail_score = 2.50'
  const world = await rightWorld(t, ctIpRep(url, `${scores}\nkey = k`, SESSIONS))
  const refusal =
    /^reject 550 delivery from 192\.0\.2\.1 is rejected\. Check at http:\S+ Reference code: tid=1$/
  t.match(await world.ask(CLIENT), refusal)
  answer = verdict('accept')
  t.match(await world.ask(CLIENT), refusal, 'the verdict is the mail’s')
  t.strictSame(heard, [
    [
      'POST',
      '/ctipd/iprep',
      'application/x-www-form-urlencoded',
      'x-ctch-request-type: classifyip\r\nx-ctch-pver: 1.0\r\nx-ctch-key: k\r\n\r\nx-ctch-ip: 192.0.2.1\r\n',
    ],
  ])
  t.match(await world.ask({ ...CLIENT, instance: '2' }), /score=0$/, 'another mail')

  const answers = async (action: string, lines: string, points = scores) => {
    answer = verdict(action)
    const one = await rightWorld(t, ctIpRep(url, `${points}\n${lines}`))
    const said = await one.ask(CLIENT)
    t.strictSame(one.errors, [])
    return said
  }
  t.match(
    await answers('tempfail', ''),
    /^defer 450 delivery from 192\.0\.2\.1 is deferred.*tid=1$/,
  )
  t.match(await answers('tempfail', 'tempfail_mode = passive'), /score=2.5 \[ct=2\.50\]/)
  t.equal(
    await answers('permfail', 'permfail_mode = defer\ndefer_message = "d %IP% %REFID% %IP%"'),
    'defer d 192.0.2.1 tid=1 192.0.2.1',
  )
  t.match(await answers('permfail', 'permfail_mode = passive', 'permfail_score = 0'), /score=0$/)
  t.match(await answers('permfail', 'enabled = off'), /score=0$/)
})

t.test('CtIpRep: an answer without a verdict is a failure of the plugin', async t => {
  let respond: RequestListener = (_request, response) => void response.end()
  const url = await web(t, (request, response) => respond(request, response))
  const failure = async (request = CLIENT, at = url): Promise<string | undefined> => {
    const world = await rightWorld(t, ctIpRep(at))
    t.match(await world.ask(request), /score=0$/)
    t.equal(world.errors.length, 1)
    return world.errors[0]
  }
  t.match(await failure(), /verdict ""/)
  respond = (_request, response) => void response.end(verdict('weird'))
  t.match(await failure(), /plugin ct failed: ctipd answered with the verdict "weird"/)
  respond = (_request, response) => void response.writeHead(500).end(verdict('permfail'))
  t.match(await failure(), /status 500/)
  respond = (_request, response) =>
    void response.writeHead(302, { location: `${url}/other` }).end(verdict('permfail'))
  t.match(await failure(), /status 302/, 'it goes nowhere else')
  respond = (_request, response) => void response.end('x'.repeat(200_000))
  t.match(await failure(), /too long/)
  respond = (_request, response) => void response.destroy()
  t.match(await failure(), /http:\/\/127\.0\.0\.1:\d+: .+/)
  t.match(await failure({ client_address: '', instance: '' }), /no client_address/)
  t.match(await failure({ client_address: 'unknown', instance: '' }), /no client_address/)
  t.match(await failure(CLIENT, 'ftp://127.0.0.1'), /expected an http/)
  t.match(await failure(CLIENT, 'http://user:pass@127.0.0.1:1'), /ECONNREFUSED|bad port/)
  t.notMatch(await failure(CLIENT, 'http://user:pass@127.0.0.1:1'), /pass/)
  respond = () => undefined
  t.match(await failure(), /no answer in time/, 'silent')
})
