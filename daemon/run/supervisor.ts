/**
 * What systemd passes to the daemon and wants to know from it: listening sockets (sd_listen_fds(3)),
 * readiness, one line of status, and a sign of life from the event loop (sd_notify(3),
 * sd_watchdog_enabled(3)).
 *
 * Without systemd all of this does nothing. A message that cannot be sent is logged and has no other
 * consequence. Messages go through notify.c, because Node has no unix datagram sockets; systemd-notify(1)
 * would be a process per message and need NotifyAccess=all.
 */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import { type Cancel, type Clock, systemClock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'

export interface Supervisor {
  /** Is the daemon supervised? Then systemd also acts on its exit status. */
  readonly isPresent: boolean
  /** Descriptors of inherited listening sockets. */
  readonly sockets: readonly number[]
  /** The daemon answers requests, at the start or after a reload. */
  ready(status: string): void
  reloading(): void
  stopping(): void
}

/** Sends lines such as `READY=1`; throws if they cannot be delivered. */
export type Notify = (socket: string, text: string) => void

export interface SupervisorOptions {
  /** What is meant for this process alone is removed, so that no child process acts on it. */
  readonly env: NodeJS.ProcessEnv
  readonly pid: number
  readonly notify: Notify
  readonly warn: (message: string) => void
  readonly clock?: Clock
}

/** SD_LISTEN_FDS_START */
const FIRST_SOCKET = 3
const OURS = [
  'LISTEN_PID',
  'LISTEN_FDS',
  'LISTEN_FDNAMES',
  'LISTEN_PIDFDID',
  'NOTIFY_SOCKET',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
]
const TRIES = 20
const AGAIN_MILLISECONDS = 250

export function supervisorOf(options: SupervisorOptions): Supervisor {
  const { env, pid, notify, warn, clock = systemClock } = options
  const count = Number(env.LISTEN_PID) === pid ? Number(env.LISTEN_FDS) || 0 : 0
  const socket = env.NOTIFY_SOCKET ?? ''
  const isWatched = env.WATCHDOG_PID === undefined || Number(env.WATCHDOG_PID) === pid
  const watchdogMilliseconds = isWatched ? (Number(env.WATCHDOG_USEC) || 0) / 1000 : 0
  for (const name of OURS) delete env[name]

  let cancelWatchdog: Cancel | undefined
  let newest = 0

  /** systemd may be busy for a moment; a newer message makes an older one pointless. */
  function tell(lines: readonly string[], tries = TRIES, number = ++newest): void {
    if (socket === '' || number !== newest) return
    try {
      notify(socket, lines.join('\n'))
    } catch (error) {
      if (tries > 1) {
        clock.after(AGAIN_MILLISECONDS, () => tell(lines, tries - 1, number))
        return
      }
      warn(`could not notify systemd (${lines.join(' ')}): ${describeError(error)}`)
    }
  }

  /** From a timer of the event loop, so that a loop that hangs sends no sign of life. */
  function watch(): void {
    if (watchdogMilliseconds <= 0) return
    cancelWatchdog = clock.after(watchdogMilliseconds / 3, () => {
      watch()
      try {
        notify(socket, 'WATCHDOG=1')
      } catch {
        // The next one is due before systemd acts.
      }
    })
  }

  return {
    isPresent: socket !== '',
    sockets: Array.from({ length: count }, (_, at) => FIRST_SOCKET + at),
    ready(status) {
      if (socket !== '' && cancelWatchdog === undefined) watch()
      tell(['READY=1', `STATUS=${status.replace(/\s+/g, ' ')}`])
    },
    reloading() {
      tell(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`])
    },
    stopping() {
      cancelWatchdog?.()
      tell(['STOPPING=1'], 1)
    },
  }
}

/** Through the first addon that exists, loaded with the first message: only under systemd. */
export function addonNotify(addons: readonly string[]): Notify {
  let send: ((socket: string, text: string) => number) | undefined
  return (socket, text) => {
    if (!send) {
      const path = addons.find(addon => existsSync(addon))
      if (path === undefined) throw new Error('notify.node is missing: built without a C compiler?')
      // Built from notify.c, which has this function.
      send = (createRequire(import.meta.url)(path) as { send: typeof send }).send
    }
    const error = send?.(socket, text) ?? 0
    if (error !== 0) throw new Error(getSystemErrorName(-error))
  }
}
