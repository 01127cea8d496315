/** AllowedCountries: networks from which mail passes whatever its country. */

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { logfmtFields } from '../../daemon/log/logfmt.ts'
import {
  CHINESE,
  CHINESE_IPV6,
  chain,
  EUROPEAN,
  GERMAN,
  makeWorld,
  plugin,
  UNKNOWN,
  type World,
} from '../support/world.ts'

async function worldOf(t: Test, lines: string): Promise<World> {
  const world = await makeWorld(chain(plugin('AllowedCountries', lines, 'countries')))
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

async function wordFor(world: World, address: string, user = 'alice'): Promise<string> {
  const answer = await world.ask({ sasl_username: user, client_address: address })
  return answer?.split(' ')[0] ?? 'nothing'
}

t.test('mail from a listed network passes whatever its country', async t => {
  const world = await worldOf(
    t,
    'countries = DE\nnetworks = " 203.0.113.0/28, 2001:db8:2:8000::/49 ,"',
  )
  for (const [address, word] of [
    [CHINESE, 'dunno'],
    ['203.0.113.15', 'dunno'],
    ['203.0.113.16', 'reject'],
    [`::ffff:${CHINESE}`, 'dunno'],
    ['2001:db8:2:8000::1', 'dunno'],
    ['2001:DB8:2:FFFF::1', 'dunno'],
    [CHINESE_IPV6, 'reject'],
    [GERMAN, 'dunno'],
  ] as const) {
    t.equal(await wordFor(world, address), word, address)
  }
  await wordFor(world, CHINESE)
  t.match(world.verdicts.at(-1), { country: 'CN', by: '' }, 'its country is logged all the same')
})

t.test('a listed network passes also if its country is not known', async t => {
  const world = await worldOf(
    t,
    `countries = DE\nunknown_country = refuse\nnetworks = "${UNKNOWN}, ${EUROPEAN}/32"`,
  )
  t.equal(await wordFor(world, UNKNOWN), 'dunno')
  t.equal(await wordFor(world, EUROPEAN), 'dunno')
  t.equal(await wordFor(world, '192.0.2.201'), 'reject')
  t.equal(await wordFor(world, '192.0.2.8'), 'reject')
})

t.test('networks of a user are added to those of everybody, and keep the countries', async t => {
  const world = await worldOf(
    t,
    `countries = DE
default_domain = example.org
networks = 203.0.113.0/28
<User Alice@example.org>
networks = "203.0.113.32/28"
</User>
<User bob>
countries = CN
</User>
<User carol>
countries = "AT"
networks = "${GERMAN}"
</User>`,
  )
  for (const [user, address, word] of [
    ['alice', '203.0.113.7', 'dunno'],
    ['alice', '203.0.113.40', 'dunno'],
    ['alice', '203.0.113.50', 'reject'],
    ['alice', GERMAN, 'dunno'],
    ['dave', '203.0.113.40', 'reject'],
    ['dave', '203.0.113.7', 'dunno'],
    ['bob', '203.0.113.50', 'dunno'],
    ['bob', GERMAN, 'reject'],
    ['carol', GERMAN, 'dunno'],
    ['carol', '198.51.100.8', 'reject'],
    ['carol', '203.0.113.7', 'dunno'],
  ] as const) {
    t.equal(await wordFor(world, address, user), word, `${user} from ${address}`)
  }
})

t.test('what is no network is reported at its place, with what was expected', async t => {
  for (const [lines, place, message] of [
    ['countries = DE\nnetworks = "192.0.2.0/33"', /^test\.conf:\d+:12: /, 'found "192.0.2.0/33"'],
    ['countries = DE\nnetworks = vpn.example.org', /: /, 'expected an address or a network such'],
    [
      'countries = DE\n<User a>\nnetworks = "10.0.0.0/8; 192.0.2.1"\n</User>',
      /: /,
      'several with commas',
    ],
    ['countries = DE\n<User a>\n</User>', /: /, '<User a> needs "countries" or "networks"'],
  ] as const) {
    const world = await makeWorld(chain(plugin('AllowedCountries', lines)))
    t.teardown(() => world.close())
    t.equal(world.messages.length, 1, world.messages.join('\n'))
    t.match(world.messages[0], place)
    t.match(world.messages[0], message)
    t.match(world.messages[0], 'error: ')
  }
})

t.test('the command of the manual counts the addresses that were refused', async t => {
  const world = await worldOf(t, 'countries = DE\nunknown_country = refuse')
  for (const address of [CHINESE, GERMAN, UNKNOWN, CHINESE, CHINESE_IPV6]) {
    await wordFor(world, address)
  }
  await wordFor(world, CHINESE, '')
  const log = join(t.testdir(), 'mail.log')
  const lines = world.verdicts.map(
    fields => `Nov 20 12:00:00 mx mtpolicyd[7]: ${logfmtFields(fields)}`,
  )
  writeFileSync(log, `${lines.join('\n')}\n`)
  for (const page of [
    'debian/README.Debian',
    'scripts/manual/mtpolicyd-variables.7.txt',
    'daemon/plugins/allowed-countries.ts',
  ]) {
    const text = readFileSync(join(import.meta.dirname, '../..', page), 'utf8')
    const [command = ''] = /grep 'mtpolicyd\.\* by=countries'.*\|\n.*\|\n.*/.exec(text) ?? []
    const typed = command.replace(/^ \*/gm, '').replace('/var/log/mail.log', log)
    const { stdout, status } = spawnSync('sh', ['-c', typed], { encoding: 'utf8' })
    t.equal(status, 0, page)
    t.strictSame(
      stdout
        .trim()
        .split('\n')
        .map(line => line.trim())
        .sort(),
      [
        `1 client=${UNKNOWN}`,
        `1 client=${CHINESE_IPV6} country=CN`,
        `2 client=${CHINESE} country=CN`,
      ],
      page,
    )
  }
})

t.test('a network that is wider than it looks is named (blocklist of Google’s relays)', async t => {
  for (const [networks, message] of [
    [
      '209.85.128.1/17',
      /209\.85\.128\.1\/17 is in 209\.85\.128\.0\/17, and all of that is accepted/,
    ],
    ['192.0.2.1, 2a00:1450::7/32', /2a00:1450::7\/32 is in 2a00:1450::\/32, /],
    ['::ffff:192.0.2.1/120', /is in 192\.0\.2\.0\/24, /],
    ['0.0.0.0/0', /:\d+:12: warning: 0\.0\.0\.0\/0 is every address of its kind/],
    ['::/0', /::\/0 is every address of its kind/],
  ] as const) {
    const block = plugin('AllowedCountries', `countries = DE\nnetworks = "${networks}"`)
    const world = await makeWorld(chain(block))
    t.teardown(() => world.close())
    t.match(world.messages, [message], networks)
    t.equal(world.messages.length, 1)
  }
  const block = plugin(
    'AllowedCountries',
    'countries = DE\nnetworks = "209.85.128.0/17, ::1, 192.0.2.0/255.255.255.0"',
  )
  const world = await makeWorld(chain(block))
  t.teardown(() => world.close())
  t.same(world.messages, [])
})
