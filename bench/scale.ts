/**
 * `make bench-scale`: does it matter how much there is?
 *
 * One daemon with 10,000 users and an empty ledger; one with a million users, all of them in the
 * ledger; one with 90 days of 100,000 users in it; and one with 5,000 idle connections. Each is asked
 * in turns with the first. Shown are requests, latency, memory, and the time from start to the first
 * answer.
 *
 *   bench/scale.ts [--connections 16] [--seconds 4] [--rounds 3] [--dist DIR]
 */

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import { openSqliteLedger } from '../daemon/store/sqlite-ledger.ts'
import {
  type Contestant,
  compileLoad,
  freePort,
  germanAddresses,
  median,
  runRound,
  startDaemon,
  stop,
} from './contest.ts'

const IDLE = 5000
const DAY_MILLISECONDS = 86_400_000

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    dist: { type: 'string', default: join(import.meta.dirname, '../dist') },
  },
})

interface Case {
  readonly name: string
  readonly users: number
  /** What is in the ledger before the start: users on each of so many days. */
  readonly stored: { readonly days: number; readonly users: number }
  readonly idle: number
}

const CASES: readonly Case[] = [
  { name: '10,000 users', users: 10_000, stored: { days: 0, users: 0 }, idle: 0 },
  { name: '1 million users', users: 1_000_000, stored: { days: 1, users: 1_000_000 }, idle: 0 },
  { name: '90 days x 100,000', users: 10_000, stored: { days: 90, users: 100_000 }, idle: 0 },
  { name: '5,000 idle', users: 10_000, stored: { days: 0, users: 0 }, idle: IDLE },
]

interface Measured {
  readonly one: Case
  readonly contestant: Contestant
  readonly startMilliseconds: number
  readonly kilobytesAtStart: number
  readonly kilobytesPerIdle: number
  readonly idle: readonly Socket[]
}

/** Fills the ledger as the daemon would have it after folding. */
function fill(path: string, { days, users }: Case['stored']): void {
  mkdirSync(dirname(path), { recursive: true })
  openSqliteLedger(path, 'normal').close()
  const db = new Database(path)
  db.pragma('synchronous = OFF')
  const insert = db.prepare('INSERT INTO usage VALUES (?, ?, ?, ?)')
  db.transaction(() => {
    for (let back = days - 1; back >= 0; back--) {
      const day = new Date(Date.now() - back * DAY_MILLISECONDS).toISOString().slice(0, 10)
      for (let user = 0; user < users; user++) {
        insert.run('limit', day, `user${String(user).padStart(5, '0')}@mail.example.org`, 1)
      }
    }
  })()
  db.close()
}

async function start(one: Case): Promise<Measured> {
  const folder = join(root, one.name.replaceAll(/\W+/g, '-'))
  mkdirSync(folder)
  const port = await freePort()
  const settings = [`mtpolicyd/port=${port}`, 'mtpolicyd/threshold=1000000000']
  execFileSync(join(values.dist, 'mtpolicyctl'), ['--root', folder, 'set', ...settings], {
    stdio: 'ignore',
  })
  fill(join(folder, 'var/lib/univention-mtpolicyd/ledger.sqlite'), one.stored)
  const began = performance.now()
  const { name, ...rest } = { name: one.name, dist: values.dist, root: folder, port }
  const contestant = await startDaemon({ name, ...rest })
  await firstAnswer(port)
  const startMilliseconds = performance.now() - began
  const before = kilobytesOf(contestant)
  const idle = await openIdle(port, one.idle)
  const kilobytesPerIdle = one.idle === 0 ? 0 : (kilobytesOf(contestant) - before) / one.idle
  return { one, contestant, startMilliseconds, kilobytesAtStart: before, kilobytesPerIdle, idle }
}

function firstAnswer(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
    socket.write('request=smtpd_access_policy\nprotocol_state=CONNECT\n\n')
  })
}

/** Each has asked once, as an smtpd process that waits for its next client has. */
async function openIdle(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let i = 0; i < count; i++) {
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      sockets.push(socket)
      socket.once('error', reject)
      socket.once('data', () => resolve())
      socket.write(`request=smtpd_access_policy\ninstance=idle.${i}\nsender=a@example.org\n\n`)
    })
  }
  return sockets
}

function kilobytesOf({ process: { pid } }: Contestant): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
}

const load = compileLoad()
const addresses = germanAddresses(values.dist)
const root = mkdtempSync(join(tmpdir(), 'mtpolicyd-scale-'))
const running: Measured[] = []
const peak = new Map<string, number>()
let number = 1
try {
  for (const one of CASES) running.push(await start(one))
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const { one, contestant } of running) {
      contestant.rounds.push(
        runRound(contestant, {
          load,
          addresses,
          connections: Number(values.connections),
          users: one.users,
          seconds: Number(values.seconds),
          number: number++,
        }),
      )
      peak.set(one.name, Math.max(peak.get(one.name) ?? 0, kilobytesOf(contestant)))
    }
  }
  const row = (cells: readonly string[]): void => {
    const [name = '', ...rest] = cells
    process.stdout.write(`${name.padEnd(20)}${rest.map(cell => cell.padStart(10)).join('')}\n`)
  }
  row(['', 'req/s', 'ratio', 'p99 µs', 'max ms', 'start ms', 'RSS MB', 'KB/idle'])
  const of = ({ rounds }: Contestant, what: 'perSecond' | 'p99' | 'max'): number =>
    median(rounds.map(round => round[what]))
  const first = running[0]
  for (const { one, contestant, startMilliseconds, kilobytesPerIdle } of running) {
    const perSecond = of(contestant, 'perSecond')
    const ratio = first ? perSecond / of(first.contestant, 'perSecond') : 1
    row([
      one.name,
      perSecond.toFixed(0),
      `${(100 * ratio).toFixed(0)} %`,
      of(contestant, 'p99').toFixed(0),
      (Math.max(...contestant.rounds.map(({ max }) => max)) / 1000).toFixed(0),
      startMilliseconds.toFixed(0),
      ((peak.get(one.name) ?? 0) / 1024).toFixed(0),
      kilobytesPerIdle === 0 ? '' : kilobytesPerIdle.toFixed(1),
    ])
  }
} finally {
  for (const { idle } of running) for (const socket of idle) socket.destroy()
  await Promise.all(running.map(({ contestant }) => stop(contestant)))
  rmSync(root, { recursive: true, force: true })
}
