/**
 * Connections and listeners on real sockets, with a policy that the test holds in its hand.
 */

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { type Endpoint, formatEndpoint, parseEndpoints } from '../../daemon/net/endpoint.ts'
import type { MaybePromise } from '../../daemon/policy/plugin.ts'
import type { PolicyRequest } from '../../daemon/policy/request.ts'
import type { Verdict } from '../../daemon/policy/verdict.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import type { Answered, Conversation } from '../../daemon/wire/connection.ts'
import { formatReply } from '../../daemon/wire/reply.ts'
import { makeServer, type PolicyServer, type ServerOptions } from '../../daemon/wire/server.ts'
import { makeTurn } from '../../daemon/wire/turn.ts'
import { freePort } from '../support/daemon.ts'
import { type PolicyClient, policyClient, until } from '../support/policy-client.ts'

/** A decision on its way out. */
function answered(verdict: Verdict, more: Partial<Answered> = {}): Answered {
  return { verdict, uncounted: () => verdict, left: () => undefined, ...more }
}

const verdict = (action: string): Answered => answered({ action, by: 'test' })

/** Says what it was asked: `a=1` is answered `action=1`. */
const echo = (request: PolicyRequest): MaybePromise<Answered> => verdict(request.text('a'))

interface Serving {
  readonly server: PolicyServer
  readonly path: string
  readonly reasons: string[]
  client(): Promise<PolicyClient>
}

const usual: Conversation = {
  answer: echo,
  turn: makeTurn(() => true),
  clock: systemClock,
  keepaliveSeconds: 0,
  mostRequests: 0,
  closed: () => undefined,
}

