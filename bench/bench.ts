/**
 * `make bench`: the real daemon with its default policy, beside a bare echo and the floor.
 *
 * The three run at the same time and are asked in turns, in short rounds, so that a busy machine
 * is equally busy for all; what counts are the ratios of one run. Every answer is looked at by the
 * load generator, and at the end the ledger must hold exactly what was answered.
 *
 *   bench/bench.ts [--connections 16] [--users 10000] [--seconds 4] [--rounds 3]
 *                  [--durability normal|full] [--dist DIR] [--profile DIR]
 *
 * `--dist` measures another build, `--profile` leaves a CPU profile of the daemon in DIR.
 */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import {
  type Contestant,
  compileLoad,
  freePort,
  germanAddresses,
  median,
  runRound,
  startDaemon,
  startServer,
  stop,
} from './contest.ts'

const top = join(import.meta.dirname, '..')

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '16' },
    users: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    durability: { type: 'string', default: 'normal' },
    dist: { type: 'string', default: join(top, 'dist') },
    profile: { type: 'string' },
  },
})

/** A wrong sum is a failure of the whole run. */
function checkCounts({ name, rounds }: Contestant, database: string): boolean {
  const db = new Database(database, { readonly: true })
  const counted = db.prepare<[], number>('SELECT sum(used) FROM usage').pluck().get() ?? 0
  db.close()
  const answered = rounds.reduce((sum, round) => sum + round.answered, 0)
  const isExact = counted === answered
  const verdict = isExact ? 'exactly what was answered' : `BUT ${answered} WERE ANSWERED`
  process.stdout.write(`${name}: ${counted} requests counted, ${verdict}\n`)
  return isExact
}

function printTable(contestants: readonly Contestant[]): void {
  const row = (cells: readonly string[]): string =>
    `${cells.map((cell, i) => (i === 0 ? cell.padEnd(18) : cell.padStart(13))).join('')}\n`
  const middle = new Map(
    contestants.map(({ name, rounds }) => [
      name,
      {
        perSecond: median(rounds.map(round => round.perSecond)),
        p50: median(rounds.map(round => round.p50)),
        p99: median(rounds.map(round => round.p99)),
        cpu: median(rounds.map(round => round.serverMicroseconds)),
      },
    ]),
  )
  process.stdout.write(row(['', 'requests/s', 'p50 µs', 'p99 µs', 'CPU µs/req']))
  for (const [name, { perSecond, p50, p99, cpu }] of middle) {
    process.stdout.write(row([name, ...[perSecond, p50, p99, cpu].map(n => n.toFixed(0))]))
  }
  const ours = middle.get('ours')
  for (const other of ['echo', 'floor']) {
    const them = middle.get(other)
    if (!ours || !them) continue
    const ratios = [
      `${((100 * ours.perSecond) / them.perSecond).toFixed(1)} %`,
      `${(ours.p50 / them.p50).toFixed(2)} x`,
      `${(ours.p99 / them.p99).toFixed(2)} x`,
      `${(ours.cpu / them.cpu).toFixed(2)} x`,
    ]
    process.stdout.write(row([`ours / ${other}`, ...ratios]))
  }
}

async function startOurs(): Promise<Contestant> {
  const { dist, profile } = values
  const port = await freePort()
  execFileSync(
    join(dist, 'mtpolicyctl'),
    [
      ...['--root', root, 'set', `mtpolicyd/port=${port}`, 'mtpolicyd/threshold=1000000000'],
      `mtpolicyd/durability=${values.durability}`,
    ],
    { stdio: 'ignore' },
  )
  return startDaemon({ name: 'ours', dist, root, port, profile })
}

const load = compileLoad()
const addresses = germanAddresses(values.dist)
const root = mkdtempSync(join(tmpdir(), 'mtpolicyd-bench-'))
const contestants: Contestant[] = []
let isExact = false
try {
  const floorFile = join(root, 'floor.sqlite')
  contestants.push(await startServer('echo', []))
  contestants.push(await startServer('floor', [floorFile, values.users, values.durability]))
  contestants.push(await startOurs())

  let number = 1
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const contestant of contestants) {
      const { connections, users, seconds } = values
      contestant.rounds.push(
        runRound(contestant, {
          load,
          addresses,
          connections: Number(connections),
          users: Number(users),
          seconds: Number(seconds),
          number: number++,
        }),
      )
    }
  }
  await Promise.all(contestants.map(stop))

  const bytes = contestants[0]?.rounds[0]?.requestBytes.toFixed(0)
  process.stdout.write(
    `${values.connections} connections, ${values.users} users, durability ${values.durability}, ${bytes} bytes, ` +
      `median of ${values.rounds} rounds of ${values.seconds} s\n\n`,
  )
  printTable(contestants)
  process.stdout.write('\n')
  const exact = contestants.slice(1).map(contestant => {
    const ledger = join(root, 'var/lib/univention-mtpolicyd/ledger.sqlite')
    return checkCounts(contestant, contestant.name === 'ours' ? ledger : floorFile)
  })
  isExact = exact.every(Boolean)
} finally {
  await Promise.all(contestants.map(stop))
  rmSync(root, { recursive: true, force: true })
}
process.exitCode = isExact ? 0 : 1
