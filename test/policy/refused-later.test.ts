/** A mail that was counted and is refused by a later request costs nothing: at its end, or by another virtual host. */

import t from 'tap'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import { chain, makeWorld, NOON, PORT, plugin } from '../support/world.ts'

/** Acts at the end of the message only, as its sender says. */
const atEnd = definePlugin({
  name: 'AtEnd',
  summary: 'Answers what the sender says at the end of the message.',
  settings: {},
  create: () => request => {
    if (request.text('protocol_state') !== 'END-OF-MESSAGE') return undefined
    const [action = '', how] = request.text('sender').split('@')
    if (how === 'fails') throw new Error('broken')
    if (how === 'hangs') return new Promise(done => setTimeout(done, 500, undefined))
    const outcome = action === '' ? undefined : action
    return how === undefined ? outcome : new Promise(done => setImmediate(done, outcome))
  },
})

const DAY = { name: new Date(NOON).toISOString().slice(0, 10), endsAt: 0 }
const HOUR = { milliseconds: 3_600_000 }
const LIMITS =
  plugin('SendingLimit', 'threshold = 9', 'day') +
  plugin('SendingLimit', 'threshold = 9\nwindow = 1h\nmost_megabytes = 1', 'hour')
const END = plugin('AtEnd')
const MAIL = { sasl_username: 'alice', recipient_count: '2', instance: '1' }
const AT_DATA = { ...MAIL, protocol_state: 'DATA' }
const AT_END = { ...MAIL, protocol_state: 'END-OF-MESSAGE' }

for (const [name, more, globals] of [
  ['by a plugin before the limits', { sender: 'reject' }, ''],
  ['by one that answers later', { sender: 'reject@later' }, ''],
  ['by one that fails, with on_failure = defer', { sender: '@fails' }, 'on_failure = defer'],
  ['by one that fails, with on_failure = close', { sender: '@fails' }, 'on_failure = close'],
  ['because its time is over', { sender: '@hangs' }, 'on_failure = defer\nrequest_timeout = 1'],
  ['because it is too big', { size: '1000001' }, ''],
] as const) {
  for (const [where, blocks] of [
    ['in front', END + LIMITS],
    ['behind', LIMITS + END],
  ]) {
    t.test(`counted at DATA, refused at its end ${name} (${where})`, async t => {
      const world = await makeWorld(chain(blocks ?? '', globals), {
        plugins: [atEnd],
        secondMilliseconds: 20,
      })
      const used = async () => [
        await world.ledger.used('day', 'alice', DAY, NOON),
        await world.ledger.used('hour', 'alice', HOUR, NOON),
      ]
      t.equal(await world.ask(AT_DATA), 'dunno')
      t.strictSame(await used(), [2, 2])
      t.match((await world.ask({ ...AT_END, ...more })) ?? 'reject', /^(?:reject|defer)/)
      t.strictSame(await used(), [0, 0])
      t.equal(await world.ask(AT_END), 'dunno', 'when it comes again, it is counted again')
      t.strictSame(await used(), [2, 2])
    })
  }
}

t.test('counted by one virtual host, refused by another one that has no limit', async t => {
  const other = `<VirtualHost 12346>\nname = w\n${plugin('AtEnd', '', 'other')}</VirtualHost>\n`
  const world = await makeWorld(chain(LIMITS) + other, { plugins: [atEnd] })
  t.equal(await world.ask(AT_END, { id: 1, endpoint: PORT }), 'dunno')
  t.equal(await world.ledger.used('day', 'alice', DAY, NOON), 2)
  t.equal(await world.ask({ ...AT_END, sender: 'reject' }, { id: 2, endpoint: '12346' }), 'reject')
  t.equal(await world.ledger.used('day', 'alice', DAY, NOON), 0)
})
