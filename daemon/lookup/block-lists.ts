/**
 * What the resolver remembers of block lists. One that stays silent is passed over for a while,
 * so that mail does not wait for it; one that answers what is no listing is named in the log once
 * an hour, because nothing else would show that it protects nobody.
 */

import { isListing, listName } from '../policy/block-list.ts'
import type { Clock } from '../policy/clock.ts'

export interface BlockListOptions {
  readonly clock: Clock
  readonly log: (message: string) => void
}

interface Silence {
  /** Questions in a row without any answer. */
  timeouts: number
  /** Passed over until then, by the monotonic clock; undefined: it is asked. */
  until: number | undefined
  /** One question is on its way, to see whether the list is back. */
  isTried: boolean
}

const MOST_TIMEOUTS = 3
const PASSED_OVER_MILLISECONDS = 60_000
const SAY_AGAIN_MILLISECONDS = 3_600_000
/** Lists are named by configurations; those of earlier ones are forgotten when it gets crowded. */
const MOST_LISTS = 1000

export class BlockLists {
  readonly #options: BlockListOptions
  readonly #silences = new Map<string, Silence>()
  readonly #refusals = new Map<string, { readonly at: number; readonly answer: string }>()

  constructor(options: BlockListOptions) {
    this.#options = options
  }

  /** May the list be asked now? Whoever is told so says later what came of it. */
  admits(list: string): boolean {
    const silence = this.#silences.get(list)
    if (silence?.until === undefined) return true
    if (silence.isTried || silence.until > this.#options.clock.elapsed()) return false
    silence.isTried = true
    return true
  }

  /** Any answer will do, also SERVFAIL: whoever answers makes nobody wait. */
  answered(list: string): void {
    const silence = this.#silences.get(list)
    if (!silence) return
    this.#silences.delete(list)
    if (silence.until === undefined) return
    this.#options.log(`the DNS list ${listName(list)} answers again`)
  }

  stayedSilent(list: string): void {
    const silence = this.#silences.get(list) ?? { timeouts: 0, until: undefined, isTried: false }
    this.#keep(this.#silences, list, silence)
    silence.timeouts++
    if (silence.timeouts < MOST_TIMEOUTS) return
    // Questions that were on their way when it began change nothing.
    if (silence.until !== undefined && !silence.isTried) return
    if (silence.until === undefined) {
      const seconds = PASSED_OVER_MILLISECONDS / 1000
      this.#options.log(
        `the DNS list ${listName(list)} does not answer: it is passed over, and asked again every ${seconds} s`,
      )
    }
    silence.isTried = false
    silence.until = this.#options.clock.elapsed() + PASSED_OVER_MILLISECONDS
  }

  /** It was not asked after all. */
  notAsked(list: string): void {
    const silence = this.#silences.get(list)
    if (silence) silence.isTried = false
  }

  /** The addresses it answered with. */
  found(list: string, addresses: readonly string[]): void {
    const [answer] = addresses
    if (answer === undefined || addresses.some(isListing)) return
    const now = this.#options.clock.elapsed()
    const before = this.#refusals.get(list)
    if (before && now - before.at < SAY_AGAIN_MILLISECONDS) return
    this.#keep(this.#refusals, list, { at: now, answer })
    const meaning = answer.startsWith('127.')
      ? 'it refuses questions from here'
      : 'that is no answer of a block list'
    this.#options.log(
      `the DNS list ${listName(list)} answers ${answer}: ${meaning}; that matches nobody`,
    )
  }

  /** Lists that are passed over, and until when. */
  silent(): { list: string; until: string }[] {
    const { clock } = this.#options
    return [...this.#silences].flatMap(([list, { until }]) =>
      until === undefined
        ? []
        : {
            list: listName(list),
            until: new Date(clock.now() + until - clock.elapsed()).toISOString(),
          },
    )
  }

  /** Lists that said within the last hour what is no listing. */
  refusing(): { list: string; answer: string }[] {
    const since = this.#options.clock.elapsed() - SAY_AGAIN_MILLISECONDS
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
