/**
 * `mtpolicyd --cron LIST`: what plugins do from time to time, apart from requests. The package's
 * timer runs it with `hourly`. A daemon need not run, and a running one is not disturbed.
 */

import { assemble } from './assemble.ts'
import { type Source, silentLog } from './configuration.ts'
import { ledgerSlot } from './ledger-slot.ts'
import { countryPool } from './lookup/country-pool.ts'
import { openResolver } from './lookup/resolver.ts'
import type { Paths } from './paths.ts'
import { systemClock as clock } from './policy/clock.ts'
import { describeError } from './policy/errors.ts'
import { formatProblem } from './policy/problem.ts'

/**
 * Every task of these names, one after the other. Resolves to false if the configuration cannot be
 * used or a task failed; the others have run all the same. `say` gets a line per thing worth it.
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
