/** Where an account stands in each limit: what `mtpolicyctl user` shows, and that asking counts nothing. */

import t, { type Test } from 'tap'
import type { LimitStanding } from '../../daemon/control/protocol.ts'
import { standingsOf } from '../../daemon/run/standings.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import {
  chain,
  GERMAN,
  makeWorld,
  NOON,
  PORT,
  plugin,
  type World,
  type WorldOptions,
} from '../support/world.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const UTC = 'timezone = "UTC"'

async function worldOf(t: Test, text: string, options: WorldOptions = {}): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  return world
}

let instances = 0

function send(
  world: World,
  recipients: number,
  attributes: Readonly<Record<string, string>> = {},
  port = PORT,
): Promise<string | undefined> {
  const mail = {
    protocol_state: 'END-OF-MESSAGE',
    instance: `standing.${instances++}`,
    sasl_username: 'alice',
    sender: 'alice@example.org',
    client_address: GERMAN,
    recipient_count: String(recipients),
    size: '1500000',
    ...attributes,
  }
  return world.ask(mail, { id: 1, endpoint: port })
}

const standings = (world: World, name = 'alice'): Promise<LimitStanding[]> =>
  standingsOf(world.loaded.limits, name, world.now, undefined)

const limit = (lines: string, name = 'limit'): string => plugin('SendingLimit', lines, name)

t.test('an account that has never sent has used nothing of its limit', async t => {
  const world = await worldOf(t, chain(limit('threshold = 5'), UTC))
  t.strictSame(await standings(world), [
    {
      name: 'limit',
      per: 'user',
      unit: 'recipients',
      window: 'day',
      subject: 'alice',
      used: 0,
      limit: 5,
      again: Date.UTC(2026, 10, 21),
      next: undefined,
    },
  ])
})

t.test('what was sent is used, whatever the spelling, and asking counts nothing', async t => {
  const world = await worldOf(t, chain(limit('threshold = 5'), UTC))
  t.equal(await send(world, 4), 'dunno')
  for (const name of ['alice', 'ALICE', ' alice ']) {
    t.match(await standings(world, name), [{ used: 4, next: undefined }], name)
  }
  t.match(await standings(world, 'bob'), [{ used: 0 }])
  t.equal(await send(world, 1), 'dunno', 'the last one is left')
  t.match(await standings(world), [{ used: 5, next: 'reject' }])
  world.now += 13 * HOUR
  t.match(await standings(world), [{ used: 0, next: undefined }], 'on the next day')
})

t.test('the windows of the calendar say when they end, at the end of a month too', async t => {
  const blocks = ['day', 'week', 'month'].map(one => limit(`threshold = 9\nwindow = ${one}`, one))
  const world = await worldOf(t, chain(blocks.join(''), 'timezone = "Europe/Berlin"'))
  world.now = Date.UTC(2026, 11, 31, 22, 30) // half past eleven in Berlin, a Thursday
  await send(world, 2)
  t.match(await standings(world), [
    { name: 'day', window: 'day', used: 2, again: Date.UTC(2026, 11, 31, 23) },
    { name: 'week', window: 'week', used: 2, again: Date.UTC(2027, 0, 3, 23) },
    { name: 'month', window: 'month', used: 2, again: Date.UTC(2026, 11, 31, 23) },
  ])
  world.now += HOUR
  t.match(await standings(world), [{ used: 0 }, { used: 2 }, { used: 0 }])
})

t.test('a rolling window says when it has room again, and mail passes then', async t => {
  const world = await worldOf(t, chain(limit('threshold = 3\nwindow = 60m', 'hour')))
  t.match(await standings(world), [{ window: '1h', used: 0, again: null }])
  await send(world, 1)
  world.now += 10 * MINUTE
  await send(world, 2)
  const [full] = await standings(world)
  t.match(full, { used: 3, next: 'reject' })
  const again = full?.again ?? 0
  t.ok(again > NOON + HOUR && again <= NOON + 61 * MINUTE, `${again - NOON}`)
  world.now = again - 1
  t.match(await send(world, 1), /^reject/)
  world.now = again
  t.match(await standings(world), [{ used: 2, again: null, next: undefined }])
  t.equal(await send(world, 1), 'dunno')
})

t.test('a rolling limit of nothing never has room', async t => {
  const world = await worldOf(t, chain(limit('threshold = 0\nwindow = 1h')))
  t.match(await standings(world), [{ used: 0, limit: 0, again: null, next: 'reject' }])
})

t.test('the number is the one of the account: its own, of its group or of its domain', async t => {
  const text = chain(
    limit(`threshold = 10
      <User alice>
        threshold = unlimited
      </User>
      <Group team>
        members = "bob, carol"
        threshold = 20
      </Group>
      <Domain example.com>
        threshold = 30
      </Domain>`),
  )
  const world = await worldOf(t, text)
  for (const [name, number] of [
    ['alice', 'unlimited'],
    ['Bob', 20],
    ['dave@example.com', 30],
    ['erin', 10],
  ] as const) {
    t.match(await standings(world, name), [{ limit: number, next: undefined }], name)
  }
})

