/** The engine under a clock that the test turns: a day of mail takes a moment. */

import t from 'tap'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

const MINUTE = 60_000
/** One message a minute of each account: 1,440 a day. */
const accounts = ['alice', 'bob']

t.test('a whole day: each account sends up to its limit, and again after midnight', async t => {
  // 00:00 in Berlin.
  const clock = virtualClock(Date.UTC(2026, 10, 20, 23))
  const text = chain(plugin('SendingLimit', 'threshold = 1000'), 'timezone = "Europe/Berlin"')
  const world = await makeWorld(text, { clock })
  const accepted = new Map<string, number>()
  let sent = 0
  const sendUntil = async (end: number): Promise<void> => {
    for (; clock.now() < end; await clock.advance(MINUTE)) {
      for (const sasl_username of accounts) {
        const day = new Date(clock.now() + 60 * MINUTE).toISOString().slice(0, 10)
        const instance = `${sasl_username}.${sent++}`
        const protocol_state = 'END-OF-MESSAGE'
        const action = await world.ask({
          sasl_username,
          instance,
          protocol_state,
          recipient_count: '1',
        })
        if (action === 'dunno') {
          const key = `${sasl_username} ${day}`
          accepted.set(key, (accepted.get(key) ?? 0) + 1)
        }
      }
    }
  }
  await sendUntil(Date.UTC(2026, 10, 22, 0))
  t.equal(sent, 2 * 1500)
  t.strictSame(
    [...accepted],
    [
      ['alice 2026-11-21', 1000],
      ['bob 2026-11-21', 1000],
      ['alice 2026-11-22', 60],
      ['bob 2026-11-22', 60],
    ],
  )
})

t.test('a request has the time the file gives it, to the millisecond', async t => {
  const clock = virtualClock()
  const slow = definePlugin({
    name: 'Slow',
    summary: 'Takes a minute.',
    settings: {},
    create:
      (_, { clock }) =>
      () =>
        clock.sleep(MINUTE).then(() => 'reject too late'),
  })
  const text = chain(plugin('Slow'), 'request_timeout = 3\non_failure = defer')
  const world = await makeWorld(text, { clock, plugins: [slow] })
  let answer: string | undefined
  const asked = world.ask({ instance: '1' }).then(action => (answer = action))
  await clock.advance(2999)
  t.equal(answer, undefined)
  await clock.advance(1)
  await asked
  t.equal(answer, 'defer the mail could not be checked, try again later')
  t.match(world.verdicts, [{ verdict: answer, why: 'late', ms: 3000 }])
  await clock.advance(MINUTE)
  t.equal(world.verdicts.length, 1, 'and its own end is heard by nobody')
  t.equal(clock.pending, 0)
})
