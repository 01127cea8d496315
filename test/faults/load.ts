/**
 * Postfix's smtpd processes as the daemon sees them, in a process of their own:
 *
 *   node load.ts PORT CLIENTS PAUSE_MILLISECONDS
 *
 * Each keeps its connection and asks about one message after the other, with a pause between them.
 * Where the second try fails as well, Postfix would do what its default_action says: `unanswered`.
 *
 * Says `flows` when each has had its first answer. On standard input a line `phase NAME` begins a
 * new phase, `end` ends all. Then one line of JSON: what was seen in each phase, by the phase in
 * which a request began.
 */

import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { smtpdClient } from '../support/smtpd-client.ts'

const USERS = 500

export interface Phase {
  readonly name: string
  asked: number
  /** Let through; each of them must have been counted. */
  passed: number
  /** Answered with anything else. */
  others: number
  unanswered: number
  /** Answered by the second try. */
  retried: number
  /** Milliseconds, the second try and the second before it included. */
  worst: number
  median: number
}

const [port = '12345', clients = '16', pause = '5'] = process.argv.slice(2)
const phases: Phase[] = []
let times: number[] = []
let isOver = false
let unheard = Number(clients)

function begin(name: string): void {
  finish()
  times = []
  phases.push({
    name,
    asked: 0,
    passed: 0,
    others: 0,
    unanswered: 0,
    retried: 0,
    worst: 0,
    median: 0,
  })
}

function finish(): void {
  const phase = phases.at(-1)
  if (phase) phase.median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0
}

async function client(number: number): Promise<void> {
  const smtpd = smtpdClient(Number(port))
  for (let turn = 0; !isOver; turn++) {
    const phase = phases.at(-1)
    const mine = times
    if (!phase) return
    const text = `${[
      'request=smtpd_access_policy',
      'protocol_state=END-OF-MESSAGE',
      `instance=${process.pid.toString(16)}.${number.toString(16)}.${turn}.0`,
      'recipient_count=1',
      'size=1000',
      `client_address=193.99.144.${1 + ((number * 7 + turn) % 250)}`,
      `sasl_username=load${(number * 31 + turn) % USERS}`,
    ].join('\n')}\n\n`
    phase.asked++
    const { answer, tries, milliseconds } = await smtpd.ask(text)
    if (answer === undefined) phase.unanswered++
    else if (answer === 'action=dunno\n\n') phase.passed++
    else phase.others++
    if (answer !== undefined && tries === 2) phase.retried++
    mine.push(milliseconds)
    phase.worst = Math.max(phase.worst, milliseconds)
    if (turn === 0 && --unheard === 0) process.stdout.write('flows\n')
    await sleep(Number(pause) * (0.5 + Math.random()))
  }
  smtpd.hangUp()
}

begin('before')
const all = Promise.all(Array.from({ length: Number(clients) }, (_, number) => client(number)))
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'end') break
  if (line.startsWith('phase ')) begin(line.slice(6))
}
isOver = true
await all
finish()
process.stdout.write(`${JSON.stringify(phases)}\n`)
process.exit(0)
