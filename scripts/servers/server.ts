/**
 * One way to run a real server for a test: from Debian's package, in a folder of its own, on a free
 * port of loopback, ended by its pid. Nothing system-wide is read, written or stopped.
 *
 * A server is described by a ServerKind, one file each beside this one; scripts/test-servers.ts
 * lists them. Root gives its rights away first, because most servers refuse to have them. Should
 * the test die, the kernel ends the server.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import {
  accessSync,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../test/support/free-port.ts'

export interface ServerKind {
  /** Debian's package, for the message if it is missing. */
  readonly package: string
  /**
   * All programs it needs: names, or patterns of paths; if several files match, the last one is
   * used.
   */
  readonly programs: readonly string[]
  /** The user it runs as if the tests run as root; nobody if there is no such user. */
  readonly user: string
  /** Default: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals
  /** Preparation that is done once, before the first start. */
  prepare?(place: Place): Promise<void>
  /** The program, to run in the foreground, and its arguments; `args` of the options follow them. */
  command(place: Place): readonly string[]
  /** Is it ready? Called until it is. Default: it accepts a connection on its port. */
  isReady?(place: Place): Promise<boolean>
}

/** The surroundings of a server. */
export interface Place {
  /** A folder of its own; the user it runs as may write to it. */
  readonly folder: string
  readonly port: number
  /** The path of its unix socket, if it has one. */
  readonly socket: string
  /** The path of a program. Throws if it is missing. */
  program(name: string): string
  /** Runs a program to its end, as the server's user; returns its output. */
  run(program: string, ...args: string[]): Promise<string>
  /** Puts a file into the folder, readable only for the server's user; returns its path. */
  write(name: string, content: string): string
}

export interface ServerOptions {
  /** More arguments, after those of its kind. */
  readonly args?: readonly string[]
  /** Files in its folder that it needs at startup, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** Instead of a free port. */
  readonly port?: number
}

export interface TestServer extends Place {
  /** Process id of the running server; undefined while it is stopped. */
  readonly pid: number | undefined
  /** Starts it again, on the same port and with its data. Resolves when it accepts connections. */
  start(): Promise<void>
  /** Stops it, in order or with SIGKILL. Its folder is kept. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /**
   * Sends a signal to it and its children. SIGSTOP results in a server that listens but does not
   * answer.
   */
  signal(signal: NodeJS.Signals): void
  /** Its output. */
  output(): string
  /** Stops it and removes its folder. */
  remove(): Promise<void>
}

/** How long a test waits for a server on a busy machine. */
const PATIENCE_MS = 60_000
/** How long SIGSTOP may take to reach every thread. */
const FREEZE_MS = 2000
/** A server that has not stopped after this time is killed. */
const STOP_MS = 10_000

/** The signal arrives a little later in each thread; until then the server still answers. */
function waitUntilFrozen(pids: readonly number[]): void {
  const latest = performance.now() + FREEZE_MS
  const clock = new Int32Array(new SharedArrayBuffer(4))
  const isFrozen = (pid: number): boolean =>
    globSync(`/proc/${pid}/task/*/stat`).every(path => /\) [TtZX] /.test(readStat(path)))
  while (!pids.every(isFrozen) && performance.now() < latest) Atomics.wait(clock, 0, 0, 1)
}

/** Empty for a thread that has ended meanwhile. */
function readStat(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ') X '
  }
}

/** The programs that are not installed. */
export function missingPrograms(programs: readonly string[]): readonly string[] {
  return programs.filter(name => findProgram(name) === undefined)
}

function findProgram(name: string): string | undefined {
  if (name.startsWith('/')) return globSync(name).toSorted(byVersion).at(-1)
  // Includes the administrator's folders if they are missing from an ordinary user's PATH.
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']
  return folders.map(folder => join(folder, name)).find(canRun)
}

