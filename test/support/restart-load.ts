/**
 * What 1,000 Postfix processes notice while a command restarts the daemon a few times:
 *
 *   node restart-load.ts PORT TIMES COMMAND [ARGUMENT]...
 *
 * Half of them keep their connection, as smtpd does, half connect anew for each request. Whoever
 * loses a connection tries once more after a second, as attr_clnt(3) does; a refused connection, or
 * no answer in the second try, is a failure. Prints one line of JSON; exit 1 if anything failed.
 */

import { execFile } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const CLIENTS = 1000
const PAUSE_MILLISECONDS = 700
const BETWEEN_MILLISECONDS = 2000
/** Postfix's, in our item. */
const TIMEOUT_MILLISECONDS = 5000
const RETRY_MILLISECONDS = 1000

const [port = '12345', times = '3', command = 'true', ...argv] = process.argv.slice(2)
const tally = { requests: 0, failed: 0, refused: 0, retried: 0, worst: 0, worstRetried: 0 }
const reasons = new Map<string, number>()
let isOver = false

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1')
    socket.setTimeout(TIMEOUT_MILLISECONDS, () => socket.destroy(new Error('timeout')))
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
    socket.on('error', () => undefined)
  })
}

function converse(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const done = (error?: Error): void => {
      socket.off('data', read)
      socket.off('close', closed)
      if (error) reject(error)
      else resolve()
    }
    const read = (chunk: Buffer): void => {
      answer += chunk.toString()
      if (answer.endsWith('\n\n')) done(/^action=/.test(answer) ? undefined : new Error(answer))
    }
    const closed = (): void => done(new Error('closed without an answer'))
    socket.on('data', read)
    socket.once('close', closed)
    if (socket.destroyed || socket.readableEnded) closed()
    else socket.write(text)
  })
}

async function client(number: number): Promise<void> {
  const keeps = number % 2 === 0
  let kept: Socket | undefined
  for (let turn = 0; !isOver; turn++) {
    const text = `${[
      'request=smtpd_access_policy',
      'protocol_state=END-OF-MESSAGE',
      `instance=${number.toString(16)}.${Date.now().toString(16)}.${turn}.0`,
      'recipient_count=1',
      'client_address=127.0.0.1',
      `sasl_username=load${number}`,
    ].join('\n')}\n\n`
    const began = performance.now()
    let tries = 0
    for (;;) {
      tries++
      try {
        kept ??= await open()
        await converse(kept, text)
        break
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        reasons.set(why, (reasons.get(why) ?? 0) + 1)
        kept?.destroy()
        kept = undefined
        if (why.includes('ECONNREFUSED')) tally.refused++
        if (tries === 2) {
          tally.failed++
          break
        }
        tally.retried++
        await sleep(RETRY_MILLISECONDS)
      }
    }
    tally.requests++
    const took = performance.now() - began
    if (tries === 1) tally.worst = Math.max(tally.worst, took)
    else tally.worstRetried = Math.max(tally.worstRetried, took)
    if (!keeps) {
      kept?.destroy()
      kept = undefined
    }
    await sleep(PAUSE_MILLISECONDS * (0.5 + Math.random()))
  }
  kept?.destroy()
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
