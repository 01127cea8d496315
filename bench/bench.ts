/**
 * `make bench`: the real daemon with its default policy, beside what Node can do at all (echo.ts),
 * beside the least that it takes to count durably (floor.ts), and beside itself with less to do.
 *
 * The servers of a case run at the same time and are asked in turns, in short rounds, so that a
 * busy machine is equally busy for all; what counts is the median of the ratios of all rounds. Every
 * answer is looked at by the load generator, and at the end each ledger must hold exactly what was
 * answered: the exit status says that, and nothing of the speed. Requests are END-OF-MESSAGE, over
 * 16 connections, by 10,000 users, unless the case says otherwise.
 *
 *   bench/bench.ts [--only REGEX] [--seconds 2] [--rounds 5] [--dist DIR] [--profile DIR]
 *
 * `--only` runs the cases whose names match, `--dist` measures another build, and `--profile` leaves
 * CPU profiles of the daemons below DIR.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  type Contestant,
  commonOptions,
  compileLoad,
  germanAddresses,
  type Measured,
  median,
  positive,
  stop,
} from './contest.ts'
import {
  ask,
  type Bench,
  type Ended,
  type Entrant,
  finish,
  rawOf,
  type Setup,
  start,
} from './entrant.ts'
import { type Asked, grouped, head, type Row, rawHead, rawTableOf, tableOf } from './table.ts'

const FEW = 10_000
const MILLION = 1_000_000
const IDLE = 5000
/** What is older the daemon forgets (daemon.ts). */
const KEPT_DAYS = 90
/** So many more are there at its start: if it was down for a day, or a day has just ended. */
const OLD_DAYS = 2
const HISTORY_USERS = 100_000
/** It keeps house for the first time a minute after its start; then it forgets, and makes a backup. */
const HOUSEKEEPING_MILLISECONDS = 60_000
/** Asking begins so much earlier: the warm-up, and a second more. */
const EARLIER_MILLISECONDS = 2000
/** What is old goes in small steps, some 30,000 sums a second. */
const FORGETTING_SECONDS = 12

interface Case {
  readonly name: string
  readonly connections: number
  readonly setups: readonly Setup[]
  /** Is the last server also asked over the minute in which it forgets? */
  readonly forgets?: true
  /** What is asked of it, besides that all is counted. */
  rows(of: (name: string) => Ended, whileForgetting: Measured | undefined): readonly Row[]
}

const echo: Setup = {
  name: 'echo',
  kind: 'echo',
  users: FEW,
  durability: 'normal',
  stored: { days: 0, users: 0 },
  idle: 0,
  starts: 1,
}
const floor: Setup = { ...echo, name: 'floor', kind: 'floor' }
const ours: Setup = { ...echo, name: 'ours', kind: 'ours' }

function speed(what: string, one: Ended, other: Ended, asked?: Asked): Row {
  return { what, measured: 100 * ratio(one, other, 'perSecond'), unit: '%', asked }
}

function slowness(what: string, one: Ended, other: Ended, asked?: Asked): Row {
  return { what, measured: ratio(one, other, 'p99'), unit: 'x', asked }
}

/** The median of the rounds' ratios: two servers that are asked one after the other find the same machine. */
function ratio(one: Ended, other: Ended, of: 'perSecond' | 'p99'): number {
  const [ones, others] = [one.contestant.rounds, other.contestant.rounds]
  return median(ones.map((round, i) => round[of] / (others[i]?.[of] ?? Number.NaN)))
}

const usual = (connections: number): Case => ({
  name: `${grouped(connections)} connections`,
  connections,
  setups: [echo, floor, ours],
  rows: of => [
    speed('speed, of the echo', of('ours'), of('echo'), { least: 40 }),
    speed('speed, of the floor', of('ours'), of('floor'), { least: 75 }),
    slowness('p99, of the floor', of('ours'), of('floor'), { most: 1 }),
  ],
})

const durable: Case = {
  name: 'durability full',
  connections: 16,
  setups: [floor, ours].map(setup => ({ ...setup, durability: 'full' })),
  rows: of => [
    speed('speed, of the floor', of('ours'), of('floor'), { least: 80 }),
    slowness('p99, of the floor', of('ours'), of('floor')),
  ],
}

const million: Case = {
  name: '1 million users',
  connections: 16,
  setups: [
    { ...floor, users: MILLION },
    ours,
    { ...ours, name: 'a million', users: MILLION, stored: { days: 1, users: MILLION }, starts: 5 },
  ],
  rows(of) {
    const all = of('a million')
    const megabytes = all.kilobytes / 1024
    const milliseconds = median(all.startMilliseconds)
    return [
      speed('speed, of 10,000 users', all, of('ours'), { least: 85 }),
      speed('speed, of the floor', all, of('floor')),
      { what: 'memory', measured: megabytes, unit: 'MB', asked: { most: 150 } },
      { what: 'start to first answer', measured: milliseconds, unit: 'ms', asked: { most: 150 } },
      { what: 'start after all that', measured: all.afterStop, unit: 'ms' },
      { what: 'start after kill -9', measured: all.afterKill, unit: 'ms' },
    ]
  },
}

