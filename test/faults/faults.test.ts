/** The short form of `make faults`: nothing stays unanswered, nothing is lost, what happened is said. */

import t from 'tap'
import { faults } from './all.ts'
import { runFault } from './run.ts'

t.setTimeout(300_000)

const CLIENTS = 8

for (const fault of faults) {
  const missing = fault.missing?.()
  if (missing !== undefined && process.env.CI) throw new Error(missing)
  t.test(fault.name, { skip: missing ?? false, timeout: 60_000 }, async t => {
    const outcome = await runFault(fault, { isShort: true, clients: CLIENTS })
    t.comment(`the slowest answer came ${outcome.addedDelay.toFixed(0)} ms later than usual`)
    t.same(outcome.complaints, [])
    // The first answers are waited for: of the fault itself nothing would be seen.
    t.ok(outcome.asked > CLIENTS, `${outcome.asked} requests`)
  })
}
