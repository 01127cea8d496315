/** One parser of networks, and whom they admit. */

import t from 'tap'
import { readClients } from '../../daemon/assembly/clients.ts'
import { isLoopbackHost, listenAddresses, reachableAddress } from '../../daemon/net/loopback.ts'
import { addressGroups, isWithin, parseNetwork } from '../../daemon/net/network.ts'
import { formatProblem, type Problem } from '../../daemon/policy/problem.ts'
import { checkValue } from '../../daemon/registry/value-types.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

const place = { file: 'test.conf', line: 3, column: 11 }

/** What "clients" says about a list, and whether it admits an address then. */
function clientsOf(...clients: string[]) {
  const problems: Problem[] = []
  const admits = readClients({ clients, placeOf: () => place }, problems)
  return { admits, messages: problems.map(formatProblem) }
}

/** [network, inside, outside] */
const GOOD: readonly (readonly [string, string, string])[] = [
  ['192.0.2.1', '192.0.2.1', '192.0.2.2'],
  ['192.0.2.1/32', '192.0.2.1', '192.0.2.0'],
  ['192.0.2.0/24', '192.0.2.255', '192.0.3.0'],
  ['192.0.2.77/24', '192.0.2.1', '192.0.1.255'],
  ['198.51.100.0/255.255.255.0', '198.51.100.9', '198.51.101.9'],
  ['198.51.100.0/255.255.255.255', '198.51.100.0', '198.51.100.1'],
  ['198.51.100.128/255.255.255.128', '198.51.100.200', '198.51.100.127'],
  ['::ffff:192.0.2.0/120', '192.0.2.9', '192.0.3.9'],
  ['2001:db8::/32', '2001:db8:ffff::1', '2001:db9::1'],
  ['2001:DB8::1', '2001:db8::1', '2001:db8::2'],
]

const BAD = [
  '',
  '192.0.2.1/',
  '192.0.2.0/24/8',
  '192.0.2.0/33',
  '192.0.2.0/-1',
  '192.0.2.0/ 8',
  '192.0.2.0/0x8',
  '192.0.2.0/1e1',
  '192.0.2.0/+8',
  '192.0.2.0/255.0.255.0',
  '192.0.2.0/0.0.0.255',
  '192.0.2.0/255.255.255',
  '192.0.2',
  '192.0.2.01',
  '/8',
  '2001:db8::/129',
  '2001:db8::/ffff::',
  '2001:db8::/255.255.0.0',
  '::ffff:192.0.2.0/24',
  'fe80::1%eth0',
  '[2001:db8::]/32',
  'example.org',
]

t.test('a network is read alike wherever one is written', async t => {
  for (const [text, inside, outside] of GOOD) {
    const network = parseNetwork(text)
    if (!network) return t.fail(text)
    t.ok(isWithin(addressGroups(inside) ?? [], network), `${inside} is in ${text}`)
    t.notOk(isWithin(addressGroups(outside) ?? [], network), `${outside} is not in ${text}`)
    const { admits, messages } = clientsOf(text)
    t.strictSame(messages, [])
    t.ok(admits(inside) && admits(`::ffff:${inside}`) === inside.includes('.'), text)
    t.notOk(admits(outside), text)
    t.equal(checkValue({ type: 'networks' }, text).kind, 'good', text)
  }
  t.ok(
    isWithin(
      addressGroups('203.0.113.9') ?? [],
      parseNetwork('0.0.0.0/0') ?? { groups: [], bits: 1 },
    ),
  )
})

t.test('what is not a network is refused, and admits nobody', async t => {
  for (const text of BAD) {
    t.equal(parseNetwork(text), undefined, text)
    const { admits, messages } = clientsOf(text)
    t.match(messages, [
      /^test\.conf:3:11: error: "clients": expected an address or a network such as 192\.0\.2\.1, /,
    ])
    for (const stranger of ['192.0.2.1', '192.0.2.200', '203.0.113.1', '2001:db8::1']) {
      t.notOk(admits(stranger), `${text} admits ${stranger}`)
    }
    t.ok(admits('127.0.0.1') && admits('::1') && admits('::ffff:127.0.0.5'))
    if (text !== '') t.equal(checkValue({ type: 'networks' }, text).kind, 'bad', text)
    if (text === '' || /\s/.test(text)) continue
    const world = await makeWorld(chain(plugin('SPF', `whitelist = "${text}"`)))
    t.teardown(() => world.close())
    t.match(world.messages, [/"whitelist" in <Plugin spf>: expected an address or a network/], text)
  }
})

t.test('what this host is called', async t => {
  for (const host of [
    'localhost',
    'LOCALHOST',
    '127.0.0.1',
    '127.1.2.3',
    '::1',
    '0:0::1',
    '::ffff:127.0.0.1',
    'ip6-localhost',
  ]) {
    t.ok(isLoopbackHost(host), host)
  }
  for (const host of [
    '127.1',
    '127.0.0.256',
    '128.0.0.1',
    '::',
    '0.0.0.0',
    'localhost.example.org',
    '',
  ]) {
    t.notOk(isLoopbackHost(host), host)
  }
  t.strictSame(listenAddresses('localhost'), ['127.0.0.1', '::1'])
  t.strictSame(listenAddresses('[::1]'), ['::1'])
  t.strictSame(listenAddresses('*'), ['0.0.0.0'])
  t.strictSame(listenAddresses('mail.example.org'), ['mail.example.org'])
  t.equal(reachableAddress('::'), '::1')
})
