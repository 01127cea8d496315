import { createServer } from 'node:net'
import t from 'tap'
import {
  describeOwner,
  excludes,
  freePortAfter,
  hostListeners,
  listenersInTheWay,
  ownerOf,
  parseListeners,
} from '../../daemon/net/listeners.ts'

t.test('listening sockets as the kernel lists them', t => {
  const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3039 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:3039 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
   2: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
   3: 00000000000000000000000001000000:3039 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4714 1 0 100 0 0 10 0
   4: B80D0120000000000000000005000000:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4715 1 0 100 0 0 10 0
`
  t.same(parseListeners(text), [
    { host: '127.0.0.1', port: 12345, inode: '4711' },
    { host: '0.0.0.0', port: 25, inode: '4713' },
    { host: '::1', port: 12345, inode: '4714' },
    { host: '2001:db8::5', port: 53, inode: '4715' },
  ])
  t.same(parseListeners(''), [], 'a host without IPv6 has no such file')
  t.end()
})

t.test('who is in whose way', t => {
  for (const [a, b, expected] of [
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['127.0.0.1', '0.0.0.0', true],
    ['::1', '0.0.0.0', false],
    ['::1', '::', true],
    ['127.0.0.1', '::', true],
    ['127.0.0.1', '::1', false],
  ] as const) {
    t.equal(excludes({ host: a, port: 1 }, { host: b, port: 1 }), expected, `${a} and ${b}`)
    t.equal(excludes({ host: b, port: 1 }, { host: a, port: 1 }), expected, `${b} and ${a}`)
    t.equal(excludes({ host: a, port: 1 }, { host: b, port: 2 }), false)
  }
  t.end()
})

t.test('whose a socket is, and which port is free instead', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '0.0.0.0', () => resolve()))
  t.teardown(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const found = listenersInTheWay({ host: '127.0.0.1', port })
  t.match(found, [{ host: '0.0.0.0', port }])
  const owner = ownerOf(found)
  t.equal(owner?.pid, process.pid)
  t.match(describeOwner(owner), /^node \(process \d+/)
  t.equal(describeOwner(ownerOf([])), 'another program')

  const taken = new Set(hostListeners().map(listener => listener.port))
  t.notOk(taken.has(freePortAfter(port) ?? port))
  t.ok((freePortAfter(25) ?? 0) >= 12345, 'one for which nobody needs to be root')
})
