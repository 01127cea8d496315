/** A process that is killed at any moment: what it had noted is found, once, as a plain model has it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { OpenHistory } from '../../daemon/history/history.ts'
import { runs } from '../support/fuzz.ts'
import { BEGAN, type MadeEvent, madeEvents, modelOf, type Sums } from './made-events.ts'
import { folder, openHistory } from './some-mail.ts'

const HOUR = 3_600_000
const EVENTS = 2000
const noter = join(import.meta.dirname, 'noter.ts')

/** Kills it after so long; resolves to how many events it had noted at least, and whether it was done. */
async function noteAndKill(path: string, seed: number, from: number, milliseconds: number) {
  const argv = [noter, path, String(seed), String(from), String(EVENTS)]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  const ended = once(child, 'close')
  while (printed === '') await sleep(5)
  await sleep(milliseconds)
  child.kill('SIGKILL')
  await ended
  const lines = printed.split('\n').slice(0, -1)
  const numbers = lines.map(Number).filter(number => number > 0)
  return { least: numbers.at(-1) ?? from, isDone: lines.includes('done') }
}

async function sumsOf(history: OpenHistory): Promise<Map<string, Sums>> {
  const found = new Map<string, Sums>()
  const span = { since: BEGAN - 2000 * HOUR, until: BEGAN + 2000 * HOUR }
  for await (const some of history.hours(span.since, span.until)) {
    for (const { account, hour, ...sums } of some)
      found.set(`${account} ${hour}`, { ...sums, bytes: 0 })
  }
  return found
}

const withoutBytes = (hours: Map<string, Sums>): string[] =>
  [...hours]
    .filter(([, { messages, recipients, refused }]) => messages + recipients + refused > 0)
    .map(([key, sums]) => JSON.stringify([key, sums.messages, sums.recipients, sums.refused]))
    .toSorted()

/** How many events there must have been; -1 if no number fits. */
function eventsIn(found: Map<string, Sums>, all: readonly MadeEvent[], least: number): number {
  const seen = withoutBytes(found).join()
  for (let number = least; number <= Math.min(all.length, least + 200); number++) {
    if (withoutBytes(modelOf(all.slice(0, number)).hours).join() === seen) return number
  }
  return -1
}

for (let run = 1; run <= runs(2); run++) {
  t.test('after kill -9 everything that was noted is found, once', async t => {
    const path = join(folder(t), 'history.sqlite')
    const seed = Date.now() % 1_000_000
    t.comment(`seed ${seed}`)
    const all = madeEvents(seed, EVENTS)
    let number = 0
    for (let kill = 0; kill < 4; kill++) {
      const { least, isDone } = await noteAndKill(path, seed, number, (seed * (kill + 1)) % 150)
      const history = openHistory(t, { path })
      const found = await sumsOf(history)
      number = eventsIn(found, all, least)
      t.ok(number >= least, `${least} were noted, the history has ${number}`)
      const { codes } = modelOf(all.slice(0, number))
      for (const [account, given] of codes) {
        const known = await history.account(account)
        const told = known?.refusals.map(({ code }) => code)
        t.strictSame(told, given.slice(0, 100), `refusals of ${account}`)
      }
      t.strictSame(history.status().gaps, [])
      await history.close()
      if (isDone || number < 0) break
    }
  })
}
