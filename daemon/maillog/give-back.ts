/**
 * Gives the counts of refused mail back. Header rules and maps may refuse a large message long before its end,
 * so such a refusal stands for a while, and counts for whatever the message is counted for after it.
 */

import type { Ledger } from '../policy/ports/ledger.ts'
import type { Fields } from '../policy/ports/log.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { excerpt } from '../text/excerpt.ts'
import type { TakeLines } from './following.ts'
import type { ParseLine } from './parser.ts'
import { mayBeRefusal, type Refusal, refusalIn } from './refusals.ts'

/** How long a message may take to come in after it was refused. */
const LONGEST_STAND_MILLISECONDS = 3_600_000
/** Refusals that stand; beyond, the oldest is dropped. */
const MOST_STANDING = 100
/** Later, its message is looked for whenever the refusal has become twice as old: a look is not cheap. */
const AGAIN_MILLISECONDS = 1000

export interface GiveBackOptions {
  readonly parse: ParseLine
  readonly ledger: Pick<Ledger, 'giveBack' | 'settle'>
  /** Milliseconds since 1970: what was logged before is left alone. */
  readonly since: number
  readonly clock: Pick<Clock, 'now' | 'elapsed' | 'after'>
  /** About each message whose counts were given back. */
  readonly tell: (message: string, fields: Fields) => void
  readonly failed: (message: string) => void
}

/** By the elapsed time. */
interface Standing {
  readonly refusal: Refusal
  readonly since: number
  /** When its message is looked for. */
  readonly due: number
}

export class GiveBack {
  readonly #options: GiveBackOptions
  #messages = 0
  /** In the order in which they were logged. */
  #standing: Standing[] = []
  #cancel: Cancel | undefined
  #isStopped = false

  constructor(options: GiveBackOptions) {
    this.#options = options
  }

  /** Messages whose counts were given back. */
  get messages(): number {
    return this.#messages
  }

  /** May be called without its object. */
  readonly take: TakeLines = lines => {
    const { parse, clock, since } = this.#options
    const refusals = lines.flatMap(line => {
      const record = mayBeRefusal(line) ? parse(line) : undefined
      const refusal = record && refusalIn(record)
      if (!refusal) return []
      const at = loggedAt(refusal.at, clock.now())
      return at >= since ? [{ ...refusal, at }] : []
    })
    return refusals.length === 0 ? undefined : this.#takeRefusals(refusals)
  }

  /** Nothing is given back any more. */
  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
    this.#standing = []
  }

  async #takeRefusals(refusals: readonly Refusal[]): Promise<void> {
    await this.#giveBack(refusals)
    const since = this.#options.clock.elapsed()
    const early = refusals.filter(({ mayBeEarly }) => mayBeEarly)
    const more = early.map(refusal => ({ refusal, since, due: since + AGAIN_MILLISECONDS }))
    this.#standing = [...this.#standing, ...more].slice(-MOST_STANDING)
    this.#plan()
  }

  #plan(): void {
    if (this.#isStopped || this.#standing.length === 0 || this.#cancel !== undefined) return
    this.#cancel = this.#options.clock.after(AGAIN_MILLISECONDS, () => void this.#again())
  }

  async #again(): Promise<void> {
    const now = this.#options.clock.elapsed()
    const due = this.#standing.filter(one => one.due <= now).map(({ refusal }) => refusal)
    this.#standing = this.#standing
      .filter(({ since }) => now - since < LONGEST_STAND_MILLISECONDS)
      .map(one => (one.due > now ? one : { ...one, due: now + (now - one.since) }))
    await this.#giveBack(due)
    this.#cancel = undefined
    this.#plan()
  }

  async #giveBack(refusals: readonly Refusal[]): Promise<void> {
    const { ledger, failed } = this.#options
    const before = this.#messages
    try {
      for (const refusal of refusals) await this.#giveOneBack(refusal)
      if (this.#messages > before) await ledger.settle()
    } catch (error) {
      failed(`could not give back what Postfix refused: ${describeError(error)}`)
    }
  }

  async #giveOneBack({ message, client, at, why }: Refusal): Promise<void> {
    const { ledger, tell } = this.#options
    const given = await ledger.giveBack(message, at)
    if (given === undefined) return
    this.#messages++
    const counts = given.amounts.map(one => `${one.counter}/${one.subject}=${one.amount}`)
    tell('given back', {
      user: given.account,
      client,
      queue_id: 'queueId' in message ? message.queueId : '',
      counts: counts.join(' '),
      why: excerpt(why),
    })
  }
}

/** The zones of the world differ by quarters of an hour. */
const QUARTER = 900_000
/** How long a line may be under way. */
const DELAY = 5000

/**
 * A line may have no zone, and be from a container whose zone is not ours. If it is wrong by quarters of an
 * hour, to the second, it was logged just now.
 */
function loggedAt(at: number, now: number): number {
  const behind = Math.abs(now - at)
  const rest = behind % QUARTER
  const isOtherZone = behind > QUARTER / 2 && Math.min(rest, QUARTER - rest) <= DELAY
  return isOtherZone ? now : at
}
