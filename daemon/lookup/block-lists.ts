/**
 * What the resolver remembers about block lists. One that stays silent is skipped for a while, so that
 * mail does not wait for it; one that answers with something other than a listing is logged once an hour,
 * because nothing else would show that it has no effect.
 */

import { listName } from '../policy/block-list.ts'
import type { Clock } from '../system/clock.ts'
import { Patience, type PatienceOptions } from '../system/patience.ts'
import type { Refused } from '../system/refused.ts'

export interface BlockListOptions {
  readonly clock: Clock
  readonly log: (message: string) => void
}

const SKIPPED_MILLISECONDS = 60_000
const MOST_TIMEOUTS = 3
const PATIENCE: PatienceOptions = {
  forgiven: MOST_TIMEOUTS - 1,
  shortestRestMilliseconds: SKIPPED_MILLISECONDS,
}
const LOG_AGAIN_MILLISECONDS = 3_600_000
/** Lists are named by configurations; the oldest go when there are more. */
const MOST_LISTS = 1000

export class BlockLists {
  readonly #options: BlockListOptions
  /** For lists that recently did not answer. */
  readonly #patience = new Map<string, Patience>()
  readonly #refusals = new Map<string, { readonly at: number; readonly answer: string }>()

  constructor(options: BlockListOptions) {
    this.#options = options
  }

  /** Undefined: it may be queried; the caller reports what came of it. */
  admit(list: string): Refused | undefined {
    return this.#patience.get(list)?.admit()
  }

  /** Any answer will do, also SERVFAIL: it makes nobody wait. */
  answered(list: string): void {
    const hasRested = this.#patience.get(list)?.answered()
    this.#patience.delete(list)
    if (hasRested) this.#options.log(`the DNS list ${listName(list)} answers again`)
  }

  stayedSilent(list: string): void {
    const patience = this.#patience.get(list) ?? new Patience(this.#options.clock, PATIENCE)
    this.#keep(this.#patience, list, patience)
    if (!patience.failed('no answer', 0)) return
    const seconds = SKIPPED_MILLISECONDS / 1000
    this.#options.log(
      `the DNS list ${listName(list)} does not answer: it is skipped, and tried again every ${seconds} s`,
    )
  }

  /** The query was not sent. */
  notAsked(list: string): void {
    this.#patience.get(list)?.withdrawn()
  }

  noListing(list: string, answer: string, reason: string): void {
    const now = this.#options.clock.elapsed()
    const before = this.#refusals.get(list)
    if (before && now - before.at < LOG_AGAIN_MILLISECONDS) return
    this.#keep(this.#refusals, list, { at: now, answer })
    this.#options.log(
      `the DNS list ${listName(list)} answers ${answer}: ${reason}; the answer is ignored`,
    )
  }

  /** Lists that are skipped, and until when. */
  silent(): { list: string; until: string }[] {
    const { clock } = this.#options
    const isoTime = (elapsed: number): string =>
      new Date(clock.now() + elapsed - clock.elapsed()).toISOString()
    return [...this.#patience].flatMap(([list, { standing }]) => {
      if (standing.kind === 'trusted') return []
      const until = standing.kind === 'resting' ? standing.until : clock.elapsed()
      return { list: listName(list), until: isoTime(until) }
    })
  }

  /** Lists whose answer was not a listing within the last hour. */
  refusing(): { list: string; answer: string }[] {
    const since = this.#options.clock.elapsed() - LOG_AGAIN_MILLISECONDS
    return [...this.#refusals].flatMap(([list, { at, answer }]) =>
      at > since ? { list: listName(list), answer } : [],
    )
  }

  #keep<T>(map: Map<string, T>, list: string, value: T): void {
    const [oldest] = map.keys()
    if (map.size >= MOST_LISTS && oldest !== undefined && !map.has(list)) map.delete(oldest)
    map.set(list, value)
  }
}
