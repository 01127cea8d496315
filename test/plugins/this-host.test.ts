/** Webmail and local programs come from this host: it is no stranger to any plugin. */

import t, { type Test } from 'tap'
import { LookupError } from '../../daemon/system/errors.ts'
import { fakeKeyValueStore } from '../support/fake-key-value.ts'
import { answering, peerServer } from '../support/peer-server.ts'
import {
  CHINESE,
  CHINESE_IPV6,
  chain,
  makeWorld,
  NOON,
  plugin,
  type World,
  type WorldOptions,
} from '../support/world.ts'

const MEMCACHED = '<Connection memcached>\nmodule = Memcached\n</Connection>'
const END = plugin('Action', 'action = reject the end', 'end')

/** What Postfix says of a client: it is this host. */
const THIS_HOST = [
  { client_address: '127.0.0.1' },
  { client_address: '::1' },
  { client_address: '::ffff:127.0.0.1' },
  { client_address: CHINESE, server_address: CHINESE },
  { client_address: CHINESE_IPV6, server_address: CHINESE_IPV6.toUpperCase() },
  { client_address: `::ffff:${CHINESE}`, server_address: CHINESE },
]
const STRANGER = { client_address: CHINESE, server_address: '192.0.2.25' }

async function rightWorld(t: Test, text: string, options: WorldOptions = {}): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

const shown = (of: object): string => Object.values(of).join(' at ')

t.test('Fail2Ban never bans it, and says so', async t => {
  const reply = Buffer.from('\x80\x02K\0K\x01\x86q\0.<F2B_END_COMMAND>', 'latin1')
  const server = await peerServer(answering(/<F2B_END_COMMAND>/, reply))
  t.teardown(() => server.close())
  const world = await rightWorld(t, chain(plugin('Fail2Ban', `socket = "${server.path}"`)))
  for (const client of THIS_HOST) {
    await world.ask(client)
    t.match(world.notes.at(-1), /is this host and is never banned/, shown(client))
  }
  t.equal(server.connections, 0)
  await world.ask(STRANGER)
  await world.ask({ client_address: CHINESE })
  t.equal(server.connections, 2)
  t.strictSame(world.errors, [])
})

/** Every name is listed; the questions are counted. */
function listingDns() {
  const asked: string[] = []
  const dns: NonNullable<WorldOptions['dns']> = {
    noListing: () => undefined,
    ask: ((name: string, type: string) => {
      asked.push(name)
      return type === 'A'
        ? { outcome: 'found', records: ['127.0.0.2'] }
        : { outcome: 'empty', records: [], exists: true }
    }) as NonNullable<WorldOptions['dns']>['ask'],
  }
  return { dns, asked }
}

for (const [what, module, lines, globals] of [
  ['Honeypot does not trap', 'Honeypot', 'recipients = trap@example.org', MEMCACHED],
  ['Greylist does not defer', 'Greylist', 'use_autowl = 0', MEMCACHED],
  ['RBL does not look up', 'RBL', 'domain = list.example', ''],
] as const) {
  t.test(`${what} it, unless the file says so`, async t => {
    for (const client of [...THIS_HOST, STRANGER]) {
      const ask = async (more: string) => {
        const { dns, asked } = listingDns()
        const text = chain(plugin(module, `${lines}\n${more}`) + END, globals)
        const world = await rightWorld(t, text, { keyValue: fakeKeyValueStore(NOON), dns })
        const recipient = 'trap@example.org'
        return { answer: await world.ask({ ...client, recipient }), asked }
      }
      const isStranger = client === STRANGER
      const plain = await ask('')
      t.equal(plain.answer === 'reject the end', !isStranger, shown(client))
      t.equal(plain.asked.length > 0, isStranger && module === 'RBL')
      const said = await ask('this_host = on')
      t.not(said.answer, 'reject the end', `${shown(client)}, this_host = on`)
    }
  })
}

