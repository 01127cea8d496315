/** The daemon below tiny-systemd.pl, which holds its sockets and listens to its messages. */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { dist } from './daemon.ts'
import { until } from './policy-client.ts'

export interface TinySystemd {
  start(): void
  stop(): void
  /** kill -9, and started again as soon as it has ended, as Restart= does. */
  killAndStart(): Promise<void>
  /** All that was said so far, by it and by the daemon. */
  readonly said: string
  /** Waits for a text; what is said before `after` does not count. */
  hear(text: string, after?: number): Promise<void>
  /** Waits until the text has been said so many times. */
  hearTimes(text: string, times: number): Promise<void>
  /** Ends the daemon and itself. */
  end(): Promise<void>
}

/** @param streams 127.0.0.1:PORT, [::1]:PORT or /PATH, handed over to `mtpolicyd ARGV`. */
export function startTinySystemd(
  directory: string,
  streams: readonly string[],
  argv: readonly string[],
): TinySystemd {
  const script = join(import.meta.dirname, 'tiny-systemd.pl')
  const program = join(dist, 'mtpolicyd')
  const all = [script, join(directory, 'notify'), ...streams, '--', program, ...argv]
  const child = spawn('perl', all, { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const systemd: TinySystemd = {
    start: () => void child.stdin.write('start\n'),
    stop: () => void child.stdin.write('stop\n'),
    async killAndStart() {
      const before = said.length
      const pid = Number([...said.matchAll(/^started (\d+)$/gm)].at(-1)?.[1])
      process.kill(pid, 'SIGKILL')
      await systemd.hear('ended ', before)
      systemd.start()
    },
    get said() {
      return said
    },
    hear: (text, after = 0) => until(() => said.includes(text, after)),
    hearTimes: (text, times) => until(() => said.split(text).length > times),
    async end() {
      child.stdin.end()
      await ended
    },
  }
  return systemd
}
