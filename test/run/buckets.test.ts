/** Histograms whose buckets grow by powers of two. */

import { array, assert, constantFrom, double, oneof, property } from 'fast-check'
import t from 'tap'
import { Buckets } from '../../daemon/run/buckets.ts'
import { openMeters } from '../../daemon/run/meters.ts'
import { runs } from '../support/fuzz.ts'

const LATENCY = {
  name: 'answer_seconds',
  unit: 'seconds',
  help: 'How long answers take.',
  least: 0.25,
  buckets: 4,
}

t.test('a value is counted in every bucket that it fits into, its bound included', async t => {
  const buckets = new Buckets(LATENCY)
  for (const value of [0, 0.25, 0.26, 0.5, 2, 2.1, 1e9, 1e300]) buckets.note(value)
  t.equal(buckets.value, 8)
  t.strictSame(buckets.distribution.buckets, [
    [0.25, 2],
    [0.5, 4],
    [1, 4],
    [2, 5],
  ])
})

t.test('whatever is noted, bounds hold and nothing is lost', async t => {
  const bounds = Array.from({ length: 20 }, (_, i) => 2 ** (i - 14))
  const value = oneof(double({ min: 0, max: 40, noNaN: true }), constantFrom(...bounds))
  const holds = property(array(value), values => {
    const buckets = new Buckets({ least: 2 ** -14, buckets: 20 })
    for (const one of values) buckets.note(one)
    const { sum, buckets: found } = buckets.distribution
    t.equal(buckets.value, values.length)
    t.ok(Math.abs(sum - values.reduce((all, one) => all + one, 0)) < 1e-6)
    for (const [i, bound] of bounds.entries()) {
      const fitting = values.filter(one => one <= bound).length
      if (found[i]?.[0] !== bound || found[i]?.[1] !== fitting) {
        throw new Error(`${found[i]} instead of ${fitting} at ${bound}`)
      }
    }
  })
  assert(holds, { numRuns: runs(200) })
})

t.test('what is not a duration is left out', async t => {
  const buckets = new Buckets(LATENCY)
  for (const value of [Number.NaN, -1, Number.NEGATIVE_INFINITY]) buckets.note(value)
  t.equal(buckets.value, 0)
  t.equal(buckets.distribution.sum, 0)
})

t.test('a histogram that is asked for again goes on', async t => {
  const meters = openMeters()
  meters.histogram(LATENCY).note(1)
  meters.histogram(LATENCY).note(1)
  t.match(meters.read(), [{ kind: 'histogram', value: 2, distribution: { sum: 2 } }])
  t.throws(() => meters.counter({ ...LATENCY, help: 'Another.' }), /declared in two ways/)
})
