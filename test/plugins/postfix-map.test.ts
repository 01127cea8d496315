/** PostfixMap: clients in a table of Postfix. */

import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Table } from '../../daemon/policy/ports/table.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { postmap, toolsMissing, usePostfixConfig } from '../support/postfix-tables.ts'
import { chain, makeWorld, plugin, type World, type WorldOptions } from '../support/world.ts'

const noPostmap = toolsMissing('postmap')
if (!noPostmap) usePostfixConfig(t.testdir())

const ACTIONS = 'match_action = reject match\nnot_match_action = reject no match'

function map(table: string, lines = ACTIONS): string {
  return plugin('PostfixMap', `db_file = "${table}"\n${lines}`)
}

function textTable(t: Test, text: string): string {
  const path = join(t.testdir(), 'table')
  writeFileSync(path, text)
  return `texthash:${path}`
}

async function rightWorld(t: Test, text: string, options?: WorldOptions): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

async function answers(
  t: Test,
  world: World,
  expected: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  for (const [client_address, answer] of Object.entries(expected)) {
    t.equal(await world.ask({ client_address }), answer, client_address)
  }
}

const MATCH = 'reject match'
const NO_MATCH = 'reject no match'

t.test('an address and its prefixes, octet by octet; the first key decides', async t => {
  const table = textTable(
    t,
    '192.0.2.7 OK\n192.0.2 no\n198.51.100 12\n198.51 0\n203 OK\n203.0.113.9 ok\n203.0.113.8 OK now\n',
  )
  const world = await rightWorld(t, chain(map(table)))
  await answers(t, world, {
    '192.0.2.7': MATCH,
    '192.0.2.8': NO_MATCH,
    '192.0.20.8': NO_MATCH,
    '198.51.100.1': MATCH,
    '198.51.101.1': MATCH,
    '203.0.113.1': MATCH,
    '203.0.113.9': NO_MATCH,
    '203.0.113.8': NO_MATCH,
    '1.2.3.4': NO_MATCH,
    '::ffff:192.0.2.7': MATCH,
  })
})

t.test('IPv6: as Postfix writes it, with all groups, in any notation of the client', async t => {
  const table = textTable(
    t,
    [
      '2001:db8::7 OK',
      '2001:db8:1 OK',
      '2001:db8:1:0:0 REJECT',
      '2001:db8:2:0:0:0:0:1 OK',
      '2001:db8:3::5:6 OK',
      'fe81 OK',
      '2001:db9:: OK',
      '2001:dba:: 0',
      '2001:dba OK',
      '2001:dbb: OK',
      '::1 OK',
      '',
    ].join('\n'),
  )
  const world = await rightWorld(t, chain(map(table)))
  await answers(t, world, {
    '2001:db8::7': MATCH,
    '2001:DB8:0:0::0007': MATCH,
    '2001:db8::8': NO_MATCH,
    '2001:db8:1::9': NO_MATCH,
    '2001:db8:1:1::9': MATCH,
    '2001:db8:1:0:1::9': MATCH,
    '2001:db8:2::1': MATCH,
    '2001:db8:2::2': NO_MATCH,
    '2001:db8:3::5:6:7': MATCH,
    'FE81::1': MATCH,
    'fe81::': MATCH,
    '2001:db9::': MATCH,
    '2001:db9::1': NO_MATCH,
    '2001:dba::': MATCH,
    '2001:dbb::1': MATCH,
    '2001:dbc::': NO_MATCH,
    '::1': MATCH,
    '::': NO_MATCH,
  })
})

t.test('without an address nothing happens', async t => {
  const world = await rightWorld(t, chain(map(textTable(t, '192 OK\n'))))
  for (const client_address of ['', 'unknown', '192', '192.0.2.1.2', '[192.0.2.1]']) {
    t.equal(await world.ask({ client_address }), 'dunno', client_address)
  }
  t.equal(await world.ask({}), 'dunno')
  t.strictSame(world.errors, [])
})

t.test('the score counts once per mail, and a mail is decided once', async t => {
  const table = textTable(t, '192 OK\n')
  const header = plugin('AddScoreHeader')
  const memory = '<SessionCache>\nmodule = Memory\n</SessionCache>'
  const world = await rightWorld(t, chain(map(table, 'score = 2.50') + header, memory))
  const mail = { client_address: '192.0.2.1', instance: 'one' }
  t.match(await world.ask(mail), /score=2\.5 \[postfixmap=2\.50\]$/)
  t.equal(await world.ask(mail), 'dunno')
  t.match(await world.ask({ client_address: '10.0.0.1', instance: 'two' }), /score=0$/)

  let asked = 0
  const counting: Table = {
    get: key => {
      asked++
      return key === '192' ? 'OK' : undefined
    },
    problem: () => undefined,
  }
  const counted = await rightWorld(t, chain(map('hash:/x'), memory), {
    outside: { openTable: () => counting },
  })
  for (const recipient of ['a', 'b', 'c']) t.equal(await counted.ask({ ...mail, recipient }), MATCH)
  t.equal(asked, 4, 'for the first recipient only')
  t.equal(await counted.ask({ ...mail, client_address: '10.0.0.1' }), NO_MATCH, 'by its value')
})

