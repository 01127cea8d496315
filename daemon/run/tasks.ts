/**
 * `mtpolicyd --cron LIST`: what plugins do from time to time, independent of requests. The package's timer
 * runs it with `hourly`. It needs no running daemon and does not disturb one.
 */

import { assemble } from '../assembly/assemble.ts'
import { type Source, silentLog } from '../assembly/configuration.ts'
import type { Paths } from '../assembly/paths.ts'
import { ledgerSlot } from '../ledger/slot.ts'
import { countryPool } from '../lookup/country-pool.ts'
import { openResolver } from '../lookup/resolver.ts'
import { formatProblem } from '../policy/problem.ts'
import { systemClock as clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'

/**
 * Runs all tasks of these names, one after the other. Resolves to false if the configuration cannot be
 * used or a task failed; the others have run nevertheless. `say` gets a line for each failure.
 */
export async function runTasks(
  paths: Paths,
  { file, text }: Source,
  names: readonly string[],
  say: (line: string) => void,
): Promise<boolean> {
  const countries = countryPool(() => undefined)
  const dns = openResolver({ env: process.env, clock, log: say })
  const { ledger } = ledgerSlot()
  const log = () => silentLog
  const assembly = await assemble({ file, text, paths, clock, ledger, dns, countries, log })
  const mistakes = assembly.problems.filter(({ severity }) => severity !== 'warning')
  for (const problem of mistakes) say(formatProblem(problem))
  let isDone = assembly.isUsable
  if (assembly.isUsable) {
    const { starts, tasks } = assembly.loaded
    const due = tasks.filter(({ task }) => names.includes(task))
    // A table may have to be made before it is swept.
    for (const { path, run } of due.length === 0 ? [] : [...starts, ...due]) {
      try {
        await run()
      } catch (error) {
        say(`plugin ${path}: ${describeError(error)}`)
        isDone = false
      }
    }
  }
  assembly.close()
  dns.close()
  return isDone
}
