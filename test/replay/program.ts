/** The real program from dist/, with a configuration of a test. */

import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { dist } from '../support/daemon.ts'

export const CONFIG_FILE = 'mtpolicyd.conf'
const MTPOLICYD = join(dist, 'mtpolicyd')

/** Where it runs: its configuration is in this folder. */
export interface Stage {
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
}

export interface RunningDaemon {
  isRunning(): boolean
  status(): number | null
  stop(): Promise<void>
  log(): string
}

/** Resolves when it listens or has ended. */
export async function startDaemon(stage: Stage, loglevel: number): Promise<RunningDaemon> {
  const argv = ['-f', '-c', join(stage.folder, CONFIG_FILE), '-l', String(loglevel)]
  const child = spawn(MTPOLICYD, argv, {
    cwd: stage.folder,
    env: { ...process.env, ...stage.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  const ended = new Promise<void>((resolve, reject) => {
    child.once('close', () => resolve())
    child.once('error', reject)
  })
  const ready = new Promise<void>(resolve => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log += text
      if (log.includes('Parent ready for children.')) resolve()
    })
  })
  await Promise.race([ready, ended])
  return {
    isRunning: () => child.exitCode === null && child.signalCode === null,
    status: () => child.exitCode,
    log: () => log,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** The exit status of `mtpolicyd --cron TASKS`. */
export function runCron(stage: Stage, tasks: string): Promise<number> {
  const argv = ['-c', join(stage.folder, CONFIG_FILE), '--cron', tasks]
  const options = { cwd: stage.folder, env: { ...process.env, ...stage.env } }
  return new Promise(resolve => {
    execFile(MTPOLICYD, argv, options, error => {
      resolve(error === null ? 0 : typeof error.code === 'number' ? error.code : 255)
    })
  })
}