t.test('enabled, also by a value of the mail; without actions', async t => {
  const table = textTable(t, '192 OK\n')
  const off = await rightWorld(t, chain(map(table, `enabled = off\n${ACTIONS}`)))
  t.equal(await off.ask({ client_address: '192.0.2.1' }), 'dunno')
  const set = plugin('SetField', 'key = on\nvalue = on')
  const uc = await rightWorld(
    t,
    chain(set + map(table, `enabled = off\nuc_enabled = on\n${ACTIONS}`)),
  )
  t.equal(await uc.ask({ client_address: '192.0.2.1' }), MATCH)
  const silent = await rightWorld(t, chain(map(table, '')))
  t.equal(await silent.ask({ client_address: '192.0.2.1' }), 'dunno')
  t.equal(await silent.ask({ client_address: '10.0.0.1' }), 'dunno')
})

t.test('an asynchronous table is queried for all keys at once', async t => {
  const waiting: ((value: string | undefined) => void)[] = []
  const slow: Table = {
    get: key =>
      new Promise(resolve => {
        waiting.push(() => resolve(key === '192.0' ? 'OK' : undefined))
        if (waiting.length === 4) for (const answer of waiting) answer(undefined)
      }),
    problem: () => undefined,
  }
  const world = await rightWorld(t, chain(map('lmdb:/x')), { outside: { openTable: () => slow } })
  t.equal(await world.ask({ client_address: '192.0.2.1' }), MATCH)
  const failing: Table = { ...slow, get: () => Promise.reject(new LookupError('it is gone')) }
  const broken = await rightWorld(t, chain(map('lmdb:/x')), {
    outside: { openTable: () => failing },
  })
  t.equal(await broken.ask({ client_address: '192.0.2.1' }), 'dunno')
  t.match(broken.errors, [/plugin postfixmap failed: it is gone/])
})

t.test('a missing table is reported at its place, fails, and works once it exists', async t => {
  const path = join(t.testdir(), 'table')
  const world = await makeWorld(chain(map(`texthash:${path}`)))
  t.strictSame(world.messages, [
    `test.conf:6:11: error: "db_file" in <Plugin postfixmap>: ${path}: there is no such file`,
  ])
  t.equal(await world.ask({ client_address: '192.0.2.1' }), 'dunno')
  t.match(world.errors, [/plugin postfixmap failed: .*there is no such file/])
  writeFileSync(path, '192.0.2 OK\n')
  let answer: string | undefined
  for (let i = 0; i < 100 && answer !== MATCH; i++) {
    await new Promise(resolve => setTimeout(resolve, 100))
    answer = await world.ask({ client_address: '192.0.2.1' })
  }
  t.equal(answer, MATCH)
  world.close()
})

t.test('a map that postmap rewrites while mail arrives', { skip: noPostmap }, async t => {
  const path = join(t.testdir(), 'map')
  const others = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 8}.${i & 255} OK\n`).join('')
  postmap('hash', path, `192.0.2 OK\n${others}`)
  // Both ways to write it: as in main.cf, and as mtpolicyd had it.
  const world = await rightWorld(
    t,
    chain(
      map(`hash:${path}`) +
        plugin('PostfixMap', `db_file = "${path}.db"\nmatch_action = reject second`, 'second'),
    ),
  )
  const second = chain(plugin('PostfixMap', `db_file = "${path}.db"\n${ACTIONS}`))
  const asBefore = await rightWorld(t, second)
  t.equal(await world.ask({ client_address: '192.0.2.1' }), MATCH)
  t.equal(await asBefore.ask({ client_address: '10.1.2.3' }), MATCH)
  postmap('hash', path, `198.51.100 OK\n${others}`)
  const seen: (string | undefined)[] = []
  while (seen.length < 600 && seen.at(-1) !== NO_MATCH) {
    seen.push(await world.ask({ client_address: '192.0.2.1' }))
    t.equal(await asBefore.ask({ client_address: '10.1.2.3' }), MATCH, 'in the old and in the new')
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  t.equal(seen.at(0), MATCH)
  t.equal(seen.at(-1), NO_MATCH)
  t.equal(await world.ask({ client_address: '198.51.100.1' }), MATCH)
  t.strictSame(world.errors, [])
  rmSync(`${path}.db`)
  t.equal(await world.ask({ client_address: '198.51.100.1' }), MATCH, 'still in memory')
})

t.test('a table that only Postfix can read', { skip: noPostmap }, async t => {
  const path = join(t.testdir(), 'networks.cidr')
  writeFileSync(path, '192.0.2.0/25 OK\n2001:db8::/33 OK\n')
  utimesSync(path, 1, 1)
  const world = await rightWorld(t, chain(map(`cidr:${path}`)))
  await answers(t, world, {
    '192.0.2.1': MATCH,
    '192.0.2.200': NO_MATCH,
    '2001:db8::1': MATCH,
    '2001:db8:8000::1': NO_MATCH,
  })
})
