/** Consoles are shown some of the verdicts, however many there are. */

import t from 'tap'
import type { SampledVerdict } from '../../daemon/control/control.ts'
import { SampledVerdicts } from '../../daemon/run/sampled-verdicts.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { verdict } from '../history/some-mail.ts'

const NOON = Date.UTC(2026, 10, 20, 12)

function place() {
  const time = { now: NOON }
  const clock = { ...systemClock, now: () => time.now }
  const sampled = new SampledVerdicts(clock)
  return { time, sampled, note: (user: string) => sampled.note(verdict(clock, { user })) }
}

/** What has come by now. */
async function taken(from: AsyncIterator<SampledVerdict>, most: number): Promise<SampledVerdict[]> {
  const all: SampledVerdict[] = []
  while (all.length < most) {
    const { value, done } = await from.next()
    if (done) break
    all.push(value)
  }
  return all
}

t.test('a few verdicts are all shown', async t => {
  const { sampled, note } = place()
  const reader = sampled.subscribe(new AbortController().signal)[Symbol.asyncIterator]()
  for (const user of ['alice', 'bob']) note(user)
  t.match(await taken(reader, 2), [
    { verdict: { user: 'alice' }, leftOut: 0 },
    { verdict: { user: 'bob' }, leftOut: 0 },
  ])
})

t.test('of many, twenty a second are shown, and how many were not', async t => {
  const { time, sampled, note } = place()
  const away = new AbortController()
  const readers = [1, 2].map(() => sampled.subscribe(away.signal)[Symbol.asyncIterator]())
  for (let i = 0; i < 5000; i++) note(`user${i}`)
  time.now += 1000
  note('later')
  for (const reader of readers) {
    const shown = await taken(reader, 21)
    t.match(shown[19], { verdict: { user: 'user19' }, leftOut: 0 })
    t.match(shown[20], { verdict: { user: 'later' }, leftOut: 4980 })
  }
  away.abort()
  t.match(await readers[0]?.next(), { done: true })
})

t.test('without a reader nothing is counted, and nothing waits for one', async t => {
  const { sampled, note } = place()
  for (let i = 0; i < 100; i++) note('alice')
  const reader = sampled.subscribe(new AbortController().signal)[Symbol.asyncIterator]()
  note('bob')
  t.match(await taken(reader, 1), [{ verdict: { user: 'bob' }, leftOut: 0 }])
})
