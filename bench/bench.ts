/**
 * `make bench`: the real daemon with its default policy, beside a bare echo and the floor.
 *
 * The three run at the same time and are asked in turns, in short rounds, so that a busy machine
 * is equally busy for all; what counts are the ratios of one run. Every answer is looked at by the
 * load generator, and at the end the ledger must hold exactly what was answered.
 *
 *   bench/bench.ts [--connections 16] [--users 10000] [--seconds 4] [--rounds 3]
 *                  [--dist DIR] [--profile DIR]
 *
 * `--dist` measures another build, `--profile` leaves a CPU profile of the daemon in DIR.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import { type CountryResponse, Reader } from 'maxmind'

const top = join(import.meta.dirname, '..')
const WARMUP_SECONDS = 1
const ADDRESSES = 1000

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '16' },
    users: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    dist: { type: 'string', default: join(top, 'dist') },
    profile: { type: 'string' },
  },
})

interface Round {
  readonly answered: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly requestBytes: number
  readonly cpuSeconds: number
}

/** With what the server itself used: the number that a busy machine disturbs least. */
interface Measured extends Round {
  readonly serverMicroseconds: number
}

interface Contestant {
  readonly name: string
  readonly process: ChildProcess
  readonly port: number
  readonly rounds: Measured[]
}

function compileLoad(): string {
  const program = join(top, 'build', 'load')
  mkdirSync(join(top, 'build'), { recursive: true })
  for (const compiler of ['cc', 'gcc']) {
    try {
      execFileSync(compiler, ['-O2', '-o', program, join(import.meta.dirname, 'load.c')])
      return program
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  process.stderr.write('bench: the load generator needs a C compiler, and there is no cc or gcc\n')
  process.exit(1)
}

/** Addresses that the database the daemon uses calls German: the default policy lets them pass. */
function germanAddresses(): string {
  const file = readFileSync(join(values.dist, 'country.mmdb'))
  const reader = new Reader<CountryResponse>(file)
  const found: string[] = []
  // A fixed sequence (xorshift), so that every run asks about the same addresses.
  let state = 20261120
  while (found.length < ADDRESSES) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const address = [24, 16, 8, 0].map(shift => (state >>> shift) & 255).join('.')
    if (reader.get(address)?.country?.iso_code === 'DE') found.push(address)
  }
  return found.join('\n')
}

/** A server of ours that prints its port. */
function startServer(name: string, args: readonly string[]): Promise<Contestant> {
  const child = spawn(process.execPath, [join(import.meta.dirname, `${name}.ts`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', status => reject(new Error(`${name} ended with ${status}`)))
    child.stdout.once('data', (line: Buffer) =>
      resolve({ name, process: child, port: Number(line.toString()), rounds: [] }),
    )
  })
}

async function startDaemon(root: string): Promise<Contestant> {
  const port = await freePort()
  execFileSync(
    join(values.dist, 'mtpolicyctl'),
    ['--root', root, 'set', `mtpolicyd/port=${port}`, 'mtpolicyd/threshold=1000000000'],
    { stdio: 'ignore' },
  )
  const log = openSync(join(root, 'log'), 'a')
  const profiling = values.profile
    ? ['--cpu-prof', '--cpu-prof-interval=250', `--cpu-prof-dir=${values.profile}`]
    : []
  const child = spawn(
    join(values.dist, 'node'),
    [...profiling, join(values.dist, 'mtpolicyd.mjs'), '--root', root, '-f'],
    { stdio: ['ignore', 'ignore', log] },
  )
  closeSync(log)
  for (let tries = 0; !(await isListening(port)); tries++) {
    if (tries > 200 || child.exitCode !== null) {
      throw new Error(`the daemon does not listen:\n${readFileSync(join(root, 'log'), 'utf8')}`)
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return { name: 'ours', process: child, port, rounds: [] }
}

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const address = probe.address()
      const port = typeof address === 'object' && address ? address.port : 0
      probe.close(() => resolve(port))
    })
  })
}

function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect(port, '127.0.0.1')
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}

function runRound(
  load: string,
  addresses: string,
  { port, process: server }: Contestant,
  number: number,
): Measured {
  const before = cpuSeconds(server.pid)
  const args = ['127.0.0.1', port, values.connections, values.users]
  const times = [WARMUP_SECONDS, values.seconds, number]
  const output = execFileSync(load, [...args, ...times].map(String), {
    input: addresses,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  // The line is written by load.c, one field per member of Round.
  const round = JSON.parse(output) as Round
  const used = cpuSeconds(server.pid) - before
  return { ...round, serverMicroseconds: (used * 1e6) / round.answered }
}

/** User and system time of a process, all threads; Linux counts it in hundredths (proc(5)). */
function cpuSeconds(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function stop({ process: child }: Contestant): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.removeAllListeners('exit')
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

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

const load = compileLoad()
const addresses = germanAddresses()
const root = mkdtempSync(join(tmpdir(), 'mtpolicyd-bench-'))
const contestants: Contestant[] = []
let isExact = false
try {
  const floorFile = join(root, 'floor.sqlite')
  contestants.push(await startServer('echo', []))
  contestants.push(await startServer('floor', [floorFile, values.users]))
  contestants.push(await startDaemon(root))

  let number = 1
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const contestant of contestants) {
      contestant.rounds.push(runRound(load, addresses, contestant, number++))
    }
  }
  await Promise.all(contestants.map(stop))

  const bytes = contestants[0]?.rounds[0]?.requestBytes.toFixed(0)
  process.stdout.write(
    `${values.connections} connections, ${values.users} users, END-OF-MESSAGE, ${bytes} bytes, ` +
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