t.test('RBL: the entries for tests in 127.0.0.0/8 are looked up', async t => {
  const { dns } = listingDns()
  const world = await rightWorld(t, chain(plugin('RBL', 'domain = list.example')), { dns })
  t.equal(
    await world.ask({ client_address: '127.0.0.2' }),
    'reject delivery from 127.0.0.2 rejected',
  )
  t.equal(await world.ask({ client_address: '127.0.0.1' }), 'dunno')
})

t.test('no reputation service is asked about it', async t => {
  let asked = 0
  const httpPost = async () => {
    asked++
    throw new LookupError('asked')
  }
  const world = await rightWorld(t, chain(plugin('CtIpRep')), { outside: { httpPost } })
  for (const client of THIS_HOST) await world.ask(client)
  t.equal(asked, 0)
  await world.ask(STRANGER)
  t.equal(asked, 1)
})

t.test('it has no country', async t => {
  const mail = { sasl_username: 'alice' }
  for (const client of THIS_HOST) {
    const allowed = await rightWorld(t, chain(plugin('AllowedCountries', 'countries = DE')))
    t.equal(await allowed.ask({ ...mail, ...client }), 'dunno', shown(client))
    const action = await rightWorld(
      t,
      chain(
        plugin('GeoIPLookup', '', 'geoip') +
          plugin('GeoIPAction', 'result_from = geoip\ncountry_codes = CN', 'far'),
      ),
    )
    t.equal(await action.ask(client), 'dunno', shown(client))
    t.match(await action.ask({ ...STRANGER, instance: '2' }), /^reject/)
  }
})

t.test('SMTPVerify does not verify senders on it, and never asks it about strangers', async t => {
  const probed: string[] = []
  const probeRecipient = async ({ hosts }: { readonly hosts: readonly string[] }) => {
    probed.push(...hosts)
    return { extensions: [], code: 550, text: 'no' }
  }
  const text = (lines: string) =>
    chain(plugin('SMTPVerify', `perm_fail_action = reject\n${lines}`, 'sv'))
  const mail = { sender: 'a@example.org', recipient: 'b@example.net' }
  const byHost = await rightWorld(t, text('host = mx.example'), { outside: { probeRecipient } })
  for (const client of THIS_HOST) {
    t.equal(await byHost.ask({ ...mail, ...client }), 'dunno', shown(client))
  }
  t.equal(await byHost.ask({ ...mail, ...STRANGER }), 'reject')
  const always = await rightWorld(t, text('host = mx.example\nthis_host = on'), {
    outside: { probeRecipient },
  })
  t.equal(await always.ask({ ...mail, client_address: '127.0.0.1' }), 'reject')
  const recipients = await rightWorld(
    t,
    text('host = mx.example\nrecipient_field = recipient\nsender_field = sender'),
    { outside: { probeRecipient } },
  )
  t.equal(
    await recipients.ask({ ...mail, client_address: '::1' }),
    'reject',
    'where it goes counts',
  )

  // A spammer's domain may name any address as its mail exchanger: ours would believe itself.
  probed.length = 0
  for (const address of ['127.0.0.1', '0.0.0.0', '127.1.2.3', STRANGER.server_address]) {
    const dns: NonNullable<WorldOptions['dns']> = {
      noListing: () => undefined,
      ask: ((_name: string, type: string) =>
        type === 'A'
          ? { outcome: 'found', records: [address, '192.0.2.99'] }
          : { outcome: 'empty', records: [], exists: true }) as NonNullable<
        WorldOptions['dns']
      >['ask'],
    }
    const world = await rightWorld(t, text(''), { dns, outside: { probeRecipient } })
    await world.ask({ ...mail, ...STRANGER })
    t.strictSame(probed.splice(0), ['192.0.2.99'], address)
    await world.ask({ ...mail, ...STRANGER, sender: `a@[${address}]` })
    t.strictSame(probed, [], `a literal, ${address}`)
  }
})
