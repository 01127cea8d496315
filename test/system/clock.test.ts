import { setTimeout as realSleep } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../daemon/system/clock.ts'
import { RateLimiter, rateLimited } from '../../daemon/system/rate-limited.ts'
import { virtualClock } from '../support/virtual-clock.ts'

t.test('a duration beyond what a timer can count does not fire at once', async t => {
  const fired: number[] = []
  for (const milliseconds of [2 ** 31 - 1, 2 ** 31, 9_999_999_000, Number.POSITIVE_INFINITY]) {
    t.teardown(systemClock.after(milliseconds, () => fired.push(milliseconds)))
  }
  await realSleep(30)
  t.strictSame(fired, [])
})

t.test('a cancelled timer does not run, and cancelling twice is harmless', async t => {
  const run: string[] = []
  const cancel = systemClock.after(5, () => run.push('cancelled'))
  systemClock.after(5, () => run.push('kept'))
  cancel()
  cancel()
  await systemClock.sleep(30)
  t.strictSame(run, ['kept'])
})

for (const [name, clock] of [
  ['the system clock', systemClock],
  ['the virtual clock', virtualClock()],
] as const) {
  t.test(`${name} ends a sleep when its signal is aborted`, async t => {
    const controller = new AbortController()
    const sleeping = clock.sleep(600_000, controller.signal)
    controller.abort(new Error('no longer needed'))
    await t.rejects(sleeping, { message: 'no longer needed' })
    await t.rejects(clock.sleep(1, controller.signal), { message: 'no longer needed' })
  })
}

t.test('the virtual clock runs timers in order, each at its own time', async t => {
  const clock = virtualClock(0)
  const seen: string[] = []
  const note = (what: string): void => void seen.push(`${what} at ${clock.elapsed()}`)
  clock.after(20, () => note('second'))
  clock.after(10, () => {
    note('first')
    clock.after(5, () => note('set by the first'))
  })
  clock.after(20, () => note('third'))
  void clock.sleep(30).then(() => note('sleeper'))
  clock.after(31, () => note('too late'))
  await clock.advance(30)
  t.strictSame(seen, [
    'first at 10',
    'set by the first at 15',
    'second at 20',
    'third at 20',
    'sleeper at 30',
  ])
  t.equal(clock.now(), 30)
  t.equal(clock.pending, 1)
})

t.test('a message that repeats is passed on once a minute', async t => {
  const clock = virtualClock()
  const said: string[] = []
  const say = rateLimited(clock, message => said.push(message))
  for (let second = 0; second <= 61; second++) {
    say(`after ${second} s`)
    await clock.advance(1000)
  }
  t.strictSame(said, ['after 0 s', 'after 60 s'])
})

t.test('each kind of message has its own minute, and what was left out is counted', async t => {
  const clock = virtualClock()
  const limiter = new RateLimiter(clock)
  t.equal(limiter.admit('a'), 0)
  t.equal(limiter.admit('b'), 0)
  t.equal(limiter.admit('a'), undefined)
  t.equal(limiter.admit('a'), undefined)
  await clock.advance(60_000)
  t.equal(limiter.admit('a'), 2)
  t.equal(limiter.admit('b'), 0)
})