function byVersion(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export async function runServer(kind: ServerKind, options: ServerOptions): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'server-'))
  const logFile = join(folder, 'output')
  const owner = process.getuid?.() === 0 ? ownerNamed(kind.user) : undefined
  let child: ChildProcess | undefined

  const place: Place = {
    folder,
    port: options.port ?? (await freePort()),
    socket: join(folder, 'socket'),
    program(name) {
      const path = findProgram(name)
      if (path === undefined) throw new Error(`${name} is not installed (${kind.package})`)
      return path
    },
    run: (program, ...args) =>
      new Promise((resolve, reject) => {
        const { file, args: all } = asOwner(program, args)
        execFile(file, all, { cwd: folder, maxBuffer: 2 ** 24 }, (error, stdout, stderr) =>
          error ? reject(new Error(`${program}: ${stderr || error.message}`)) : resolve(stdout),
        )
      }),
    write(name, content) {
      const path = join(folder, name)
      mkdirSync(join(path, '..'), { recursive: true })
      writeFileSync(path, content, { mode: 0o600 })
      if (owner) chownSync(path, owner.uid, owner.gid)
      return path
    },
  }

  /** The kernel ends the program with its parent: no server outlives a test that was killed. */
  function asOwner(program: string, args: readonly string[]) {
    const identity = owner ? [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'] : []
    const file = place.program('setpriv')
    return { file, args: ['--pdeathsig=KILL', ...identity, program, ...args] }
  }

  async function start(): Promise<void> {
    const [program = '', ...args] = kind.command(place)
    const command = asOwner(program, [...args, ...(options.args ?? [])])
    const output = openSync(logFile, 'a')
    const started = spawn(command.file, command.args, {
      cwd: folder,
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    child = started
    started.once('exit', () => {
      if (child === started) child = undefined
    })
    const isReady = kind.isReady ?? (({ port }: Place) => accepts(port))
    const latest = performance.now() + PATIENCE_MS
    while (!(await isReady(place))) {
      if (child !== started || performance.now() > latest) {
        await stop('SIGKILL')
        throw new Error(`${program} did not start: ${server.output().slice(-2000)}`)
      }
      await sleep(50)
    }
  }

  async function stop(signal = kind.stopSignal ?? 'SIGTERM'): Promise<void> {
    const stopping = child
    if (!stopping?.pid) return
    const all = family(stopping.pid)
    const ended = new Promise(resolve => stopping.once('exit', resolve))
    if (signal === 'SIGKILL') server.signal(signal)
    else stopping.kill(signal)
    // A server that a test has frozen receives its signal only after this.
    server.signal('SIGCONT')
    const impatient = setTimeout(() => server.signal('SIGKILL'), STOP_MS)
    await ended
    while (all.some(pid => existsSync(`/proc/${pid}`))) await sleep(10)
    clearTimeout(impatient)
  }

  const server: TestServer = {
    ...place,
    get pid() {
      return child?.pid
    },
    start,
    stop,
    signal(name) {
      const all = child?.pid === undefined ? [] : family(child.pid)
      for (const pid of all) {
        try {
          process.kill(pid, name)
        } catch {
          // It has ended meanwhile.
        }
      }
      if (name === 'SIGSTOP') waitUntilFrozen(all)
    },
    output: () => readFileSync(logFile, 'utf8'),
    async remove() {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }

  try {
    writeFileSync(logFile, '')
    chmodSync(folder, 0o700)
    if (owner) chownSync(folder, owner.uid, owner.gid)
    for (const [name, content] of Object.entries(options.files ?? {})) place.write(name, content)
    await kind.prepare?.(place)
    await start()
  } catch (error) {
    await server.remove()
    throw error
  }
  return server
}

/** A process and its children. */
function family(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`
  const children = existsSync(file) ? readFileSync(file, 'utf8') : ''
  return [pid, ...children.split(' ').filter(Boolean).map(Number)]
}

function ownerNamed(user: string): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8')
  const [, uid = 65534, gid = 65534] =
    new RegExp(`^${user}:[^:]*:(\\d+):(\\d+):`, 'm').exec(users) ?? []
  return { uid: Number(uid), gid: Number(gid) }
}

/** Does anything accept connections on this port or socket? */
export function accepts(where: number | string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
