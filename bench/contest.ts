/**
 * What all measurements share: servers as processes of their own, the load generator, and a round
 * of requests. Servers that are compared run at the same time and are queried in turns, so that a
 * busy machine is equally busy for all.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, renameSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type CountryResponse, Reader } from 'maxmind'
import { freePort } from '../test/support/free-port.ts'

const top = join(import.meta.dirname, '..')

/** The options that all of these programs take, in the form of parseArgs. */
export const commonOptions = {
  /** How long a round lasts, without the second before anything is measured. */
  seconds: { type: 'string', default: '2' },
  /** How many rounds each contestant gets; the median is shown. */
  rounds: { type: 'string', default: '5' },
  /** Another build. */
  dist: { type: 'string', default: join(top, 'dist') },
} as const

/** Ends the program if the value is not a positive number. */
export function positive(option: string, text: string): number {
  const number = Number(text)
  if (number > 0 && Number.isFinite(number)) return number
  process.stderr.write(`--${option} ${text}: not a positive number\n`)
  process.exit(64)
}

interface Round {
  readonly answered: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly requestBytes: number
  readonly cpuSeconds: number
}

/** The CPU time of the server itself: the figure that a busy machine disturbs least. */
export interface Measured extends Round {
  readonly serverMicroseconds: number
  /** Of the thread that answers alone. */
  readonly threadMicroseconds: number
}

export interface Contestant {
  readonly name: string
  readonly process: ChildProcess
  readonly port: number
  readonly rounds: Measured[]
}

/** The first compiler that exists builds the load generator. */
export const compilers = ['cc', 'gcc']

export function compileLoad(): string {
  const program = join(top, 'build', 'load')
  mkdirSync(join(top, 'build'), { recursive: true })
  // Under a temporary name first: another benchmark may be about to run the existing one.
  const fresh = `${program}.${process.pid}`
  for (const compiler of compilers) {
    try {
      execFileSync(compiler, ['-O2', '-o', fresh, join(import.meta.dirname, 'load.c')])
      renameSync(fresh, program)
      return program
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  process.stderr.write('bench: the load generator needs a C compiler, and there is no cc or gcc\n')
  process.exit(1)
}

/**
 * Addresses that the daemon's country database locates in Germany: the default policy lets them
 * pass.
 */
export function germanAddresses(dist: string, count = 1000): string {
  const file = readFileSync(join(dist, 'country.mmdb'))
  const reader = new Reader<CountryResponse>(file)
  const found: string[] = []
  // A fixed sequence (xorshift), so that every run uses the same addresses.
  let state = 20261120
  while (found.length < count) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    const address = [24, 16, 8, 0].map(shift => (state >>> shift) & 255).join('.')
    if (reader.get(address)?.country?.iso_code === 'DE') found.push(address)
  }
  return found.join('\n')
}

/** A server of ours that prints its port. */
export function startServer(name: string, args: readonly string[]): Promise<Contestant> {
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

export interface DaemonOptions {
  readonly name: string
  readonly dist: string
  /** Its `--root`. */
  readonly root: string
  readonly port: number
  /** In addition to --root and -f. */
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Write a CPU profile to this folder. */
  readonly profile?: string | undefined
}

export async function startDaemon(options: DaemonOptions): Promise<Contestant> {
  const { name, dist, root, port, args = [], env = {}, profile } = options
  const log = openSync(join(root, 'log'), 'a')
  const profiling =
    profile === undefined
      ? {}
      : { NODE_OPTIONS: `--cpu-prof --cpu-prof-interval=250 --cpu-prof-dir=${profile}` }
  const child = spawn(join(dist, 'mtpolicyd'), ['--root', root, '-f', ...args], {
    stdio: ['ignore', 'ignore', log],
    env: { ...process.env, ...env, ...profiling },
  })
  closeSync(log)
  for (let tries = 0; !(await isListening(port)); tries++) {
    if (tries > 2000 || child.exitCode !== null) {
      throw new Error(`${name} does not listen:\n${readFileSync(join(root, 'log'), 'utf8')}`)
    }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  return { name, process: child, port, rounds: [] }
}

/**
 * The default policy with a limit that nobody reaches and, unless `settings` say otherwise, without a
 * history, as variables below `root`; its port.
 */
export async function setDefaultPolicy(
  dist: string,
  root: string,
  settings: readonly string[] = [],
): Promise<number> {
  const port = await freePort()
  const all = [
    `mtpolicyd/port=${port}`,
    'mtpolicyd/threshold=1000000000',
    'mtpolicyd/history/days=0',
    'mtpolicyd/alert/mail=none',
    ...settings,
  ]
  execFileSync(join(dist, 'mtpolicyctl'), ['--root', root, 'set', ...all], { stdio: 'ignore' })
  return port
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

export function firstAnswer(port: number): Promise<void> {
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

/** Each has sent one request, like an smtpd process that waits for its next client. */
export async function openIdle(port: number, count: number): Promise<Socket[]> {
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

export function kilobytesOf({ process: { pid } }: Contestant): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
}

export interface RoundOptions {
  /** The load generator, and the client addresses to use, one per line. */
  readonly load: string
  readonly addresses: string
  readonly connections: number
  readonly users: number
  readonly seconds: number
  /** Seconds before anything is measured; default: 1. */
  readonly warmup?: number
  /** 1 to 65535; messages of different rounds are different messages. */
  readonly number: number
}

export function runRound(contestant: Contestant, options: RoundOptions): Measured {
  const { load, addresses, connections, users, seconds, number, warmup = 1 } = options
  const { port, process: server } = contestant
  const before = cpuSeconds(`${server.pid}`)
  const mainThread = `${server.pid}/task/${server.pid}`
  const threadBefore = cpuSeconds(mainThread)
  const args = ['127.0.0.1', port, connections, users, warmup, seconds, number]
  const output = execFileSync(load, args.map(String), {
    input: addresses,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  // The line is written by load.c, one field per member of Round.
  const round = JSON.parse(output) as Round
  const perRequest = (seconds: number): number => (seconds * 1e6) / round.answered
  return {
    ...round,
    serverMicroseconds: perRequest(cpuSeconds(`${server.pid}`) - before),
    threadMicroseconds: perRequest(cpuSeconds(mainThread) - threadBefore),
  }
}

/** User and system time of a process, or of a thread below it; Linux counts it in hundredths (proc(5)). */
function cpuSeconds(below: string): number {
  const fields = readFileSync(`/proc/${below}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

export function stop(
  { process: child }: Contestant,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.removeAllListeners('exit')
    child.once('exit', () => resolve())
    child.kill(signal)
  })
}

export const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
