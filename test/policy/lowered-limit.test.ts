/** Mail that was accepted is accepted when Postfix sends the request again, however low the limit has become. */

import t from 'tap'
import { chain, makeWorld, NOON, plugin } from '../support/world.ts'

const MAIL = { sasl_username: 'alice', recipient_count: '50', protocol_state: 'END-OF-MESSAGE' }
const DAY = { name: new Date(NOON).toISOString().slice(0, 10), endsAt: 0 }
const limited = (threshold: number, more = ''): string =>
  chain(plugin('SendingLimit', `threshold = ${threshold}`, 'day'), more)

for (const [first, second] of [
  ['END-OF-MESSAGE', 'END-OF-MESSAGE'],
  ['DATA', 'END-OF-MESSAGE'],
  ['DATA', 'DATA'],
] as const) {
  t.test(`the limit is lowered after ${first}, and ${second} follows`, async t => {
    const before = await makeWorld(limited(100))
    const mail = { ...MAIL, instance: '1' }
    t.equal(await before.ask({ ...mail, protocol_state: first }), 'dunno')
    const after = await makeWorld(limited(20), { ledger: before.ledger })
    t.equal(await after.ask({ ...mail, protocol_state: second }), 'dunno')
    t.equal(await after.ledger.used('day', 'alice', DAY, NOON), 50)
    t.match(await after.ask({ ...MAIL, instance: '2', recipient_count: '1' }), /^reject/)
    t.equal(await after.ledger.used('day', 'alice', DAY, NOON), 50)
  })
}

t.test('in observe mode mail beyond the limit is noted, again and again', async t => {
  const world = await makeWorld(limited(20, 'mode = observe'))
  for (const instance of ['1', '1', '2']) {
    t.equal(await world.ask({ ...MAIL, instance }), 'dunno')
    t.match(world.verdicts.at(-1), { observed: /^reject/ })
  }
  t.equal(await world.ledger.used('day', 'alice', DAY, NOON), 100)
})

t.test('a limit whose unit is changed counts from zero, and no bytes as recipients', async t => {
  const block = (unit: string): string =>
    chain(plugin('SendingLimit', `threshold = 100\nunit = ${unit}`, 'day'))
  const { ledger, ask } = await makeWorld(block('megabytes'))
  t.equal(await ask({ ...MAIL, instance: '1', size: '90000000' }), 'dunno')
  for (const unit of ['recipients', 'messages', 'megabytes']) {
    const world = await makeWorld(block(unit), { ledger })
    t.equal(await world.ask({ ...MAIL, instance: unit, size: '10000000' }), 'dunno', unit)
  }
  const last = await makeWorld(block('megabytes'), { ledger })
  t.match(await last.ask({ ...MAIL, instance: 'last', size: '1' }), /^reject/)
})