const history: Case = {
  name: '90 days x 100,000',
  connections: 16,
  setups: [
    ours,
    {
      ...ours,
      name: '90 days',
      // And today.
      stored: { days: OLD_DAYS + KEPT_DAYS + 1, users: HISTORY_USERS },
    },
  ],
  forgets: true,
  rows(of, whileForgetting) {
    const { forgotten } = of('90 days')
    const slowest = (whileForgetting?.max ?? Number.NaN) / 1000
    const all = OLD_DAYS * HISTORY_USERS
    return [
      speed('speed, of an empty ledger', of('90 days'), of('ours'), { about: 100 }),
      { what: 'slowest while forgetting', measured: slowest, unit: 'ms', asked: { most: 20 } },
      { what: 'old sums forgotten in it', measured: forgotten, unit: '', asked: { least: all } },
    ]
  },
}

const idle: Case = {
  name: '5,000 idle',
  connections: 16,
  setups: [ours, { ...ours, name: 'beside 5,000 idle', idle: IDLE }],
  rows(of) {
    const beside = of('beside 5,000 idle')
    const { kilobytesPerIdle, idleAtEnd } = beside
    return [
      speed('speed, of none idle', beside, of('ours'), { about: 100 }),
      slowness('p99, of none idle', beside, of('ours')),
      { what: 'memory each', measured: kilobytesPerIdle, unit: 'KB', asked: { most: 20 } },
      { what: 'still open at the end', measured: idleAtEnd, unit: '', asked: { least: IDLE } },
    ]
  },
}

const CASES = [usual(16), usual(100), usual(1000), durable, million, history, idle]

const { values } = parseArgs({
  options: { ...commonOptions, only: { type: 'string', default: '' }, profile: { type: 'string' } },
})
const seconds = positive('seconds', values.seconds)
const rounds = positive('rounds', values.rounds)
const chosen = CASES.filter(({ name }) => new RegExp(values.only).test(name))
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
  // Not in /tmp, which is memory on some systems: there it costs nothing to flush to the disk.
  root: mkdtempSync(join(import.meta.dirname, '../build/bench-')),
  profile: values.profile,
  running: new Set<Contestant>(),
  next: () => number++,
}

/** Asks all in turns; returns the round over the minute in which the last forgets, if it does. */
async function askAll(
  { connections, forgets }: Case,
  entrants: readonly Entrant[],
): Promise<Measured | undefined> {
  const last = forgets && entrants.at(-1)
  const earliest = (last?.startedAt ?? 0) + HOUSEKEEPING_MILLISECONDS - EARLIER_MILLISECONDS
  // Of all of them once: a second before each is measured, and half a one for the generator.
  const turn = entrants.length * (seconds + 1.5) * 1000
  let whileForgetting: Measured | undefined
  for (let round = 0; ; round++) {
    const isWaiting = last !== undefined && whileForgetting === undefined
    // The minute would only be waited for: until it is over, there are more rounds.
    if (!isWaiting && round >= rounds) return whileForgetting
    if (isWaiting && performance.now() + turn > earliest) {
      await sleep(earliest - performance.now())
      whileForgetting = ask(bench, last, { connections, seconds: FORGETTING_SECONDS })
      if (round >= rounds) return whileForgetting
    }
    for (const entrant of entrants) {
      entrant.contestant.rounds.push(ask(bench, entrant, { connections, seconds }))
      // A round blocks this process: between them a signal is heard.
      await sleep(1)
    }
  }
}

/** Over all servers of a case that count. */
function countRow(counting: readonly Ended[]): Row {
  const counted = counting.reduce((sum, one) => sum + one.counted, 0)
  const answered = counting.reduce((sum, one) => sum + one.answered, 0)
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

/** Prints its part of the table; the rest is for the end. */
async function run(one: Case): Promise<Finished> {
  const { name, setups } = one
  const entrants: Entrant[] = []
  for (const setup of setups) entrants.push(await start(bench, setup, name))
  const whileForgetting = await askAll(one, entrants)
  const ended = new Map<string, Ended>()
  for (const entrant of entrants) ended.set(entrant.setup.name, await finish(bench, entrant))
  const rows = one.rows(of => {
    const found = ended.get(of)
    if (!found) throw new Error(`${name} has no ${of}`)
    return found
  }, whileForgetting)
  const counting = [...ended.values()].filter(({ database }) => database !== undefined)
  process.stdout.write(tableOf(name, [...rows, countRow(counting)]))
  const mistakes = counting
    .filter(({ counted, answered }) => counted !== answered)
    .map(
      ({ setup, counted, answered }) =>
        `${name}, ${setup.name}: ${grouped(counted)} counted, BUT ${grouped(answered)} WERE ANSWERED\n`,
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
