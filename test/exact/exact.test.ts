/** The short form of `make exact`. */

import t from 'tap'
import { postfixRigMissing } from '../support/postfix-rig.ts'
import { runExact } from './exact.ts'

const skip = postfixRigMissing()

t.test(
  'what is counted is what Postfix has queued, also when the daemon is killed',
  { skip },
  async t => {
    const result = await runExact({
      recipients: 3000,
      clients: 16,
      killEveryMilliseconds: 1500,
      seed: 20261120,
    })
    t.comment(JSON.stringify(result))
    t.ok(result.kills > 0, `killed ${result.kills} times`)
    t.equal(result.lost, 0, 'nothing is queued without being counted')
    // A message in flight at a kill may be counted twice at most, and not be queued.
    t.ok(result.surplus <= result.kills * 16 * 10, `${result.surplus} counted without being queued`)
    t.equal(result.limited.queued <= result.limited.limit, true, 'nobody passes the limit')
    t.ok(result.limited.refused > 0)
  },
)

t.test('without a kill the difference is 0', { skip }, async t => {
  const result = await runExact({
    recipients: 2000,
    clients: 32,
    killEveryMilliseconds: undefined,
    seed: 7,
  })
  t.comment(JSON.stringify(result))
  t.equal(result.lost, 0)
  t.equal(result.surplus, 0)
  t.ok(result.queued > 1000)
})
