/** A million accounts: what is asked is right, and memory stays bounded. How long it takes is measured by bench/. */

import t from 'tap'
import { systemClock as clock } from '../../daemon/system/clock.ts'
import { runs } from '../support/fuzz.ts'
import { openHistory, verdict } from './some-mail.ts'

/** In `make fuzz` a million. */
const ACCOUNTS = Math.min(1_000_000, runs(50_000))

t.test('of very many accounts the right ones are found', async t => {
  const history = openHistory(t)
  const most = (number: number): number => (number % 10_007 === 5 ? 100 + (number % 7) : 1)
  for (let number = 0; number < ACCOUNTS; number++) {
    const user = `user${number}@example.org`
    history.note(verdict(clock, { user, recipients: most(number), client: '192.0.2.1' }))
    if (number % 5000 === 0) await history.account('nobody')
  }
  await history.hours(0, 0).next()
  const now = clock.now()
  const top = await history.top({ since: now - 86_400_000, until: now, by: 'recipients', most: 3 })
  const largest = Array.from({ length: ACCOUNTS }, (_, number) => number)
    .filter(number => most(number) > 1)
    .toSorted((one, other) => most(other) - most(one))
  t.strictSame(
    top.map(({ account, recipients }) => [account, recipients]),
    largest.slice(0, 3).map(number => [`user${number}@example.org`, most(number)]),
  )
  for (const number of [0, 255, 256, 4095, 4096, ACCOUNTS - 1]) {
    const known = await history.account(`user${number}@example.org`)
    t.strictSame(
      known?.messages.map(one => one.recipients),
      [most(number)],
      `user${number}`,
    )
  }
  let sum = 0
  for await (const some of history.hours(now - 7_200_000, now)) {
    for (const { messages } of some) sum += messages
  }
  t.equal(sum, ACCOUNTS)
  t.strictSame(history.status().gaps, [])
})
