/**
 * A clock that the test turns. Nothing happens until `advance` is called; it then runs every timer that
 * has become due, in order, each at its own time, and lets promises settle in between.
 *
 *   const clock = virtualClock()
 *   startHousekeeping({ clock, … })
 *   await clock.advance(60_000)
 */

import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import type { Clock } from '../../daemon/system/clock.ts'

export interface VirtualClock extends Clock {
  /** Lets this many milliseconds pass. */
  advance(milliseconds: number): Promise<void>
  /** Changes the wall clock alone, as ntpd or an administrator does. */
  jump(milliseconds: number): void
  /** Timers that are waiting: 0 once everything has been stopped. */
  readonly pending: number
}

interface Timer {
  readonly due: number
  readonly run: () => void
}

/** Noon of an ordinary day, UTC. */
const NOON = Date.UTC(2026, 10, 20, 12)

export function virtualClock(start = NOON): VirtualClock {
  let elapsed = 0
  let wall = start
  /** In the order in which they were set. */
  const timers = new Set<Timer>()

  function passTo(time: number): void {
    wall += time - elapsed
    elapsed = time
  }

  /** The one due first; of several the one that was set first. */
  function nextUntil(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of timers) {
      if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer
    }
    return next
  }

  const clock: VirtualClock = {
    now: () => wall,
    elapsed: () => elapsed,
    after(milliseconds, run) {
      const timer = { due: elapsed + Math.max(0, milliseconds), run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    sleep(milliseconds, signal) {
      return new Promise((resolve, reject) => {
        signal?.throwIfAborted()
        const abort = (): void => {
          cancel()
          reject(signal?.reason)
        }
        const cancel = clock.after(milliseconds, () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        })
        signal?.addEventListener('abort', abort, { once: true })
      })
    },
    async advance(milliseconds) {
      const end = elapsed + milliseconds
      await turnOfTheLoop()
      for (let timer = nextUntil(end); timer !== undefined; timer = nextUntil(end)) {
        timers.delete(timer)
        passTo(timer.due)
        timer.run()
        await turnOfTheLoop()
      }
      passTo(end)
    },
    jump(milliseconds) {
      wall += milliseconds
    },
    get pending() {
      return timers.size
    },
  }
  return clock
}
