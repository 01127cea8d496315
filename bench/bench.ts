/**
 * `make bench`: compares the real daemon and its default policy with what Node can do at all
 * (echo.ts), with the least that it takes to count durably (floor.ts), and with itself when it has
 * less to do.
 *
 * The servers of a case run at the same time and are queried in turns, in short rounds, so that a
 * busy machine is equally busy for all; what counts is the median of the ratios of all rounds. The
 * load generator checks every answer, and at the end each ledger must contain exactly what was
 * answered. The exit status depends on that, not on the speed. Requests are END-OF-MESSAGE, over 16
 * connections, by 10,000 users, unless the case says otherwise.
 *
 *   bench/bench.ts [--only REGEX] [--seconds 2] [--rounds 5] [--dist DIR] [--against DIR] [--profile DIR]
 *
 * `--only` runs the cases whose names match, `--dist` measures another build, `--against` adds a build
 * to compare with in the same run, and `--profile` leaves CPU profiles of the daemons below DIR.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { against, CASES, type Case } from './cases.ts'
import {
  type Contestant,
  commonOptions,
  compileLoad,
  germanAddresses,
  type Measured,
  positive,
  stop,
} from './contest.ts'
import { ask, type Bench, type Ended, type Entrant, finish, rawOf, start } from './entrant.ts'
import { replayTrace, writeTrace } from './replay.ts'
import { grouped, head, type Row, rawHead, rawTableOf, tableOf } from './table.ts'

/**
 * Housekeeping starts a minute after the daemon; then old days are deleted, and a backup is made.
 */
const HOUSEKEEPING_MILLISECONDS = 60_000
/** How much earlier the requests begin: the warm-up, and a second more. */
const EARLIER_MILLISECONDS = 2000
/** Old days are deleted in small steps, some 30,000 sums per second. */
const FORGETTING_SECONDS = 12

const { values } = parseArgs({
  options: {
    ...commonOptions,
    only: { type: 'string', default: '' },
    against: { type: 'string' },
    profile: { type: 'string' },
  },
})
const seconds = positive('seconds', values.seconds)
const rounds = positive('rounds', values.rounds)
const all = values.against === undefined ? CASES : CASES.map(against(values.against))
const chosen = all.filter(({ name }) => new RegExp(values.only).test(name))
if (chosen.length === 0) {
  const names = CASES.map(({ name }) => `  ${name}\n`).join('')
  process.stderr.write(`--only ${values.only}: no case is named so. There are\n${names}`)
  process.exit(64)
}

let number = 1
const bench: Bench = {
  dist: values.dist,
  load: compileLoad(),
  addresses: germanAddresses(values.dist),
  // Not in /tmp, which is in memory on some systems: there a flush to disk costs nothing.
  root: mkdtempSync(join(import.meta.dirname, '../build/bench-')),
  profile: values.profile,
  running: new Set<Contestant>(),
  next: () => number++,
}

/** What was measured besides the rounds of the servers. */
interface Measures {
  readonly whileForgetting: Measured | undefined
  readonly replayed: readonly number[]
}

/**
 * Queries all servers in turns; returns the round over the minute in which the last one deletes old
 * days, if it does.
 */
async function askAll(
  { connections, forgets, replays }: Case,
  entrants: readonly Entrant[],
): Promise<Measures> {
  const replayed: number[] = []
  const trace = join(bench.root, 'trace.jsonl')
  const policy = replays && entrants.at(-1)
  if (policy) writeTrace(trace, bench.addresses.split('\n'), policy.setup.users)
  const last = forgets && entrants.at(-1)
  const earliest = (last?.startedAt ?? 0) + HOUSEKEEPING_MILLISECONDS - EARLIER_MILLISECONDS
  // Time for one round of all servers: a second of warm-up for each, and half a second for the
  // generator.
  const turn = entrants.length * (seconds + 1.5) * 1000
  let whileForgetting: Measured | undefined
  for (let round = 0; ; round++) {
    const isWaiting = last !== undefined && whileForgetting === undefined
    // The minute would only be spent waiting, so there are more rounds until it is over.
    if (!isWaiting && round >= rounds) return { whileForgetting, replayed }
    if (isWaiting && performance.now() + turn > earliest) {
      await sleep(earliest - performance.now())
      whileForgetting = ask(bench, last, { connections, seconds: FORGETTING_SECONDS })
      if (round >= rounds) return { whileForgetting, replayed }
    }
    for (const entrant of entrants) {
      entrant.contestant.rounds.push(ask(bench, entrant, { connections, seconds }))
      // A round blocks this process: signals are handled between rounds.
      await sleep(1)
    }
    if (policy) replayed.push(replayTrace(bench.dist, policy.folder, trace))
  }
}

/** Over all servers of a case that count, and all their counters. */
function countRow(counting: readonly Ended[]): Row {
  const counted = counting.reduce(
    (sum, { counts }) => counts.reduce((all, one) => all + one.counted, sum),
    0,
  )
  const answered = counting.reduce((sum, one) => sum + one.counts.length * one.answered, 0)
  return {
    what: 'counted, of those answered',
    measured: counted,
    unit: '',
    asked: { exactly: answered },
  }
}

interface Finished {
  readonly raw: string
  readonly mistakes: readonly string[]
}

/** Prints its part of the table; the remainder is printed at the end. */
async function run(one: Case): Promise<Finished> {
  const { name, setups } = one
  const entrants: Entrant[] = []
  for (const setup of setups) entrants.push(await start(bench, setup, name))
  const { whileForgetting, replayed } = await askAll(one, entrants)
  const ended = new Map<string, Ended>()
  for (const entrant of entrants) ended.set(entrant.setup.name, await finish(bench, entrant))
  const rows = one.rows(
    of => {
      const found = ended.get(of)
      if (!found) throw new Error(`${name} has no ${of}`)
      return found
    },
    whileForgetting,
    replayed,
  )
  const counting = [...ended.values()]
  process.stdout.write(tableOf(name, [...rows, countRow(counting)]))
  const mistakes = counting.flatMap(({ setup, counts, answered }) =>
    counts
      .filter(({ counted }) => counted !== answered)
      .map(
        ({ counter, counted }) =>
          `${name}, ${setup.name}, ${counter}: ${grouped(counted)} counted, BUT ${grouped(answered)} WERE ANSWERED\n`,
      ),
  )
  return { raw: rawTableOf(name, [...ended.values()].map(rawOf)), mistakes }
}

async function cleanUp(): Promise<void> {
  await Promise.all([...bench.running].map(one => stop(one)))
  rmSync(bench.root, { recursive: true, force: true })
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const { process: child } of bench.running) child.kill('SIGKILL')
    rmSync(bench.root, { recursive: true, force: true, maxRetries: 3 })
    process.exit(1)
  })
}
try {
  process.stdout.write(head)
  const finished: Finished[] = []
  for (const one of chosen) finished.push(await run(one))
  process.stdout.write(`\nRounds of ${seconds} s, medians of ${rounds}\n${rawHead}`)
  for (const { raw } of finished) process.stdout.write(raw)
  const mistakes = finished.flatMap(one => one.mistakes)
  for (const mistake of mistakes) process.stdout.write(mistake)
  if (mistakes.length > 0) process.exitCode = 1
} finally {
  await cleanUp()
}
