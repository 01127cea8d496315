/**
 * A server in a case of bench.ts: how it is set up, how it is queried, and whether it has counted
 * exactly what it answered.
 */

import { mkdirSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { Durability } from '../daemon/ledger/sqlite-ledger.ts'
import { freePort } from '../test/support/free-port.ts'
import type { Asked } from './asker.ts'
import type { Consoled } from './consoles.ts'
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
import { fillHistory } from './history-file.ts'
import {
  DEFAULT_COUNTER,
  fillLedger,
  type PeriodSum,
  type Stored,
  sumsOfLedger,
} from './ledger-file.ts'
import { openAsker, openConsoles, type Readers } from './readers.ts'
import type { Raw } from './table.ts'

export interface Setup {
  readonly name: string
  readonly kind: 'echo' | 'floor' | 'ours'
  /** Number of users in its requests. The floor knows all of them from the beginning. */
  readonly users: number
  readonly durability: Durability
  /** Host variables beside those of the default policy. */
  readonly settings?: readonly string[]
  /** Counters of which each must have exactly what was answered; default: that of the default policy. */
  readonly counters?: readonly string[]
  /** What is in the ledger before the start. */
  readonly stored: Stored
  readonly idle: number
  /** Open consoles (consoles.ts); undefined: the web console is off. */
  readonly consoles?: number
  /** Its history knows all users, and somebody asks it all the time (asker.ts). */
  readonly isAsked?: boolean
  /**
   * How often it is started to measure the time that takes; if more than once, also after the
   * requests.
   */
  readonly starts: number
  /** Another build than that of the run. */
  readonly dist?: string
}

/** What is the same for the whole run. */
export interface Bench {
  readonly dist: string
  /** All files are below it. */
  readonly root: string
  readonly profile: string | undefined
  readonly load: string
  readonly addresses: string
  /** Every child that may still be running. */
  readonly running: Set<Contestant>
  /** Numbers rounds and folders. */
  next(): number
}

interface Started {
  contestant: Contestant
  /** Where it counts; undefined for the echo. */
  readonly database: string | undefined
  /** The days that are in the ledger from the beginning, today last. */
  readonly days: readonly string[]
}

/** A server that was started, and what was measured. */
export interface Entrant extends Started {
  readonly setup: Setup
  readonly folder: string
  readonly startMilliseconds: readonly number[]
  readonly startedAt: number
  readonly idle: readonly Socket[]
  readonly kilobytesPerIdle: number
  readonly readers: Readers<Consoled> | undefined
  readonly asker: Readers<Asked> | undefined
  /** The maximum seen after a round. */
  kilobytes: number
  answered: number
}

/** What has been added to a counter since the start. */
export interface Count {
  readonly counter: string
  readonly counted: number
}

/** What is known once it has stopped. */
export interface Ended extends Entrant {
  readonly counts: readonly Count[]
  /** Sums of earlier days that are no longer there. */
  readonly forgotten: number
  readonly idleAtEnd: number
  readonly consoled: Consoled
  readonly asked: Asked
  /** From the start to the first answer, with the journal of all requests. */
  readonly afterKill: number
  readonly afterStop: number
}

export async function start(bench: Bench, setup: Setup, title: string): Promise<Entrant> {
  const { name, kind, users, durability, settings = [], stored, starts } = setup
  const { running } = bench
  const dist = setup.dist ?? bench.dist
  const folder = join(bench.root, String(bench.next()))
  mkdirSync(folder)
  const startMilliseconds: number[] = []

  let webPort = 0

  async function startOurs(): Promise<Started> {
    if (setup.consoles !== undefined) webPort = await freePort()
    const web = webPort === 0 ? [] : [`mtpolicyd/web/port=${webPort}`]
    const all = [`mtpolicyd/durability=${durability}`, ...settings, ...web]
    const port = await setDefaultPolicy(dist, folder, all)
    const database = join(folder, 'var/lib/univention-mtpolicyd/ledger.sqlite')
    const days = fillLedger(database, stored)
    if (setup.isAsked !== undefined)
      await fillHistory(join(dirname(database), 'history.sqlite'), users)
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
  const readers =
    setup.consoles === undefined
      ? undefined
      : await openConsoles({ dist, root: folder, port: webPort, consoles: setup.consoles })
  if (readers) running.add(readers.contestant)
  const asker = setup.isAsked ? await openAsker(folder, users) : undefined
  if (asker) running.add(asker.contestant)
  return {
    ...started,
    ...{ setup, folder, startMilliseconds, startedAt, idle },
    ...{ kilobytesPerIdle, readers, asker, kilobytes, answered: 0 },
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

/** Stops it and starts it again; returns the milliseconds until it answers. */
async function startAgain(bench: Bench, entrant: Entrant, signal: NodeJS.Signals): Promise<number> {
  const { name, port, rounds } = entrant.contestant
  await end(bench, entrant.contestant, signal)
  const options = { name, dist: entrant.setup.dist ?? bench.dist, root: entrant.folder, port }
  const { contestant, milliseconds } = await startTimed(bench, options)
  contestant.rounds.push(...rounds)
  entrant.contestant = contestant
  return milliseconds
}

export async function finish(bench: Bench, entrant: Entrant): Promise<Ended> {
  const { folder, idle, readers, asker, setup } = entrant
  // Whatever was closed meanwhile is noticed first.
  await sleep(10)
  const consoled = (await readers?.end()) ?? { bytes: 0, readings: 0 }
  const asked = (await asker?.end()) ?? { questions: 0, mostMilliseconds: 0 }
  for (const one of [readers, asker]) if (one) bench.running.delete(one.contestant)
  const idleAtEnd = idle.filter(({ readyState }) => readyState === 'open').length
  for (const socket of idle) socket.destroy()
  const isStarted = setup.starts > 1
  const afterKill = isStarted ? await startAgain(bench, entrant, 'SIGKILL') : Number.NaN
  const afterStop = isStarted ? await startAgain(bench, entrant, 'SIGTERM') : Number.NaN
  await end(bench, entrant.contestant)
  const counts = countsOf(entrant)
  rmSync(folder, { recursive: true })
  return { ...entrant, ...counts, idleAtEnd, consoled, asked, afterKill, afterStop }
}

/** What has been added to the ledger since the start; and which sums of earlier days are gone. */
function countsOf({ database, days, setup }: Entrant): Pick<Ended, 'counts' | 'forgotten'> {
  const { kind, stored, counters = [DEFAULT_COUNTER] } = setup
  if (database === undefined) return { counts: [], forgotten: 0 }
  if (kind === 'floor') {
    const db = new Database(database, { readonly: true })
    const sum = db.prepare<[], number>('SELECT sum(used) FROM usage').pluck().get() ?? 0
    db.close()
    return { counts: [{ counter: 'usage', counted: sum }], forgotten: 0 }
  }
  const [today = ''] = days.slice(-1)
  const sums = sumsOfLedger(database)
  // It may be past midnight. The names of rolling windows come after those of all days.
  const isNew = ({ period }: PeriodSum): boolean => period >= today
  const counts = counters.map(counter => {
    const before = counter === DEFAULT_COUNTER && days.length > 0 ? stored.users : 0
    const now = total(sums.filter(one => one.counter === counter && isNew(one)))
    return { counter, counted: now - before }
  })
  const old = total(sums.filter(one => one.counter === DEFAULT_COUNTER && !isNew(one)))
  return { counts, forgotten: stored.users * Math.max(0, days.length - 1) - old }
}

const total = (sums: readonly PeriodSum[]): number => sums.reduce((all, { sum }) => all + sum, 0)

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
