/** Says something at once, and once a minute as long as it lasts. */

import type { Clock } from './clock.ts'

const AGAIN_MILLISECONDS = 60_000

export function seldom(clock: Clock, say: (message: string) => void): (message: string) => void {
  let saidAt = Number.NEGATIVE_INFINITY
  return message => {
    if (clock.elapsed() - saidAt <= AGAIN_MILLISECONDS) return
    saidAt = clock.elapsed()
    say(message)
  }
}
