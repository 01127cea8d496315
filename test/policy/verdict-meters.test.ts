/** Verdicts are counted by plugin, stage and kind of action; answers by the time they took. */

import t from 'tap'
import { kindOfAction } from '../../daemon/policy/verdict.ts'
import { VerdictMeters } from '../../daemon/policy/verdict-meters.ts'
import { openMeters } from '../../daemon/run/meters.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { verdict } from '../history/some-mail.ts'
import { chain, makeWorld } from '../support/world.ts'

for (const [action, kind] of [
  [undefined, 'none'],
  ['dunno', 'accept'],
  ['DUNNO', 'accept'],
  [' OK', 'accept'],
  ['', 'accept'],
  ['PREPEND X-Score: 1', 'accept'],
  ['550', 'accept'],
  ['reject 5.7.1 not today', 'refuse'],
  ['REJECT', 'refuse'],
  ['554 5.7.1 not today', 'refuse'],
  ['defer later', 'defer'],
  ['defer_if_permit later', 'defer'],
  ['450 4.7.1 later', 'defer'],
  ['hold too much', 'hold'],
  ['discard', 'other'],
  ['redirect abuse@example.org', 'other'],
  ['my_restriction_class', 'other'],
] as const) {
  t.test(`"${action}" is counted as ${kind}`, async t => t.equal(kindOfAction(action), kind))
}

t.test('real plugins’ verdicts are counted by plugin, stage and action', async t => {
  const meters = openMeters()
  const verdicts = new VerdictMeters(meters)
  const world = await makeWorld(
    chain(`<Plugin first>\nmodule = Condition\nkey = sender\nmatch = spam@example.org\naction = "reject no"\n</Plugin>
      <Plugin second>\nmodule = Condition\nkey = sender\nmatch = later@example.org\naction = "defer not now"\n</Plugin>`),
    { sinks: [verdicts.sink] },
  )
  t.teardown(() => world.close())
  for (const [protocol_state, sender] of [
    ['RCPT', 'a@example.org'],
    ['END-OF-MESSAGE', 'a@example.org'],
    ['END-OF-MESSAGE', 'a@example.org'],
    ['END-OF-MESSAGE', 'spam@example.org'],
    ['RCPT', 'spam@example.org'],
    ['DATA', 'later@example.org'],
    ['CONNECT', 'a@example.org'],
  ] as const) {
    await world.ask({ protocol_state, sender })
  }
  const counted = meters
    .read()
    .filter(({ name }) => name === 'verdicts')
    .map(({ labels: { plugin, stage, action }, value }) => `${plugin} ${stage} ${action} ${value}`)
  t.strictSame(counted.toSorted(), [
    'first END-OF-MESSAGE refuse 1',
    'first RCPT refuse 1',
    'none END-OF-MESSAGE accept 2',
    'none RCPT accept 1',
    'none other accept 1',
    'second DATA defer 1',
  ])
  t.match(
    meters.read().find(({ name }) => name === 'answer_seconds'),
    { kind: 'histogram' },
  )
})

t.test('the time of an answer ends when its counts are durable', async t => {
  const meters = openMeters()
  const verdicts = new VerdictMeters(meters)
  const record = verdict(systemClock, { action: 'dunno' })
  verdicts.settled(record.askedAt + 250)
  verdicts.sink(record)
  const read = meters.read().find(({ name }) => name === 'answer_seconds')
  t.match(read, { value: 1, distribution: { sum: 0.25 } })
})

t.test('names of plugins without end are not told apart without end', async t => {
  const meters = openMeters()
  const { sink } = new VerdictMeters(meters)
  for (let i = 0; i < 1000; i++) {
    sink(verdict(systemClock, { action: 'reject no', by: `plugin${i}` }))
  }
  const counted = meters.read().filter(({ name }) => name === 'verdicts')
  t.ok(counted.length <= 201, `${counted.length}`)
  t.equal(
    counted.reduce((sum, { value }) => sum + value, 0),
    1000,
  )
  t.ok(counted.some(({ labels }) => labels.plugin === 'other'))
})
