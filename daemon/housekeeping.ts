/**
 * What the ledger needs now and then: counts go into their file, old days are forgotten, a file that
 * is damaged or gone is mended, a backup is made.
 *
 * One after the other: while a backup is under way the disk is busy, and folding waits for the disk.
 * In small steps: no request waits for them.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerSlot } from './ledger-slot.ts'
import type { Clock } from './policy/clock.ts'
import { describeError } from './policy/errors.ts'
import type { Log } from './policy/log.ts'
import { seldom } from './policy/seldom.ts'
import { calendarDays } from './policy/window.ts'

/** Days of counts that are kept, for reports. */
const KEPT_DAYS = 90
const DAY = 86_400_000
const LOOK_MILLISECONDS = 1000
const FOLD_MILLISECONDS = 60_000
const BACKUP_MILLISECONDS = 3_600_000
/** Between two steps. */
const STEP_MILLISECONDS = 5
/** To try whether a large file can be written again holds everybody up: for so much of the time at most. */
const TRIES_ARE_ONE_IN = 100

export interface HousekeepingOptions {
  readonly slot: LedgerSlot
  readonly clock: Clock
  readonly log: () => Log
  /** Time zone of the counts' days, an IANA name; undefined is the host's. */
  readonly timezone: () => string | undefined
}

/** Goes on until it is stopped; does not keep the process alive. */
export function startHousekeeping({ slot, clock, log, timezone }: HousekeepingOptions): {
  /** Mends once more: the disk may have become well since it last looked. */
  stop(): Promise<void>
} {
  let foldedAt = clock.elapsed()
  // The first a minute after the start.
  let backedUpAt = clock.elapsed() - BACKUP_MILLISECONDS + FOLD_MILLISECONDS
  /** No more tries to mend before that time. */
  let restsUntil = clock.elapsed()
  let isAtWork = false
  const began = { now: clock.now(), elapsed: clock.elapsed() }
  const sayUnfolded = seldom(clock, message => log().error(message))
  const timer = setInterval(() => {
    if (isAtWork) return
    isAtWork = true
    void keepHouse().finally(() => {
      isAtWork = false
    })
  }, LOOK_MILLISECONDS)
  timer.unref()

  async function keepHouse(): Promise<void> {
    if (clock.elapsed() >= restsUntil) await mend()
    if (!slot.isOpen) return
    const now = clock.elapsed()
    if (now - backedUpAt >= BACKUP_MILLISECONDS) {
      backedUpAt = now
      await backUp()
    } else if (slot.isFull || now - foldedAt >= FOLD_MILLISECONDS) {
      foldedAt = now
      await foldAndForget()
    }
  }

  /** A file that was found damaged is replaced, one that can be used again is used again. */
  async function mend(): Promise<void> {
    const before = slot.problem
    const since = clock.elapsed()
    try {
      if (!(await slot.mend(clock.now()))) {
        restsUntil = clock.elapsed() + (clock.elapsed() - since) * TRIES_ARE_ONE_IN
        return
      }
      if (slot.problem !== undefined) log().error(slot.problem)
      else log().notice(`the counts are in their file again; before: ${before}`)
    } catch (error) {
      log().error(`the ledger could not be mended: ${describeError(error)}`)
    }
  }

  async function backUp(): Promise<void> {
    try {
      await slot.backUp()
    } catch (error) {
      log().error(`no backup of the counts: ${describeError(error)}`)
    }
  }

  /** A clock that has jumped ahead by months must not make days of today forgotten. */
  function believed(now: number): number {
    return Math.min(now, began.now + (clock.elapsed() - began.elapsed) + DAY)
  }

  async function foldAndForget(): Promise<void> {
    const now = clock.now()
    const oldest = calendarDays(timezone())(believed(now) - KEPT_DAYS * DAY).name
    try {
      slot.ledger.expire(now)
      while (slot.isOpen && slot.forget(oldest)) {
        await sleep(STEP_MILLISECONDS, undefined, { ref: false })
      }
    } catch (error) {
      sayUnfolded(`counts could not be brought into their file: ${describeError(error)}`)
    }
  }

  return {
    async stop() {
      clearInterval(timer)
      if (!isAtWork) await mend()
    },
  }
}
