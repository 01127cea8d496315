/**
 * The real program from dist/ with its default policy, below a directory of its own.
 *
 *   const daemon = await installDaemon({ 'mtpolicyd/threshold': '5' })
 *   await daemon.start()
 *   ...
 *   await daemon.remove()
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './free-port.ts'

export { freePort }

export const dist = join(import.meta.dirname, '../../dist')

export interface Finished {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface InstalledDaemon {
  readonly root: string
  readonly port: number
  /** Resolves when it answers. */
  start(): Promise<void>
  /** SIGTERM, and wait for its end; the exit status. */
  stop(): Promise<number | null>
  /** kill -9. */
  kill(): Promise<void>
  readonly pid: number | undefined
  /** Runs mtpolicyctl; never throws for its exit status. */
  ctl(...argv: string[]): Promise<Finished>
  /** Everything logged since the installation. */
  log(): string
  /** Waits for a line: under load lines are written a few milliseconds after the answer. */
  logged(pattern: RegExp): Promise<boolean>
  remove(): Promise<void>
}

export function runProgram(program: string, ...argv: string[]): Promise<Finished> {
  return new Promise(resolve => {
    execFile(program, argv, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 255
      resolve({ status, stdout, stderr })
    })
  })
}

const PATIENCE_MILLISECONDS = 60_000

/** @param by a program that starts it, with its arguments. */
export async function installDaemon(
  variables: Readonly<Record<string, string>> = {},
  by: readonly string[] = [],
): Promise<InstalledDaemon> {
  const root = mkdtempSync(join(tmpdir(), 'mtpolicyd-'))
  const port = await freePort()
  const logFile = join(root, 'log')
  const log = openSync(logFile, 'a')
  let child: ChildProcess | undefined
  let ended: Promise<number | null> = Promise.resolve(null)

  const ctl = (...argv: string[]): Promise<Finished> =>
    runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)

  // Nobody is to get mail from a test.
  const settings = {
    'mtpolicyd/port': String(port),
    'mtpolicyd/alert/mail': 'none',
    ...variables,
  }
  const set = await ctl(
    'set',
    ...Object.entries(settings).map(([name, value]) => `${name}=${value}`),
  )
  if (set.status !== 0) throw new Error(`mtpolicyctl set: ${set.stdout}${set.stderr}`)

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    child?.kill(signal)
    const status = await ended
    child = undefined
    return status
  }

  return {
    root,
    port,
    get pid() {
      return child?.pid
    },
    ctl,
    async start() {
      const [program = '', ...argv] = [...by, join(dist, 'mtpolicyd'), '--root', root, '-f']
      const started = spawn(program, argv, {
        stdio: ['ignore', log, log],
        cwd: root,
      })
      child = started
      ended = new Promise(resolve => started.once('exit', resolve))
      await answers(port, () => started.exitCode !== null, logFile)
    },
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL')
    },
    log: () => readFileSync(logFile, 'utf8'),
    async logged(pattern) {
      for (let tries = 0; tries < 1500; tries++) {
        if (pattern.test(readFileSync(logFile, 'utf8'))) return true
        await sleep(20)
      }
      return false
    },
    async remove() {
      await end('SIGKILL')
      rmSync(root, { recursive: true, force: true })
    },
  }
}

/** Waits until something listens on the port. */
async function answers(port: number, isGone: () => boolean, logFile: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MILLISECONDS
  while (Date.now() < deadline && !isGone()) {
    const isOpen = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
    if (isOpen) return
    await sleep(20)
  }
  throw new Error(`the daemon does not listen: ${readFileSync(logFile, 'utf8')}`)
}

/** Asks one request on a connection of its own; the answer's lines as one text, or undefined if there was none. */
export function askPort(
  port: number,
  attributes: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.setTimeout(PATIENCE_MILLISECONDS, () => reject(new Error('no answer')))
    socket.setEncoding('utf8')
    socket.once('error', reject)
    socket.on('data', chunk => {
      text += chunk
      if (!text.endsWith('\n\n')) return
      resolve(text.trimEnd())
      socket.destroy()
    })
    socket.once('close', () => resolve(undefined))
    const lines = Object.entries(attributes).map(([name, value]) => `${name}=${value}\n`)
    socket.write(`${lines.join('')}\n`)
  })
}
