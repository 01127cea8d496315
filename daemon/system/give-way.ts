/** Threads that have time. */

import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'

/**
 * This thread gets what the others leave over; where that is not possible, nothing is lost but time.
 *
 * @param nice 1 to 19, as in nice(1).
 */
export function giveWay(nice: number): void {
  try {
    const thread = readlinkSync('/proc/thread-self').split('/').at(-1)
    setPriority(Number(thread), nice)
  } catch {
    // Not on this system.
  }
}
