/**
 * Time as an argument, timers included: code that waits is given a clock, so that a test or a replay can run
 * a day in a second.
 */

export interface Clock {
  /** Wall clock, milliseconds since 1970. It can jump in both directions. */
  now(): number
  /** Monotonic, milliseconds from an unspecified start: for durations only. */
  elapsed(): number
  /**
   * Calls `run` once after `milliseconds`, unless the returned function is called first. Any duration is
   * allowed, Infinity included (never). Does not keep the process alive: what has to happen before the
   * process may end uses `sleep`.
   */
  after(milliseconds: number, run: () => void): Cancel
  /**
   * Resolves after `milliseconds`; rejects with the signal's reason as soon as it is aborted. Keeps the
   * process alive, since somebody is waiting for it.
   */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>
}

/** Harmless when called twice or too late. */
export type Cancel = () => void

/** The longest delay of a Node timer; a longer one would fire after 1 ms. */
const MOST_MILLISECONDS = 2 ** 31 - 1

/** As a global it is looked up by a function of Node's, each time. */
const { performance } = globalThis

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),

  after(milliseconds, run) {
    if (milliseconds > MOST_MILLISECONDS) return afterLong(milliseconds, run)
    const timer = setTimeout(run, milliseconds).unref()
    return () => clearTimeout(timer)
  },

  sleep(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const end = (): void => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const timer = setTimeout(end, Math.min(milliseconds, MOST_MILLISECONDS))
      const abort = (): void => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
    })
  },
}

/** In several steps, none of them longer than Node can count. */
function afterLong(milliseconds: number, run: () => void): Cancel {
  let cancel: Cancel
  const step = (left: number): void => {
    const part = Math.min(left, MOST_MILLISECONDS)
    cancel = systemClock.after(part, left > part ? () => step(left - part) : run)
  }
  step(milliseconds)
  return () => cancel()
}
