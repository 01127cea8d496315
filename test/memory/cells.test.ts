/** Cells: what is set is what is there, however large it is and however far away. */

import fc from 'fast-check'
import t from 'tap'
import { Cells } from '../../daemon/memory/cells.ts'
import { runs } from '../support/fuzz.ts'

t.test('each place has what was set there last', async t => {
  const place = fc.oneof(fc.nat(40), fc.nat(100_000), fc.constantFrom(8191, 8192, 0xffffffff))
  const value = fc.oneof(
    fc.nat(1000),
    fc.constantFrom(0xffffffff, 0xfffffffe, 2 ** 32, 2 ** 53, 0.5, -1),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(place, value), { maxLength: 200 }), changes => {
      const cells = new Cells()
      const model = new Map<number, number>()
      for (const [at, number] of changes) {
        cells.set(at, number)
        model.set(at, number)
        for (const [known, expected] of model) {
          if (cells.get(known) !== expected) throw new Error(`${known} is ${cells.get(known)}`)
        }
      }
      cells.clear()
      for (const known of model.keys()) if (cells.get(known) !== 0) throw new Error('not cleared')
    }),
    { numRuns: runs(100) },
  )
  t.pass()
})

t.test('what is far away takes no memory in between', async t => {
  const cells = new Cells()
  for (const place of [0, 50_000_000]) cells.set(place, 1)
  t.ok(cells.byteLength < 100_000, String(cells.byteLength))
  t.equal(cells.get(25_000_000), 0)
})
