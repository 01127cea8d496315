/** Every recorded case of the original, answered as recorded, or as `ours` says and why. */

import t from 'tap'
import { readCases } from './case.ts'
import { missingFor, replay } from './replay.ts'

t.jobs = 2
t.setTimeout(120_000)

const cases = readCases()

t.test('a case that is dubious says what we do and why', t => {
  for (const { name, dubious = false, ours } of cases) t.equal(ours !== undefined, dubious, name)
  t.end()
})

for (const recorded of cases) {
  const skip = missingFor(recorded) ?? false
  t.test(`${recorded.group}: ${recorded.name}`, { skip, buffered: true }, async t => {
    t.strictSame(await replay(recorded), [])
  })
}
