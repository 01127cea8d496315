/** The short form of `make exact`. */

import t, { type Test } from 'tap'
import { postfixRigMissing } from '../support/postfix-rig.ts'
import { type ExactResult, runExact } from './exact.ts'
import { counters } from './policy.ts'

const skip = postfixRigMissing()

/** Nothing is queued without being counted, nothing counted without being queued: by all counters. */
function isExact(t: Test, { counters: all, filtered, ...result }: ExactResult): void {
  t.comment(JSON.stringify({ ...result, filtered, all }))
  t.ok(filtered > 0, `the milter has refused ${filtered} messages`)
  t.strictSame(
    all.map(({ counter, counted, lost, surplus }) => ({ counter, counted, lost, surplus })),
    counters.map(counter => ({ counter, counted: result.queued, lost: 0, surplus: 0 })),
  )
  for (const { counter, limited } of all) {
    t.ok(limited.queued <= limited.limit, `${counter}: nobody passes the limit`)
    t.ok(limited.refused > 0, `${counter}: ${limited.refused} messages were refused`)
  }
}

t.test(
  'what is counted in each window is what Postfix has queued, also when the daemon is killed',
  { skip },
  async t => {
    const result = await runExact({
      recipients: 3000,
      clients: 16,
      killEveryMilliseconds: 1500,
      seed: 20261120,
    })
    t.ok(result.kills > 0, `killed ${result.kills} times`)
    isExact(t, result)
  },
)

t.test('and without a kill', { skip }, async t => {
  const result = await runExact({
    recipients: 2000,
    clients: 32,
    killEveryMilliseconds: undefined,
    seed: 7,
  })
  isExact(t, result)
  t.ok(result.queued > 1000)
})
