/**
 * make faults: every fault with what it cost.
 *
 *   node test/faults/main.ts [REGEX]
 */

import { faults } from './all.ts'
import { runFault } from './run.ts'

const wanted = new RegExp(process.argv[2] ?? '')
const row = (cells: readonly string[]): void => {
  const [name = '', ...rest] = cells
  process.stdout.write(`${name.padEnd(38)}${rest.map(cell => cell.padStart(9)).join('')}\n`)
}

row(['fault', 'asked', 'silent', 'retried', 'lost', 'added ms', 'at most'])
let isWell = true
for (const fault of faults.filter(({ name }) => wanted.test(name))) {
  const missing = fault.missing?.()
  if (missing !== undefined) {
    process.stdout.write(`${fault.name}: SKIPPED, ${missing}\n`)
    continue
  }
  const { asked, unanswered, retried, lost, addedDelay, complaints } = await runFault(fault, {
    isShort: false,
  })
  const isLate = addedDelay > fault.mostDelay
  const numbers = [asked, unanswered, retried, lost].map(String)
  row([fault.name, ...numbers, addedDelay.toFixed(0), String(fault.mostDelay)])
  for (const complaint of complaints) process.stdout.write(`  BUT ${complaint}\n`)
  if (isLate) process.stdout.write('  BUT too late\n')
  if (isLate || complaints.length > 0) isWell = false
}
process.exit(isWell ? 0 : 1)
