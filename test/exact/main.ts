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
  const { limited } = result
  const endings = Object.entries(result.endings).map(([name, count]) => `${name} ${count}`)
  process.stdout.write(
    `${what}: ${result.messages} messages in ${result.seconds.toFixed(0)} s (${endings.join(', ')})\n` +
      `  recipients queued ${result.queued}, counted ${result.counted}; daemon killed ${result.kills} times\n` +
      `  queued without being counted ${result.lost}, counted without being queued ${result.surplus}\n` +
      `  the account with a limit of ${limited.limit}: ${limited.queued} queued, ${limited.refused} messages refused\n`,
  )
  return result.lost === 0 && limited.queued <= limited.limit
}

const options = { recipients, clients: CLIENTS, seed: SEED }
const quiet = await runExact({ ...options, killEveryMilliseconds: undefined })
const isQuietExact = show('undisturbed', quiet) && quiet.surplus === 0
const killed = await runExact({ ...options, killEveryMilliseconds: 3000 })
const isKilledExact = show('with kill -9', killed)
process.exitCode = isQuietExact && isKilledExact ? 0 : 1
