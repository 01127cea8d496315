/**
 * What the ledger needs now and then: counts are written to its file, old days are deleted, a file that
 * is damaged or was deleted is repaired, a backup is made. And measures whose time has passed are ended.
 *
 * One after the other: during a backup the disk is busy, and folding waits for the disk. In small
 * steps: no request waits for them.
 */

import type { LedgerSlot } from '../ledger/slot.ts'
import { calendar } from '../policy/calendar.ts'
import type { Log } from '../policy/ports/log.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { rateLimited } from '../system/rate-limited.ts'

/** Days of counts that are kept: the longest window, and what time zones may differ by. */
export const KEPT_DAYS = 92
const DAY = 86_400_000
const LOOK_MILLISECONDS = 1000
const FOLD_MILLISECONDS = 60_000
const BACKUP_MILLISECONDS = 3_600_000
/** Between two steps. */
const STEP_MILLISECONDS = 5
/** Probing whether a large file is writable again blocks the event loop; it may take this share of the time at most. */
const PROBES_ARE_ONE_IN = 100

export interface HousekeepingOptions {
  readonly slot: LedgerSlot
  /** Ends measures; may throw. */
  readonly measures?: { keep(now: number): void }
  /** The default is the system's. */
  readonly clock?: Clock
  readonly log: () => Log
  /** Time zone of the counts' days, an IANA name; undefined is the host's. */
  readonly timezone: () => string | undefined
}

/** Runs until it is stopped; does not keep the process alive. */
export function startHousekeeping(options: HousekeepingOptions): Housekeeping {
  return new Housekeeping(options)
}

export class Housekeeping {
  readonly #slot: LedgerSlot
  readonly #measures: HousekeepingOptions['measures']
  readonly #clock: Clock
  readonly #log: () => Log
  readonly #timezone: () => string | undefined
  readonly #began: { readonly now: number; readonly elapsed: number }
  /** When each was last done, by the elapsed time. */
  #foldedAt: number
  #backedUpAt: number
  /** No recovery is tried before. */
  #nextProbeAt: number
  /** No measure is ended before. */
  #nextKeepAt: number
  readonly #reportUnfolded: (message: string) => void
  /** Undefined while it is at work. */
  #cancel: (() => void) | undefined
  #isStopped = false

  constructor({ slot, measures, clock = systemClock, log, timezone }: HousekeepingOptions) {
    this.#slot = slot
    this.#measures = measures
    this.#clock = clock
    this.#log = log
    this.#timezone = timezone
    this.#began = { now: clock.now(), elapsed: clock.elapsed() }
    this.#foldedAt = clock.elapsed()
    // The first one is made a minute after the start.
    this.#backedUpAt = clock.elapsed() - BACKUP_MILLISECONDS + FOLD_MILLISECONDS
    this.#nextProbeAt = clock.elapsed()
    this.#nextKeepAt = clock.elapsed()
    this.#reportUnfolded = rateLimited(clock, message => log().error(message))
    this.#wait()
  }

  /** Tries to recover once more: the disk may be usable again. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const isAtWork = this.#cancel === undefined
    this.#cancel?.()
    if (!isAtWork) await this.#recover()
  }

  #wait(): void {
    if (this.#isStopped) return
    this.#cancel = this.#clock.after(LOOK_MILLISECONDS, () => {
      this.#cancel = undefined
      void this.#keepHouse().finally(() => this.#wait())
    })
  }

  async #keepHouse(): Promise<void> {
    if (this.#clock.elapsed() >= this.#nextKeepAt) this.#keepMeasures()
    if (this.#clock.elapsed() >= this.#nextProbeAt) await this.#recover()
    if (!this.#slot.isOpen) return
    const now = this.#clock.elapsed()
    if (now - this.#backedUpAt >= BACKUP_MILLISECONDS) {
      this.#backedUpAt = now
      await this.#backUp()
    } else if (this.#slot.shouldFoldNow || now - this.#foldedAt >= FOLD_MILLISECONDS) {
      this.#foldedAt = now
      await this.#foldAndForget()
    }
  }

  #keepMeasures(): void {
    try {
      this.#measures?.keep(this.#clock.now())
    } catch (error) {
      // What has ended is not in force any more, whether the records say so or not.
      this.#nextKeepAt = this.#clock.elapsed() + FOLD_MILLISECONDS
      this.#log().error(`could not write the measures: ${describeError(error)}`)
    }
  }

  async #recover(): Promise<void> {
    const slot = this.#slot
    const before = slot.problem
    const since = this.#clock.elapsed()
    try {
      if (!(await slot.recover(this.#clock.now()))) {
        const took = this.#clock.elapsed() - since
        this.#nextProbeAt = this.#clock.elapsed() + took * PROBES_ARE_ONE_IN
        return
      }
      if (slot.problem !== undefined) this.#log().error(slot.problem)
      else this.#log().notice(`the ledger file is in use again; before: ${before}`)
    } catch (error) {
      this.#log().error(`could not repair the ledger: ${describeError(error)}`)
    }
  }

  async #backUp(): Promise<void> {
    try {
      await this.#slot.backUp()
    } catch (error) {
      this.#log().error(`could not back up the ledger: ${describeError(error)}`)
    }
  }

  async #foldAndForget(): Promise<void> {
    const slot = this.#slot
    const now = this.#clock.now()
    const oldest = calendar(this.#timezone())(this.#plausible(now) - KEPT_DAYS * DAY).name
    try {
      await slot.ledger.expire(now)
      while (slot.isOpen && slot.fold()) await this.#pause()
      while (slot.isOpen && slot.forgetBefore(oldest)) await this.#pause()
    } catch (error) {
      this.#reportUnfolded(`could not write counts to the ledger file: ${describeError(error)}`)
    }
  }

  /** Does not keep the process alive, unlike `sleep`. */
  #pause(): Promise<void> {
    return new Promise(resolve => void this.#clock.after(STEP_MILLISECONDS, resolve))
  }

  /** A clock that has jumped ahead by months must not cause recent days to be deleted. */
  #plausible(now: number): number {
    return Math.min(now, this.#began.now + (this.#clock.elapsed() - this.#began.elapsed) + DAY)
  }
}
