/**
 * One turn of the event loop: all answers that were decided in it leave together, after what they
 * rest on is durable. So fifty requests that arrive at once cost one commit.
 */

import type { MaybePromise } from '../policy/plugin.ts'

/** @param settle makes the turn's decisions durable; false if that failed. */
export function makeTurn(settle: () => MaybePromise<boolean>): (leave: Leave) => void {
  let waiting: Leave[] = []
  let isDue = false

  function flush(): void {
    isDue = false
    const leaving = waiting
    waiting = []
    const durable = settle()
    const release = (isDurable: boolean): void => {
      for (const leave of leaving) leave(isDurable)
    }
    if (durable instanceof Promise) durable.then(release, () => release(false))
    else release(durable)
  }

  return leave => {
    waiting.push(leave)
    if (!isDue) {
      isDue = true
      setImmediate(flush)
    }
  }
}

/** Sends an answer. `isDurable` tells whether the counts behind it were kept. */
export type Leave = (isDurable: boolean) => void
