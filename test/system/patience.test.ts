/** The circuit breaker: state × event → state, and what it is told and tells. */

import t from 'tap'
import { Patience, type PatienceOptions, type Standing } from '../../daemon/system/patience.ts'
import { describeRefusal, type Refused } from '../../daemon/system/refused.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const REST = 2000
const OPTIONS: PatienceOptions = { forgiven: 1, shortestRestMilliseconds: 200 }

/** How a breaker gets into each state. */
const STATES = {
  trusted: () => undefined,
  'trusted, failed once': ({ patience }) => void patience.failed('timeout', 1000),
  resting: scene => {
    STATES['trusted, failed once'](scene)
    scene.patience.failed('timeout', 1000)
  },
  'resting, over': async scene => {
    STATES.resting(scene)
    await scene.clock.advance(REST)
  },
  probing: async scene => {
    await STATES['resting, over'](scene)
    scene.patience.admit()
  },
} as const satisfies Record<string, (scene: Scene) => void | Promise<void>>

type State = keyof typeof STATES

function scene() {
  const clock = virtualClock()
  return { clock, patience: new Patience(clock, OPTIONS) }
}
type Scene = ReturnType<typeof scene>

const EVENTS = {
  admit: patience => patience.admit() === undefined,
  answered: patience => patience.answered(),
  failed: patience => patience.failed('timeout', 1000),
  withdrawn: patience => {
    patience.withdrawn()
    return undefined
  },
} as const satisfies Record<string, (patience: Patience) => boolean | undefined>

/** State and event, the state afterwards, and what the call returned. */
const TABLE: readonly [State, keyof typeof EVENTS, State, boolean | undefined][] = [
  ['trusted', 'admit', 'trusted', true],
  ['trusted', 'answered', 'trusted', false],
  ['trusted', 'failed', 'trusted, failed once', false],
  ['trusted', 'withdrawn', 'trusted', undefined],
  ['trusted, failed once', 'admit', 'trusted, failed once', true],
  ['trusted, failed once', 'answered', 'trusted', false],
  ['trusted, failed once', 'failed', 'resting', true],
  ['trusted, failed once', 'withdrawn', 'trusted, failed once', undefined],
  ['resting', 'admit', 'resting', false],
  ['resting', 'answered', 'trusted', true],
  ['resting', 'failed', 'resting', false],
  ['resting', 'withdrawn', 'resting', undefined],
  ['resting, over', 'admit', 'probing', true],
  ['resting, over', 'answered', 'trusted', true],
  ['resting, over', 'failed', 'resting', false],
  ['resting, over', 'withdrawn', 'resting, over', undefined],
  ['probing', 'admit', 'probing', false],
  ['probing', 'answered', 'trusted', true],
  ['probing', 'failed', 'resting', false],
  ['probing', 'withdrawn', 'resting, over', undefined],
]

function stateOf(standing: Standing, now: number): State {
  switch (standing.kind) {
    case 'trusted':
      return standing.failures > 0 ? 'trusted, failed once' : 'trusted'
    case 'resting':
      return standing.until > now ? 'resting' : 'resting, over'
    case 'probing':
      return 'probing'
  }
}

t.test('state × event → state', async t => {
  t.equal(TABLE.length, Object.keys(STATES).length * Object.keys(EVENTS).length, 'all of them')
  for (const [before, event, after, returned] of TABLE) {
    const one = scene()
    await STATES[before](one)
    const { patience, clock } = one
    t.equal(EVENTS[event](patience), returned, `${before}, ${event}: what it returns`)
    t.equal(stateOf(patience.standing, clock.elapsed()), after, `${before}, ${event} → ${after}`)
  }
})

t.test('it rests twice as long as it was waited for, within limits', async t => {
  for (const [waited, least, rest] of [
    [0, 0, 200],
    [1500, 0, 3000],
    [10, 3000, 3000],
    [2000, 3000, 4000],
  ] as const) {
    const clock = virtualClock()
    const patience = new Patience(clock)
    patience.failed('refused', waited, least)
    t.match(patience.refusal(), { why: 'resting', milliseconds: rest })
    await clock.advance(rest - 1)
    t.ok(patience.refusal())
    await clock.advance(1)
    t.equal(patience.refusal(), undefined)
  }
})

t.test('a probe whose end nobody reports does not bar the way for ever', async t => {
  const one = scene()
  await STATES.probing(one)
  await one.clock.advance(59_999)
  t.match(one.patience.admit(), { why: 'probing' })
  await one.clock.advance(1)
  t.equal(one.patience.admit(), undefined, 'the next one probes')
  t.match(one.patience.admit(), { why: 'probing' })
})

t.test('each refusal is told in words', t => {
  const words: readonly [Refused, string][] = [
    [
      { why: 'resting', milliseconds: 1750, reason: 'no answer' },
      'no answer; not tried again for 1.8 s',
    ],
    [
      { why: 'probing', reason: 'no answer' },
      'no answer; another request is checking whether it has recovered',
    ],
    [{ why: 'full', pending: 1000 }, '1000 requests are already pending'],
    [{ why: 'late', milliseconds: 1500 }, 'busy; gave up after waiting 1.5 s in the queue'],
    [{ why: 'cancelled' }, 'the request ended before its turn came'],
    [{ why: 'failed', reason: 'ECONNREFUSED' }, 'ECONNREFUSED'],
    [{ why: 'closed' }, 'the connection has been closed'],
  ]
  for (const [refused, text] of words) t.equal(describeRefusal(refused), text)
  t.end()
})
