/**
 * An administrator who asks without end: top, an account, refusals, each a tenth of a second after the answer to the
 * one before.
 *
 *   bench/asker.ts ROOT USERS      ROOT: the daemon's `--root`
 *
 * Prints `1` after the first answers, and at SIGTERM ends with a line of JSON, one field per member of `Asked`.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { pathsBelow } from '../daemon/assembly/paths.ts'
import { callDaemon } from '../daemon/control/client.ts'
import type { ControlReply } from '../daemon/control/protocol.ts'

export interface Asked {
  readonly questions: number
  /** Of the slowest answer. */
  readonly mostMilliseconds: number
}

const PAUSE_MILLISECONDS = 100
const PATIENCE_MILLISECONDS = 60_000

if (import.meta.main) await run()

async function run(): Promise<void> {
  const [root = '', users = ''] = process.argv.slice(2)
  const socket = pathsBelow(root).control
  let [questions, mostMilliseconds] = [0, 0]

  async function time(asking: Promise<ControlReply<unknown> | undefined>): Promise<void> {
    const began = performance.now()
    const reply = await asking
    if (!reply?.ok) throw new Error(`the daemon refused: ${JSON.stringify(reply)}`)
    mostMilliseconds = Math.max(mostMilliseconds, performance.now() - began)
    questions++
    await sleep(PAUSE_MILLISECONDS)
  }

  async function askAll(): Promise<void> {
    const until = Date.now()
    const day = { since: until - 24 * 3_600_000, until }
    const account = `user${String(questions % Number(users)).padStart(5, '0')}@mail.example.org`
    const patience = PATIENCE_MILLISECONDS
    await time(callDaemon(socket, 'top', { ...day, by: 'recipients', most: 20 }, patience))
    await time(callDaemon(socket, 'user', { name: account }, patience))
    await time(callDaemon(socket, 'refusalList', { most: 100 }, patience))
  }

  await askAll()
  // Those were the first questions: what they read is in memory from now on.
  questions = 0
  mostMilliseconds = 0
  process.once('SIGTERM', () => {
    const done: Asked = { questions, mostMilliseconds }
    process.stdout.write(`${JSON.stringify(done)}\n`, () => process.exit(0))
  })
  process.stdout.write('1\n')
  for (;;) await askAll()
}
