/** The bounded queue: never more than its slots, nobody beyond the deadline, nobody lost. */

import fc from 'fast-check'
import t from 'tap'
import { Gate } from '../../daemon/system/gate.ts'
import type { Refused } from '../../daemon/system/refused.ts'
import { runs } from '../support/fuzz.ts'
import { virtualClock } from '../support/virtual-clock.ts'

type Step =
  | { readonly do: 'enter'; readonly wait: number; readonly abortAfter: number | undefined }
  | { readonly do: 'leave' }
  | { readonly do: 'resize'; readonly slots: number }
  | { readonly do: 'pass'; readonly milliseconds: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('enter' as const),
      wait: fc.nat(300),
      abortAfter: fc.option(fc.nat(300), { nil: undefined }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'leave' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resize' as const), slots: fc.nat(4) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass' as const), milliseconds: fc.nat(120) }),
  },
)

interface Told {
  readonly came: number
  readonly wait: number
  readonly abortAt: number
  readonly outcomes: { readonly at: number; readonly why: Refused['why'] | 'admitted' }[]
}

const WAITING = 2

t.test('random arrivals: bounded, in order, each told once and in time', async t => {
  const seen = new Set<string>()
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.nat(4), async (steps, first) => {
      const clock = virtualClock()
      const gate = new Gate({ clock, slots: first, waiting: WAITING })
      const entries: Told[] = []
      const admitted: number[] = []
      let slots = first
      let inside = 0

      function enter(wait: number, abortAfter: number | undefined): void {
        const abort = new AbortController()
        const came = clock.elapsed()
        const told: Told = { came, wait, abortAt: came + (abortAfter ?? Infinity), outcomes: [] }
        const number = entries.push(told) - 1
        gate.enter({
          milliseconds: wait,
          signal: abort.signal,
          admitted() {
            told.outcomes.push({ at: clock.elapsed(), why: 'admitted' })
            admitted.push(number)
            if (++inside > slots) throw new Error(`${inside} of ${slots} slots`)
          },
          refused({ why }) {
            told.outcomes.push({ at: clock.elapsed(), why })
          },
        })
        if (abortAfter !== undefined) clock.after(abortAfter, () => abort.abort())
      }

      function leave(): void {
        if (inside === 0) return
        inside--
        gate.leave()
      }

      for (const one of steps) {
        if (one.do === 'enter') enter(one.wait, one.abortAfter)
        else if (one.do === 'leave') leave()
        else if (one.do === 'pass') await clock.advance(one.milliseconds)
        else {
          slots = one.slots
          gate.resize(slots)
        }
        if (gate.inUse !== inside) throw new Error('it miscounts')
        if (gate.waiting > WAITING) throw new Error('too many wait')
        if (gate.waiting > 0 && inside < slots) throw new Error('a slot is free, and one waits')
      }
      await clock.advance(1000)
      if (gate.waiting > 0) throw new Error('somebody waits for ever')
      for (const { came, wait, abortAt, outcomes } of entries) {
        const [outcome, another] = outcomes
        if (!outcome || another) throw new Error(`told ${outcomes.length} times`)
        seen.add(outcome.why)
        if (outcome.at > Math.min(came + wait, abortAt)) throw new Error('told too late')
        if (outcome.why === 'late' && outcome.at !== came + wait) throw new Error('not yet late')
      }
      if (admitted.some((one, i) => one < (admitted[i - 1] ?? -1))) throw new Error('out of order')
      if (clock.pending > 0) throw new Error('a timer was left behind')
    }),
    { numRuns: runs(300) },
  )
  t.strictSame([...seen].toSorted(), ['admitted', 'cancelled', 'full', 'late'])
})

t.test('by a promise, or at once without one', async t => {
  const clock = virtualClock()
  const gate = new Gate({ clock, slots: 1, waiting: 2 })
  t.equal(gate.pass(100), undefined, 'free')
  const waiting = [gate.pass(100), gate.pass(50)]
  t.ok(waiting[0] instanceof Promise)
  t.match(gate.pass(100), { why: 'full', pending: 3 })
  t.match(gate.pass(100, AbortSignal.abort()), { why: 'cancelled' })
  await clock.advance(50)
  t.strictSame(await waiting[1], { why: 'late', milliseconds: 50 })
  gate.leave()
  t.equal(await waiting[0], undefined)
  const turnedAway = [gate.pass(100), gate.pass(100)]
  gate.refuseWaiting({ why: 'failed', reason: 'dead' })
  for (const one of turnedAway) t.match(await one, { why: 'failed', reason: 'dead' })
  const last = gate.pass(100)
  gate.close()
  t.match(await last, { why: 'closed' })
  t.match(gate.pass(100), { why: 'closed' })
  t.equal(clock.pending, 0)
})
