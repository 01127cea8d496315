/**
 * make exact: 100,000 recipients through a real Postfix, twice: undisturbed, and with the daemon
 * killed every three seconds. Root, because Postfix's master must start as root.
 *
 *   node test/exact/main.ts [RECIPIENTS]
 */

import { postfixRigMissing } from '../support/postfix-rig.ts'
import { type ExactResult, runExact } from './exact.ts'

const missing = postfixRigMissing()
if (missing !== false) {
  process.stderr.write(`exact: ${missing}\n`)
  process.exit(1)
}
const recipients = Number(process.argv[2] ?? 100_000)
const CLIENTS = 32
const SEED = 20261120

function show(what: string, result: ExactResult): boolean {
  const endings = Object.entries(result.endings).map(([name, count]) => `${name} ${count}`)
  process.stdout.write(
    `${what}: ${result.messages} messages in ${result.seconds.toFixed(0)} s (${endings.join(', ')})\n` +
      `  recipients queued ${result.queued}; daemon killed ${result.kills} times; messages refused by the milter ${result.filtered}\n`,
  )
  for (const { counter, counted, lost, surplus, limited } of result.counters) {
    process.stdout.write(
      `  ${counter}: counted ${counted}, queued without being counted ${lost}, counted without being queued ${surplus}\n` +
        `    ${limited.subject} with a limit of ${limited.limit}: ${limited.queued} queued, ${limited.refused} messages refused\n`,
    )
  }
  return result.counters.every(
    ({ lost, surplus, limited }) => lost === 0 && surplus === 0 && limited.queued <= limited.limit,
  )
}

const options = { recipients, clients: CLIENTS, seed: SEED }
const undisturbed = await runExact({ ...options, killEveryMilliseconds: undefined })
const isExact = show('undisturbed', undisturbed)
const killed = await runExact({ ...options, killEveryMilliseconds: 3000 })
process.exitCode = show('with kill -9', killed) && isExact ? 0 : 1
