/** The daemon below tiny-systemd.pl, which holds its sockets and listens to its messages. */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { dist } from './daemon.ts'
import { until } from './policy-client.ts'

export interface TinySystemd {
  start(): void
  stop(): void
  /** Does not read what is said, as a log that has stopped; until it is told to read on. */
  deafen(isDeaf: boolean): void
  /** All that was said so far, by it and by the daemon. */
  readonly said: string
  /** Waits for a text; what is said before `after` does not count. */
  hear(text: string, after?: number): Promise<void>
  /** Waits until the text has been said so many times. */
  hearTimes(text: string, times: number): Promise<void>
  /** Ends the daemon and itself. */
  end(): Promise<void>
}

export interface TinySystemdOptions {
  /** Start it again so many milliseconds after it has ended by itself. */
  readonly restartMilliseconds?: number
  readonly env?: NodeJS.ProcessEnv
}

/** @param streams 127.0.0.1:PORT, [::1]:PORT or /PATH, handed over to `mtpolicyd ARGV`. */
export function startTinySystemd(
  directory: string,
  streams: readonly string[],
  argv: readonly string[],
  { restartMilliseconds, env = {} }: TinySystemdOptions = {},
): TinySystemd {
  const script = join(import.meta.dirname, 'tiny-systemd.pl')
  const program = join(dist, 'mtpolicyd')
  const all = [script, join(directory, 'notify'), ...streams, '--', program, ...argv]
  const child = spawn('perl', all, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let said = ''
  let isWanted = false
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (restartMilliseconds === undefined || !/^ended /m.test(text)) return
    setTimeout(() => {
      if (isWanted) child.stdin.write('start\n')
    }, restartMilliseconds)
  })
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  return {
    start() {
      isWanted = true
      child.stdin.write('start\n')
    },
    stop() {
      isWanted = false
      child.stdin.write('stop\n')
    },
    deafen(isDeaf) {
      if (isDeaf) child.stderr.pause()
      else child.stderr.resume()
    },
    get said() {
      return said
    },
    hear: (text, after = 0) => until(() => said.includes(text, after)),
    hearTimes: (text, times) => until(() => said.split(text).length > times),
    async end() {
      isWanted = false
      child.stdin.end()
      await ended
    },
  }
}
