/** A connection without Node's stream in between: the same bytes come and go as with it. */

import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { DirectSocket } from '../../daemon/wire/direct-socket.ts'
import { until } from '../support/policy-client.ts'

/** As on a Node whose sockets have nothing of the kind. */
function withoutHandle(socket: Socket): Socket {
  return new Proxy(socket, {
    get(target, key) {
      if (key === '_handle') return undefined
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

interface Pair {
  readonly peer: Socket
  readonly ours: DirectSocket
  /** All that has arrived here. */
  arrived(): string
}

async function pair(t: Test, prepare: (accepted: Socket) => Socket): Promise<Pair> {
  let arrived = ''
  const connected = Promise.withResolvers<DirectSocket>()
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, accepted => {
    const receive = (bytes: Buffer, length: number): void => {
      arrived += bytes.toString('latin1', 0, length)
    }
    connected.resolve(new DirectSocket(prepare(accepted), { receive }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const peer = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true })
  const ours = await connected.promise
  t.teardown(() => {
    peer.destroy()
    ours.socket.destroy()
    server.close()
  })
  return { peer, ours, arrived: () => arrived }
}

for (const [kind, prepare] of [
  ['a connection of which Node gives us the handle', (socket: Socket) => socket],
  ['a connection of which it does not', withoutHandle],
] as const) {
  t.test(kind, async t => {
    t.test('what is sent arrives, both ways, and its end too', async t => {
      const { peer, ours, arrived } = await pair(t, prepare)
      let answers = ''
      let ended = false
      peer.on('data', bytes => {
        answers += bytes.toString()
      })
      ours.socket.on('end', () => {
        ended = true
        ours.send(Buffer.from('last\n'))
        ours.socket.end()
      })
      peer.write('one\n')
      await until(() => arrived() === 'one\n')
      ours.send(Buffer.from('first\n'))
      await until(() => answers === 'first\n')
      peer.end('two\n')
      await until(() => ended && answers === 'first\nlast\n')
      t.equal(arrived(), 'one\ntwo\n')
    })

    // Of a large one the kernel takes a part, of small ones one and not the next.
    for (const [what, lines, length] of [
      ['small answers', 2000, 4000],
      ['large answers', 3, 20_000_000],
    ] as const) {
      t.test(`${what} that a slow reader has no room for wait, and arrive in order`, async t => {
        const { peer, ours } = await pair(t, prepare)
        peer.pause()
        let expected = ''
        for (let line = 0; line < lines; line++) {
          const text = `${line} ${'x'.repeat(length)}\n`
          expected += text
          ours.send(Buffer.from(text))
        }
        await sleep(20)
        t.ok(ours.socket.writableLength > 0, 'the kernel has not taken all')
        let read = ''
        peer.on('data', bytes => {
          read += bytes.toString('latin1')
        })
        peer.resume()
        await until(() => read.length >= expected.length)
        t.ok(read === expected)
        t.equal(ours.socket.writableLength, 0)
      })
    }

    t.test('paused it is not read from, resumed it is', async t => {
      const { peer, ours, arrived } = await pair(t, prepare)
      peer.write('a')
      await until(() => arrived() === 'a')
      ours.socket.pause()
      peer.write('b')
      await sleep(50)
      t.equal(arrived(), 'a')
      ours.socket.resume()
      await until(() => arrived() === 'ab')
    })
  })
}
