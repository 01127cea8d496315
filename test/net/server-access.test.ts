/** The circuit breaker judges the server by the time the server had, not by the time in our own queue. */

import t from 'tap'
import { ServerAccess } from '../../daemon/net/server-access.ts'
import { NoAnswer } from '../../daemon/net/server-failure.ts'
import { within } from '../../daemon/system/within.ts'
import { virtualClock } from '../support/virtual-clock.ts'

t.test('a request that spent its time in the queue says nothing about the server', async t => {
  const clock = virtualClock()
  const access = new ServerAccess({
    title: 'server',
    clock,
    atOnce: 1,
    waiting: 10,
    milliseconds: 1000,
  })
  const told: string[] = []
  const ask = (name: string, takes: number): Promise<unknown> =>
    access
      .ask(left => within(clock, left, clock.sleep(takes), () => new NoAnswer(1000)))
      .then(
        () => told.push(`${name} answered`),
        (error: Error) => told.push(`${name}: ${error.message}`),
      )
  const first = ask('a', 900)
  const second = ask('b', 900)
  await clock.advance(1000)
  await Promise.all([first, second])
  const third = ask('c', 10)
  await clock.advance(10)
  await third
  t.match(told, ['a answered', /^b: server: no answer/, 'c answered'])
  const silent = ask('d', 5000)
  await clock.advance(1000)
  await silent
  await ask('e', 10)
  t.match(told.slice(3), [/^d: server: no answer/, /^e: server: /], 'this one had its time')
})