t.test('grades: the number is the last one, and what comes next is the one reached', async t => {
  const world = await worldOf(t, chain(limit('excess = "from 2 hold, from 4 reject"')))
  for (const [used, next] of [
    [1, undefined],
    [2, 'hold'],
    [3, 'hold'],
    [4, 'reject'],
  ] as const) {
    await send(world, 1)
    t.match(await standings(world), [{ used, limit: 4, next }])
  }
})

t.test('messages and megabytes are in their own unit', async t => {
  const blocks =
    limit('threshold = 9\nunit = messages', 'm') + limit('threshold = 3\nunit = megabytes', 'b')
  const world = await worldOf(t, chain(blocks))
  await send(world, 5)
  t.match(await standings(world), [
    { unit: 'messages', used: 1, limit: 9 },
    { unit: 'megabytes', used: 1.5, limit: 3, next: undefined },
  ])
  await send(world, 1)
  t.match(await standings(world), [{ used: 2 }, { used: 3, next: 'reject' }])
})

t.test('what a domain or the server has used counts for each of its accounts', async t => {
  const blocks =
    limit('threshold = 7\nper = domain', 'domain') + limit('threshold = 8\nper = server', 'server')
  const world = await worldOf(t, chain(blocks))
  await send(world, 3, { sasl_username: 'alice@example.org' })
  await send(world, 2, { sasl_username: 'bob@example.com' })
  t.match(await standings(world, 'carol@EXAMPLE.org'), [
    { name: 'domain', per: 'domain', subject: 'example.org', used: 3 },
    { name: 'server', per: 'server', subject: '', used: 5 },
  ])
  const withoutDomain = await standings(world, 'dave')
  t.match(withoutDomain, [{ name: 'server', used: 5 }])
  t.equal(withoutDomain.length, 1, 'whose domain counts is known with the mail only')
})

t.test('limits whose count depends on the mail are left out', async t => {
  const kinds = ['client', 'network', 'sender'].map(per =>
    limit(`threshold = 9\nper = ${per}`, per),
  )
  const strangers = limit('threshold = 9\nper = server\napplies_to = unauthenticated', 'strangers')
  const world = await worldOf(t, chain(kinds.join('') + strangers))
  t.strictSame(await standings(world), [])
})

t.test('with a default domain both names are one account', async t => {
  const world = await worldOf(t, chain(limit('threshold = 9\ndefault_domain = example.org')))
  await send(world, 3, { sasl_username: 'alice@example.org' })
  await send(world, 1, { sasl_username: 'alice' })
  for (const name of ['alice', 'Alice@Example.Org']) {
    t.match(await standings(world, name), [{ subject: 'alice', used: 4 }], name)
  }
})

t.test('virtual hosts that share a counter show it once, and the first one decides', async t => {
  const host = (port: string, threshold: number): string =>
    `<VirtualHost ${port}>\nname = v${port}\n${limit(`threshold = ${threshold}`)}</VirtualHost>\n`
  const world = await worldOf(t, `${host(PORT, 5)}${host('12346', 6)}`)
  await send(world, 2)
  await send(world, 1, {}, '12346')
  const found = await standings(world)
  t.match(found, [{ used: 3, limit: 5 }])
  t.equal(found.length, 1)
  const apart = await worldOf(
    t,
    `${host(PORT, 5)}${host('12346', 6).replace('threshold', 'counter = other\nthreshold')}`,
  )
  t.match(await standings(apart), [{ limit: 5 }, { limit: 6 }])
})

t.test('a group whose table cannot be read is said, and the other limits are shown', async t => {
  const table = {
    get: () => {
      throw new LookupError('/etc/postfix/team.db: no such file')
    },
    problem: () => undefined,
  }
  const grouped = `threshold = 10\n<Group team>\nmembers = "hash:/etc/postfix/team"\nthreshold = 20\n</Group>`
  const world = await worldOf(
    t,
    chain(limit(grouped, 'grouped') + limit('threshold = 5', 'plain')),
    {
      outside: { openTable: () => table },
    },
  )
  const found = await standings(world)
  t.match(found, [
    {
      name: 'grouped',
      used: null,
      limit: null,
      again: null,
      problem: '/etc/postfix/team.db: no such file',
    },
    { name: 'plain', used: 0, limit: 5 },
  ])
  t.equal(found.length, 2)
})

t.test('in observe mode it stands where the mail has brought it', async t => {
  const world = await worldOf(t, chain(limit('threshold = 2'), 'mode = observe'))
  await send(world, 3)
  t.match(await standings(world), [{ used: 3, limit: 2, next: 'reject' }])
})

t.test('an account whose messages may have no recipient cannot send', async t => {
  const world = await worldOf(
    t,
    chain(limit('threshold = 9\n<User alice>\nmost_recipients = 0\n</User>')),
  )
  t.match(await standings(world), [{ used: 0, limit: 9, next: 'reject' }])
  t.match(await standings(world, 'bob'), [{ next: undefined }])
})
