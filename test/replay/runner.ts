/**
 * make replay: all recorded cases, or those whose name or group matches the argument, against
 * dist/mtpolicyd. Prints what differs and a closing count; status 1 if anything does.
 *
 *   node test/replay/runner.ts [REGEX]
 */

import { readCases } from './case.ts'
import { missingFor, replay } from './replay.ts'

const AT_ONCE = 3

const wanted = new RegExp(process.argv[2] ?? '')
const cases = readCases().filter(({ name, group }) => wanted.test(name) || wanted.test(group))
const queue = cases.values()
let failed = 0
let skipped = 0

async function work(): Promise<void> {
  for (const recorded of queue) {
    const missing = missingFor(recorded)
    if (missing !== undefined) {
      skipped++
      process.stdout.write(`SKIPPED ${recorded.name}: ${missing}\n`)
      continue
    }
    const failures = await replay(recorded).catch(error => [String(error)])
    if (failures.length === 0) continue
    failed++
    process.stdout.write(
      `FAIL ${recorded.name}\n${failures.map(line => `     ${line}\n`).join('')}`,
    )
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work))
process.stdout.write(`${cases.length} cases, ${failed} failed, ${skipped} skipped\n`)
const skippedOnCi = process.env.CI !== undefined && skipped > 0
process.exitCode = failed > 0 || skippedOnCi || cases.length === 0 ? 1 : 0
