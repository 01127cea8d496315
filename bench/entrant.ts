/**
 * A server in a case of bench.ts: how it is set up, how it is asked, and whether it has counted
 * exactly what it answered.
 */

import { mkdirSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { Durability } from '../daemon/store/sqlite-ledger.ts'
import {
  type Contestant,
  type DaemonOptions,
  firstAnswer,
  kilobytesOf,
  type Measured,
  median,
  openIdle,
  runRound,
  setDefaultPolicy,
  startDaemon,
  startServer,
  stop,
} from './contest.ts'
import { fillLedger, sumOfLedger } from './ledger-file.ts'
import type { Raw } from './table.ts'

export interface Setup {
  readonly name: string
  readonly kind: 'echo' | 'floor' | 'ours'
  /** Users it is asked about. The floor knows all of them from the beginning. */
  readonly users: number
  readonly durability: Durability
  /** What is in the ledger before the start: so many users on each of so many days. */
  readonly stored: { readonly days: number; readonly users: number }
  readonly idle: number
  /** How often it is started, for the time that takes; if more than once, also after it was asked. */
  readonly starts: number
}

/** What is the same for all of a run. */
export interface Bench {
  readonly dist: string
  /** All files are below it. */
  readonly root: string
  readonly profile: string | undefined
  readonly load: string
  readonly addresses: string
  /** Every child that may still run. */
  readonly running: Set<Contestant>
  /** Counts rounds and folders. */
  next(): number
}

interface Started {
  contestant: Contestant
  /** Where it counts; undefined for the echo. */
  readonly database: string | undefined
  /** Those that are in the ledger from the beginning, today the last. */
  readonly days: readonly string[]
}

/** A server that was started, and what was seen of it. */
export interface Entrant extends Started {
  readonly setup: Setup
  readonly folder: string
  readonly startMilliseconds: readonly number[]
  readonly startedAt: number
  readonly idle: readonly Socket[]
  readonly kilobytesPerIdle: number
  /** The most that was seen after a round. */
  kilobytes: number
  answered: number
}

/** What can be said once it has stopped. */
export interface Ended extends Entrant {
  readonly counted: number
  /** Sums of earlier days that are no longer there. */
  readonly forgotten: number
  readonly idleAtEnd: number
  /** From the start to the first answer, with the journal of all that was asked. */
  readonly afterKill: number
  readonly afterStop: number
}

export async function start(bench: Bench, setup: Setup, title: string): Promise<Entrant> {
  const { name, kind, users, durability, stored, starts } = setup
  const { dist, running } = bench
  const folder = join(bench.root, String(bench.next()))
  mkdirSync(folder)
  const startMilliseconds: number[] = []

  async function startOurs(): Promise<Started> {
    const port = await setDefaultPolicy(dist, folder, [`mtpolicyd/durability=${durability}`])
    const database = join(folder, 'var/lib/univention-mtpolicyd/ledger.sqlite')
    const days = fillLedger(database, stored.days, stored.users)
    const profiles = `${title} ${name}`.replaceAll(/\W+/g, '-')
    const profile = bench.profile && resolve(bench.profile, profiles)
    for (let time = 1; ; time++) {
      const isLast = time === starts
      const options = { name, dist, root: folder, port, profile: isLast ? profile : undefined }
      const { contestant, milliseconds } = await startTimed(bench, options)
      startMilliseconds.push(milliseconds)
      if (isLast) return { contestant, database, days }
      await end(bench, contestant)
    }
  }

  async function startFloor(): Promise<Started> {
    const database = join(folder, 'floor.sqlite')
    const contestant = await startServer('floor', [database, String(users), durability])
    return { contestant, database, days: [] }
  }

  const startEcho = async (): Promise<Started> => ({
    contestant: await startServer('echo', []),
    database: undefined,
    days: [],
  })

  const started = await { echo: startEcho, floor: startFloor, ours: startOurs }[kind]()
  const { contestant } = started
  running.add(contestant)
  const startedAt = performance.now()
  const kilobytes = kilobytesOf(contestant)
  const idle = await openIdle(contestant.port, setup.idle)
  const kilobytesPerIdle = (kilobytesOf(contestant) - kilobytes) / setup.idle
  return {
    ...started,
    ...{ setup, folder, startMilliseconds, startedAt, idle },
    ...{ kilobytesPerIdle, kilobytes, answered: 0 },
  }
}

export function ask(
  { load, addresses, next }: Bench,
  entrant: Entrant,
  { connections, seconds }: { connections: number; seconds: number },
): Measured {
  const { contestant, setup } = entrant
  const { users } = setup
  const number = next()
  const round = runRound(contestant, { load, addresses, connections, users, seconds, number })
  entrant.answered += round.answered
  entrant.kilobytes = Math.max(entrant.kilobytes, kilobytesOf(contestant))
  return round
}

async function startTimed(
  { running }: Bench,
  options: DaemonOptions,
): Promise<{ contestant: Contestant; milliseconds: number }> {
  const began = performance.now()
  const contestant = await startDaemon(options)
  running.add(contestant)
  await firstAnswer(options.port)
  return { contestant, milliseconds: performance.now() - began }
}

async function end(
  { running }: Bench,
  contestant: Contestant,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  await stop(contestant, signal)
  running.delete(contestant)
}

/** Ends it, and starts it again: milliseconds until it answers. */
async function startAgain(bench: Bench, entrant: Entrant, signal: NodeJS.Signals): Promise<number> {
  const { name, port, rounds } = entrant.contestant
  await end(bench, entrant.contestant, signal)
  const options = { name, dist: bench.dist, root: entrant.folder, port }
  const { contestant, milliseconds } = await startTimed(bench, options)
  contestant.rounds.push(...rounds)
  entrant.contestant = contestant
  return milliseconds
}

export async function finish(bench: Bench, entrant: Entrant): Promise<Ended> {
  const { folder, idle, setup } = entrant
  // Whatever was closed meanwhile is noticed first.
  await sleep(10)
  const idleAtEnd = idle.filter(({ readyState }) => readyState === 'open').length
  for (const socket of idle) socket.destroy()
  const isStarted = setup.starts > 1
  const afterKill = isStarted ? await startAgain(bench, entrant, 'SIGKILL') : Number.NaN
  const afterStop = isStarted ? await startAgain(bench, entrant, 'SIGTERM') : Number.NaN
  await end(bench, entrant.contestant)
  const counts = countsOf(entrant)
  rmSync(folder, { recursive: true })
  return { ...entrant, ...counts, idleAtEnd, afterKill, afterStop }
}

/** What is in the ledger now, and was not at the start; and what was, of earlier days, and is not. */
function countsOf({ database, days, setup }: Entrant): Pick<Ended, 'counted' | 'forgotten'> {
  if (database === undefined) return { counted: 0, forgotten: 0 }
  if (setup.kind === 'floor') {
    const db = new Database(database, { readonly: true })
    const sum = db.prepare<[], number>('SELECT sum(used) FROM usage').pluck().get() ?? 0
    db.close()
    return { counted: sum, forgotten: 0 }
  }
  const [today = ''] = days.slice(-1)
  let forgotten = setup.stored.users * Math.max(0, days.length - 1)
  let counted = days.length === 0 ? 0 : -setup.stored.users
  for (const [day, sum] of sumOfLedger(database)) {
    // Midnight may have passed since.
    if (day >= today) counted += sum
    else forgotten -= sum
  }
  return { counted, forgotten }
}

export const middle = (
  { contestant }: Entrant,
  of: 'perSecond' | 'p50' | 'p99' | 'serverMicroseconds',
): number => median(contestant.rounds.map(round => round[of]))

export const rawOf = (entrant: Entrant): Raw => ({
  name: entrant.setup.name,
  perSecond: middle(entrant, 'perSecond'),
  p50: middle(entrant, 'p50'),
  p99: middle(entrant, 'p99'),
  max: Math.max(...entrant.contestant.rounds.map(({ max }) => max)),
  cpu: middle(entrant, 'serverMicroseconds'),
  megabytes: entrant.kilobytes / 1024,
})
