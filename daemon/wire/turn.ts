/**
 * One turn of the event loop: answers decided in it are sent together, once the counts behind
 * them are durable. Fifty requests that arrive at once cost one write.
 *
 * Where a write is cheap, a large turn is split: with a thousand connections the first answers are sent
 * while the last requests are still to be read.
 */

import type { MaybePromise } from '../policy/plugin.ts'

/**
 * @param settle makes decisions durable; false if that failed.
 * @param most answers that wait for each other; read at each turn.
 */
export function makeTurn(
  settle: () => MaybePromise<boolean>,
  most: () => number = () => Number.POSITIVE_INFINITY,
): (leave: Leave) => void {
  let waiting: Leave[] = []
  let isDue = false

  function endTurn(): void {
    isDue = false
    flush()
  }

  function flush(): void {
    if (waiting.length === 0) return
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
    // Not at once: the caller is in the middle of something.
    if (waiting.length === most()) queueMicrotask(flush)
    if (!isDue) {
      isDue = true
      setImmediate(endTurn)
    }
  }
}

/** Sends an answer. `isDurable` tells whether the counts behind it were kept. */
export type Leave = (isDurable: boolean) => void
