/**
 * What 1,000 Postfix processes notice while a command restarts the daemon a few times:
 *
 *   node restart-load.ts PORT TIMES COMMAND [ARGUMENT]...
 *
 * Half of them keep their connection, as smtpd does, half connect anew for each request. A refused
 * connection, or no answer in the second try, is a failure. Prints one line of JSON; exit 1 if
 * anything failed.
 */

import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { smtpdClient } from './smtpd-client.ts'

const CLIENTS = 1000
const PAUSE_MILLISECONDS = 700
const BETWEEN_MILLISECONDS = 2000

const [port = '12345', times = '3', command = 'true', ...argv] = process.argv.slice(2)
const tally = { requests: 0, failed: 0, refused: 0, retried: 0, worst: 0, worstRetried: 0 }
const reasons = new Map<string, number>()
let isOver = false

function noteFailure(reason: string): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  if (reason.includes('ECONNREFUSED')) tally.refused++
}

async function client(number: number): Promise<void> {
  const keeps = number % 2 === 0
  const smtpd = smtpdClient(Number(port), noteFailure, answer => answer.startsWith('action='))
  for (let turn = 0; !isOver; turn++) {
    const text = `${[
      'request=smtpd_access_policy',
      'protocol_state=END-OF-MESSAGE',
      `instance=${number.toString(16)}.${Date.now().toString(16)}.${turn}.0`,
      'recipient_count=1',
      'client_address=127.0.0.1',
      `sasl_username=load${number}`,
    ].join('\n')}\n\n`
    const { answer, tries, milliseconds } = await smtpd.ask(text)
    tally.requests++
    if (answer === undefined) tally.failed++
    if (tries === 1) {
      tally.worst = Math.max(tally.worst, milliseconds)
    } else {
      tally.retried++
      tally.worstRetried = Math.max(tally.worstRetried, milliseconds)
    }
    if (!keeps) smtpd.hangUp()
    await sleep(PAUSE_MILLISECONDS * (0.5 + Math.random()))
  }
  smtpd.hangUp()
}

const clients = Array.from({ length: CLIENTS }, async (_, number) => {
  await sleep(number)
  return client(number)
})
await sleep(BETWEEN_MILLISECONDS)
const commandSeconds: number[] = []
for (let time = 0; time < Number(times); time++) {
  const began = performance.now()
  await new Promise<void>((resolve, reject) =>
    execFile(command, argv, error => (error ? reject(error) : resolve())),
  )
  commandSeconds.push(Math.round(performance.now() - began) / 1000)
  await sleep(BETWEEN_MILLISECONDS)
}
isOver = true
await Promise.all(clients)
const { worst, worstRetried, ...counts } = tally
const result = {
  clients: CLIENTS,
  ...counts,
  worstMilliseconds: Math.round(worst),
  worstWithPostfixRetryMilliseconds: Math.round(worstRetried),
  commandSeconds,
  reasons: Object.fromEntries(reasons),
}
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit(tally.failed + tally.refused > 0 ? 1 : 0)