/** A server on a unix socket of the test's own. */
async function serve(
  t: Test,
  conversation: Partial<Conversation> = {},
  options: Partial<ServerOptions> = {},
): Promise<Serving> {
  // A socket's path has 107 bytes at most (unix(7)): too few for tap's own directories.
  const folder = mkdtempSync(join(tmpdir(), 'wire-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'policy')
  const reasons: string[] = []
  const server = makeServer({
    conversation: {
      ...usual,
      closed: (_connection, reason) => void reasons.push(reason),
      ...conversation,
    },
    admits: () => true,
    opened: () => undefined,
    refused: () => undefined,
    ...options,
  })
  await server.listen([{ kind: 'unix', path }])
  t.teardown(() => server.stop(0))
  return {
    server,
    path,
    reasons,
    async client() {
      const client = await policyClient({ path })
      t.teardown(client.close)
      return client
    },
  }
}

/** Verdicts that wait until the test releases them, by the request's `a`. */
function heldAnswers() {
  const held = new Map<string, (answered: Answered) => void>()
  return {
    held,
    answer: (request: PolicyRequest): Promise<Answered> =>
      new Promise(resolve => held.set(request.text('a'), resolve)),
    release: (a: string): void => held.get(a)?.(verdict(a)),
  }
}

t.test('a connection answers one request after the other for as long as it is open', async t => {
  const { client } = await serve(t)
  const postfix = await client()
  for (const a of ['1', '2', '3']) {
    postfix.send(`a=${a}\n\n`)
    t.equal(await postfix.answer(), `action=${a}`)
  }
})

t.test('answers keep the order of the requests, also when the first takes longer', async t => {
  const slow = heldAnswers()
  const { client } = await serve(t, {
    answer: request => (request.text('a') === 'slow' ? slow.answer(request) : echo(request)),
  })
  const postfix = await client()
  const other = await client()
  postfix.send('a=slow\n\na=quick\n\na=slow\n\na=last\n\n')
  await until(() => slow.held.has('slow'))
  other.send('a=other\n\n')
  t.equal(await other.answer(), 'action=other', 'another connection does not wait')
  slow.release('slow')
  t.equal(await postfix.answer(), 'action=slow')
  t.equal(await postfix.answer(), 'action=quick')
  slow.release('slow')
  t.equal(await postfix.answer(), 'action=slow')
  t.equal(await postfix.answer(), 'action=last')
})

t.test('a request stays as it was asked, whatever arrives while it waits', async t => {
  const started: string[] = []
  const gate = Promise.withResolvers<void>()
  const { client } = await serve(t, {
    answer: async request => {
      started.push('')
      await gate.promise
      return verdict(request.text('a'))
    },
  })
  const clients = [await client(), await client(), await client()]
  for (const [i, one] of clients.entries()) {
    one.send(`a=${String(i).repeat(50)}\n\n`)
    await until(() => started.length > i)
  }
  gate.resolve()
  for (const [i, one] of clients.entries()) {
    t.equal(await one.answer(), `action=${String(i).repeat(50)}`)
  }
})

t.test('a peer that is gone before its answer costs nobody else anything', async t => {
  const slow = heldAnswers()
  const { client, reasons } = await serve(t, {
    answer: request => (request.text('a') === 'slow' ? slow.answer(request) : echo(request)),
  })
  const gone = await client()
  gone.send('a=slow\n\na=next\n\n')
  await until(() => slow.held.has('slow'))
  gone.close()
  slow.release('slow')
  const other = await client()
  other.send('a=other\n\n')
  t.equal(await other.answer(), 'action=other')
  await until(() => reasons.length > 0)
})

t.test('no answer leaves before its turn is durable', async t => {
  const commits: ((isDurable: boolean) => void)[] = []
  const { client } = await serve(t, {
    turn: makeTurn(() => new Promise(resolve => commits.push(resolve))),
    answer: request =>
      answered(
        { action: request.text('a'), by: '' },
        { uncounted: () => ({ action: 'defer not counted', by: '' }) },
      ),
  })
  const postfix = await client()
  const answers: string[] = []
  postfix.send('a=1\n\n')
  void postfix.answer().then(answer => answers.push(answer))
  await until(() => commits.length === 1)
  t.same(answers, [])
  commits[0]?.(true)
  await until(() => answers.length > 0)
  t.same(answers, ['action=1'])

  postfix.send('a=2\n\n')
  await until(() => commits.length === 2)
  commits[1]?.(false)
  t.equal(await postfix.answer(), 'action=defer not counted', 'what was not kept is said')
})

t.test(
  'what is taken back is what was judged for the answer that leaves, and nothing else',
  async t => {
    const takenBack: string[] = []
    const slow = heldAnswers()
    let isFull = true
    const { client } = await serve(t, {
      answer(request) {
        const name = request.text('a')
        const own: Partial<Answered> = {
          uncounted() {
            takenBack.push(name)
            return { action: 'defer not counted', by: '' }
          },
        }
        if (name !== 'slow') return answered({ action: name, by: '' }, own)
        return slow.answer(request).then(({ verdict }) => answered(verdict, own))
      },
      turn: makeTurn(() => !isFull),
    })
    const [one, other] = [await client(), await client()]
    one.send('a=slow\n\n')
    await until(() => slow.held.has('slow'))
    other.send('a=quick\n\n')
    t.equal(await other.answer(), 'action=defer not counted')
    t.same(takenBack, ['quick'])
    isFull = false
    slow.release('slow')
    t.equal(await one.answer(), 'action=slow')
    t.same(takenBack, ['quick'], 'what was let through stays counted')
  },
)

t.test(
  'a verdict is told as left once, after its answer, and as not sent to a peer that is gone',
  async t => {
    const told: string[] = []
    const slow = heldAnswers()
    const recorded = ({ verdict }: Answered): Answered =>
      answered(verdict, { left: isSent => void told.push(`${verdict.action} ${isSent}`) })
    const { client, reasons, server } = await serve(t, {
      answer: request => {
        const name = request.text('a')
        if (name === 'slow') return slow.answer(request).then(recorded)
        if (name === 'close') return recorded(answered({ action: 'close', by: '', silent: true }))
        return recorded(verdict(name))
      },
    })
    const one = await client()
    one.send('a=1\n\na=2\n\n')
    await one.answer()
    await one.answer()
    t.same(told, ['1 true', '2 true'])
    const other = await client()
    other.send('a=close\n\n')
    await other.ended
    t.same(told, ['1 true', '2 true', 'close true'])
    one.send('a=slow\n\n')
    await until(() => slow.held.has('slow'))
    // A stop that does not wait closes it in the middle of the request.
    await server.stop(0)
    await until(() => reasons.length === 2)
    slow.release('slow')
    await until(() => told.length > 3)
    t.same(told.at(-1), 'slow false')
  },
)

t.test('what arrives at once is made durable at once', async t => {
  let commits = 0
  const turn = makeTurn(() => {
    commits++
    return true
  })
  const { client } = await serve(t, { turn })
  const postfix = await client()
  postfix.send('a=x\n\n'.repeat(20))
  for (let i = 0; i < 20; i++) await postfix.answer()
  t.ok(commits < 10, `20 requests in one packet, ${commits} commits`)
})

t.test('many small requests in one packet do not keep others waiting', async t => {
  for (const most of [Number.POSITIVE_INFINITY, 64]) {
    let asked = 0
    let askedBefore = -1
    const { client } = await serve(t, {
      answer: request => {
        asked++
        if (request.text('a') === 'other') askedBefore = asked
        return verdict('dunno')
      },
      turn: makeTurn(
        () => true,
        () => most,
      ),
    })
    const flood = await client()
    const other = await client()
    flood.send('\n'.repeat(60_000))
    await until(() => asked > 0)
    other.send('a=other\n\n')
    await other.answer()
    t.ok(askedBefore < 50_000, `answered after ${askedBefore} of 60,000`)
  }
})

t.test('a peer that never reads is not answered beyond what it could read', async t => {
  let asked = 0
  const { client } = await serve(t, {
    answer: () => {
      asked++
      return verdict('dunno')
    },
  })
  const deaf = await client()
  deaf.socket.pause()
  // The least that is a request: a packet has room for 65,536.
  deaf.send('\n'.repeat(4 << 20))
  for (let before = -1; before !== asked; ) {
    before = asked
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  t.ok(asked < 100_000, `${asked} of four millions were decided`)
  deaf.socket.resume()
  await until(() => asked === 4 << 20)
})

t.test('of requests that do not end the largest go, when all of them are too much', async t => {
  const { client, reasons, server } = await serve(t)
  const line = `${'a'.repeat(99_000)}=\n`
  const most = Math.ceil((64 << 20) / (10 * line.length))
  const small = await client()
  small.send('a=1\n')
  for (let i = 0; i < most + 5; i++) (await client()).send(line.repeat(10))
  await until(() => reasons.length > 0)
  t.match(reasons[0], /^incomplete requests exceed 67108864 bytes in total/)
  small.send('\n')
  t.equal(await small.answer(), 'action=1')
  t.ok(server.connections > 10, 'the others may go on')
})

t.test('a peer that never reads is not read from, and nobody else notices', async t => {
  let asked = 0
  const { client, server } = await serve(t, {
    answer: () => {
      asked++
      return verdict(`reject ${'x'.repeat(1000)}`)
    },
  })
  const deaf = await client()
  deaf.socket.pause()
  for (let i = 0; i < 200; i++) deaf.send(`a=${'y'.repeat(1000)}\n\n`.repeat(100))
  // Once nothing is asked any more in a while, its bytes stay in its own socket.
  for (let before = -1; before !== asked; ) {
    before = asked
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  t.ok(asked < 2000, `${asked} of 20,000 requests were taken`)
  const other = await client()
  other.send('a=1\n\n')
  t.match(await other.answer(), /^action=reject x/)
  t.equal(server.connections, 2)

  deaf.socket.resume()
  for (let i = 0; i < 20_000; i++) await deaf.answer()
  t.equal(asked, 20_001, 'and when it reads at last it gets every answer')
})

t.test('a peer that writes byte by byte is answered, and others in between', async t => {
  const { client } = await serve(t)
  const slow = await client()
  const quick = await client()
  for (const byte of 'a=slow\n\n') {
    slow.send(byte)
    quick.send('a=quick\n\n')
    t.equal(await quick.answer(), 'action=quick')
  }
  t.equal(await slow.answer(), 'action=slow')
})

t.test('half of a request behind a whole one, and the end: the answer, and the end', async t => {
  const { client, server, reasons } = await serve(t)
  const one = await client()
  one.socket.end('a=whole\n\na=half\n')
  t.equal(await one.answer(), 'action=whole')
  await one.ended
  await until(() => server.connections === 0)
  t.equal(reasons.length, 1)
})

t.test('who is silent to one request decides none behind it', async t => {
  let asked = 0
  const { client } = await serve(t, {
    answer(request) {
      asked++
      return request.text('a') === 'bad'
        ? answered({ action: '', by: '', silent: true })
        : echo(request)
    },
  })
  const one = await client()
  one.send('a=1\n\na=2\n\na=bad\n\na=3\n\n')
  t.equal(await one.answer(), 'action=1')
  t.equal(await one.answer(), 'action=2')
  await one.ended
  t.equal(asked, 3)
})

t.test('garbage, or a line of 10 MB, costs the peer its connection and nobody else', async t => {
  const { client, reasons } = await serve(t)
  const good = await client()
  for (const nonsense of ['GET / HTTP/1.1\r\n\r\n', Buffer.alloc(10 * 1024 * 1024, 'a')]) {
    const bad = await client()
    bad.send(nonsense)
    await bad.ended
    await t.rejects(bad.answer(), 'no answer')
    good.send('a=good\n\n')
    t.equal(await good.answer(), 'action=good')
  }
  t.match(reasons[0], /policy delegation protocol/)
  t.match(reasons[1], /line longer than/)
})

t.test('a request before the garbage is not lost on the way', async t => {
  const { client, reasons } = await serve(t)
  const bad = await client()
  bad.send('a=1\n\n')
  t.equal(await bad.answer(), 'action=1')
  bad.send('garbage\n\n')
  await bad.ended
  t.equal(reasons.length, 1)
})

t.test('a peer that has closed its half still gets its answers', async t => {
  const slow = heldAnswers()
  const { client, server } = await serve(t, { answer: slow.answer })
  const postfix = await client()
  postfix.socket.end('a=1\n\na=2\n\na=unfini')
  await until(() => slow.held.has('1'))
  slow.release('1')
  t.equal(await postfix.answer(), 'action=1')
  await until(() => slow.held.has('2'))
  slow.release('2')
  t.equal(await postfix.answer(), 'action=2')
  await postfix.ended
  await until(() => server.connections === 0)
})

t.test('a peer that asks a hundred times at once and closes its half gets all answers', async t => {
  for (const count of [64, 65, 100, 128, 129, 300]) {
    const { client } = await serve(t, {})
    const postfix = await client()
    postfix.socket.end(Array.from({ length: count }, (_, i) => `a=${i}\n\n`).join(''))
    for (let i = 0; i < count; i++) {
      const answer = await postfix.answer()
      if (answer !== `action=${i}`) t.fail(`${i} of ${count}: ${answer}`)
    }
    await postfix.ended
  }
})

t.test('on_failure = close gives no answer and closes the connection', async t => {
  const { client, reasons } = await serve(t, {
    answer: () => answered({ action: '', by: '', silent: true }),
  })
  const postfix = await client()
  postfix.send('a=1\n\na=2\n\n')
  await t.rejects(postfix.answer(), { message: /ended after ""/ })
  await until(() => reasons.length > 0)
  t.same(reasons, ['no answer'])
})

t.test('max_keepalive ends a connection that has asked for much more, and forgets it', async t => {
  const { client, server } = await serve(t, { mostRequests: 3 })
  const one = await client()
  one.send(`a=${'x'.repeat(1000)}\n\n`.repeat(2000))
  for (let i = 0; i < 3; i++) t.match(await one.answer(), /^action=x/)
  await one.ended
  one.close()
  await until(() => server.connections === 0)
})

t.test('max_keepalive ends a connection after so many answers', async t => {
  const asked: string[] = []
  const { client, reasons } = await serve(t, {
    mostRequests: 2,
    answer(request) {
      asked.push(request.text('a'))
      return verdict(request.text('a'))
    },
  })
  const postfix = await client()
  postfix.send('a=1\n\na=2\n\na=3\n\n')
  t.equal(await postfix.answer(), 'action=1')
  t.equal(await postfix.answer(), 'action=2')
  await t.rejects(postfix.answer(), 'the third is not answered')
  postfix.close()
  await until(() => reasons.length > 0)
  t.same(reasons, ['max_keepalive'])
  t.same(asked, ['1', '2'], 'nor is it decided, which would count it')
})

t.test('keepalive_timeout ends a connection that says nothing, not one that works', async t => {
  const slow = heldAnswers()
  const { client, reasons } = await serve(t, { keepaliveSeconds: 0.2, answer: slow.answer })
  const busy = await client()
  busy.send('a=1\n\n')
  await until(() => slow.held.has('1'))
  const idle = await client()
  await idle.ended
  await until(() => reasons.length > 0)
  t.same(reasons, ['keepalive timeout'])
  slow.release('1')
  t.equal(await busy.answer(), 'action=1', 'a request that takes longer is still answered')
})

t.test('a stop answers what is under way, as ever, and closes only then', async t => {
  const slow = heldAnswers()
  const { client, server, path, reasons } = await serve(t, { answer: slow.answer })
  const busy = await client()
  const idle = await client()
  busy.send('a=1\n\na=2\n\n')
  await until(() => slow.held.has('1'))
  const stopped = server.stop(5000)
  const late = await client()
  late.send('a=3\n\n')
  await until(() => slow.held.has('3'))
  slow.release('1')
  t.equal(await busy.answer(), 'action=1')
  await until(() => slow.held.has('2'))
  slow.release('2')
  t.equal(await busy.answer(), 'action=2')
  await idle.ended
  await t.rejects(policyClient({ path }), 'nobody new gets in')
  slow.release('3')
  t.equal(await late.answer(), 'action=3', 'whoever came meanwhile is answered')
  for (const one of [idle, busy, late]) one.close()
  await stopped
  t.same(reasons, ['stop', 'stop', 'stop'])
  t.equal(existsSync(path), false, 'the socket is removed')
})

t.test('a stop does not wait for ever', async t => {
  const { client, server } = await serve(t, { answer: () => new Promise(() => undefined) })
  const postfix = await client()
  postfix.send('a=1\n\n')
  await until(() => server.connections === 1)
  await server.stop(50)
  await postfix.ended
})

const tcp = (host: string, port: number): Endpoint => ({ kind: 'tcp', host, port })

t.test('IPv4 and IPv6, several ports, each request knows where it came in', async t => {
  const { server } = await serve(t, { answer: ({ connection }) => verdict(connection.endpoint) })
  const port = await freePort()
  const second = await freePort()
  await server.listen([tcp('127.0.0.1', port), tcp('::1', port), tcp('127.0.0.1', second)])
  for (const [host, number] of [
    ['127.0.0.1', port],
    ['::1', port],
    ['127.0.0.1', second],
  ] as const) {
    const client = await policyClient({ host, port: number })
    client.send('\n')
    t.equal(await client.answer(), `action=${number}`)
    client.close()
  }
})

t.test(
  'a change of endpoints keeps connections, opens what is new, closes what is gone',
  async t => {
    const { server, client, path } = await serve(t)
    const port = await freePort()
    const before = await client()
    const endpoint = tcp('127.0.0.1', port)
    await server.listen([endpoint])
    t.same(server.endpoints, [endpoint])
    await t.rejects(policyClient({ path }), 'the socket that is gone')
    before.send('a=1\n\n')
    t.equal(await before.answer(), 'action=1', 'what came in through it lives on')
    const after = await policyClient({ port })
    t.teardown(after.close)
    await server.listen([endpoint, { kind: 'unix', path }])
    after.send('a=2\n\n')
    t.equal(await after.answer(), 'action=2', 'an endpoint that stays is not touched')
  },
)

t.test('an endpoint that cannot be bound changes nothing', async t => {
  const { server, client } = await serve(t)
  const taken = createServer()
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', () => resolve()))
  t.teardown(() => taken.close())
  const address = taken.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const free = await freePort()
  await t.rejects(server.listen([tcp('127.0.0.1', free), tcp('127.0.0.1', port)]), {
    code: 'EADDRINUSE',
  })
  await t.rejects(policyClient({ port: free }), 'not half of it either')
  const postfix = await client()
  postfix.send('a=1\n\n')
  t.equal(await postfix.answer(), 'action=1')
})

t.test('from one address to all of the same port and back, at once', async t => {
  const { server } = await serve(t)
  const port = await freePort()
  const asks = async (host: string): Promise<string> => {
    const client = await policyClient({ host, port })
    client.send('a=1\n\n')
    const answer = await client.answer()
    client.close()
    return answer
  }
  await server.listen([tcp('127.0.0.1', port), tcp('::1', port)])
  const before = await policyClient({ port })
  t.teardown(before.close)

  await server.listen([tcp('0.0.0.0', port)])
  t.equal(await asks('127.0.0.2'), 'action=1')
  before.send('a=2\n\n')
  t.equal(await before.answer(), 'action=2', 'an open connection stays')
  await t.rejects(policyClient({ host: '::1', port }), 'the other family is closed')

  await server.listen([tcp('127.0.0.1', port)])
  t.equal(await asks('127.0.0.1'), 'action=1')
  await t.rejects(policyClient({ host: '127.0.0.2', port }), 'and nobody else is let in')
})

t.test('a wildcard that cannot be bound gives the address back', async t => {
  const { server } = await serve(t)
  const other = createServer()
  await new Promise<void>(resolve => other.listen(0, '127.0.0.2', () => resolve()))
  t.teardown(() => other.close())
  const address = other.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const ours = tcp('127.0.0.1', port)
  await server.listen([ours])
  await t.rejects(server.listen([tcp('0.0.0.0', port)]), {
    code: 'EADDRINUSE',
    message: new RegExp(`0\\.0\\.0\\.0:${port} is in use by \\S+ \\(process \\d+.*mtpolicyctl set`),
  })
  t.same(server.endpoints, [ours])
  const client = await policyClient({ port })
  client.send('a=1\n\n')
  t.equal(await client.answer(), 'action=1')
  client.close()
})

t.test('a socket file left behind is taken over, a living one is not', async t => {
  const { path, server, client } = await serve(t)
  const second = makeServer({
    conversation: { ...usual, answer: () => t.fail('nobody asks it') as never },
    admits: () => true,
    opened: () => undefined,
    refused: () => undefined,
  })
  await t.rejects(second.listen([{ kind: 'unix', path }]), { code: 'EADDRINUSE' })
  const postfix = await client()
  postfix.send('a=1\n\n')
  t.equal(await postfix.answer(), 'action=1', 'the first one serves on')
  postfix.close()

  const dead = join(dirname(path), 'dead')
  await leaveSocketBehind(dead)
  t.ok(statSync(dead).isSocket())
  await server.listen([{ kind: 'unix', path: dead }])
  const late = await policyClient({ path: dead })
  late.send('a=2\n\n')
  t.equal(await late.answer(), 'action=2')
  t.equal(statSync(dead).mode & 0o777, 0o666, 'everybody who reaches it may ask')
  late.close()

  const file = join(dirname(path), 'file')
  writeFileSync(file, 'precious')
  await t.rejects(server.listen([{ kind: 'unix', path: file }]), { code: 'EADDRINUSE' })
  t.ok(existsSync(file), 'what is no socket is left alone')
})

/** A bound socket whose process was killed. */
async function leaveSocketBehind(path: string): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  const child = spawn(process.execPath, ['-e', script])
  await new Promise(resolve => child.once('exit', resolve))
}

t.test('who is not in "clients" is sent away and named; a unix socket is open to all', async t => {
  const refused: string[] = []
  const { server, path } = await serve(
    t,
    {},
    { admits: address => address === '::1', refused: peer => refused.push(peer) },
  )
  const port = await freePort()
  await server.listen([tcp('127.0.0.1', port), tcp('::1', port), { kind: 'unix', path }])
  const stranger = await policyClient({ port })
  stranger.send('a=1\n\n')
  await stranger.ended
  t.same(refused, ['127.0.0.1'])
  for (const to of [{ host: '::1', port }, { path }]) {
    const friend = await policyClient(to)
    friend.send('a=1\n\n')
    t.equal(await friend.answer(), 'action=1')
    friend.close()
  }
})

t.test('endpoints are read as the option "port" writes them', async t => {
  const written = (text: string): unknown => {
    const endpoints = parseEndpoints(text, '192.0.2.1')
    return 'mistake' in endpoints ? endpoints.mistake : endpoints.map(formatEndpoint).join(' ')
  }
  t.equal(written('12345'), '192.0.2.1:12345')
  t.equal(written('127.0.0.1:12345,[::1]:12346 , '), '127.0.0.1:12345 [::1]:12346')
  t.equal(written('localhost:12345'), '127.0.0.1:12345 [::1]:12345', 'Postfix may take either')
  t.equal(written('*:12345'), '0.0.0.0:12345')
  t.equal(written(':12345'), '0.0.0.0:12345', 'a missing host is every address')
  t.equal(written('12345|ipv4'), '192.0.2.1:12345')
  t.equal(written('127.0.0.1:12345|ipv4'), '127.0.0.1:12345')
  t.equal(written('127.0.0.1|12345|tcp'), '127.0.0.1:12345')
  t.equal(written('::1:12345'), '[::1]:12345')
  t.equal(written('2001:db8::7|12345|IPv6|tcp'), '[2001:db8::7]:12345')
  t.equal(written('*:12345|ipv6'), '[::]:12345')
  t.equal(written('*:12345|ipv4|ipv6'), '0.0.0.0:12345 [::]:12345')
  t.equal(written(':12345|ipv*'), '0.0.0.0:12345 [::]:12345')
  t.equal(written('localhost:12345|ipv6'), '[::1]:12345')
  t.equal(written('Localhost:12345/tcp'), '127.0.0.1:12345 [::1]:12345')
  t.equal(written('[mail.example.org]:12345'), 'mail.example.org:12345')
  t.equal(written('/run/policy|unix'), '/run/policy|unix')
  t.equal(written('12345/tcp,12346|tcp'), '192.0.2.1:12345 192.0.2.1:12346')
  for (const mistake of [
    '0',
    '65536',
    '123456',
    'port',
    '[::1]',
    '::1',
    '12345x',
    'a b:1',
    '12345|udp',
    '127.0.0.1:12345|ipv6',
    '192.0.2.1/24:5',
  ]) {
    t.match(written(`1,${mistake}`), `found "${mistake}"`)
  }
  t.match(written(' , '), /at least one port/)
})

t.test('an answer is one line, whatever the action says', async t => {
  t.equal(formatReply('dunno').toString(), 'action=dunno\n\n')
  t.equal(formatReply('reject no\n\naction=ok').toString(), 'action=reject no action=ok\n\n')
  for (let code = 0; code < 0x3000; code++) {
    const reply = formatReply(`reject a${String.fromCodePoint(code)}b`).toString()
    if (!/^action=[^\p{Cc}\u2028\u2029]*\n\n$/u.test(reply.replaceAll('\t', ''))) {
      t.fail(`U+${code.toString(16)} got through: ${JSON.stringify(reply)}`)
    }
  }
  t.equal(formatReply('reject \ud800x\udfff').toString(), 'action=reject \ufffdx\ufffd\n\n')
  t.equal(formatReply('reject Grüße 🙂').toString(), 'action=reject Grüße 🙂\n\n')
})
