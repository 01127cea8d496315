/**
 * Hands the alerts of one delivery over to it: which at once, when, and again when it could not take them.
 */

import type { DeliveryStatus } from '../policy/ports/alerts.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import type { Alert } from './alert.ts'
import { TEST_KIND } from './alert.ts'
import { DELIVERY_MILLISECONDS, type Delivery, DONE, type Outcome } from './delivery.ts'
import type { Outbox } from './outbox.ts'
import { GATHER_MILLISECONDS, type Pace, type SentMail } from './pace.ts'

/** What was not taken within that time is given up. */
const KEPT_MILLISECONDS = 86_400_000
const FIRST_PAUSE_MILLISECONDS = 5000
const LONGEST_PAUSE_MILLISECONDS = 900_000
/** Alerts of one digest; what is beyond them comes with the next one. */
const MOST_IN_BATCH = 1000
/** The queue is looked through again at the latest: the wall clock may have jumped. */
const LOOK_MILLISECONDS = 60_000

export interface CourierOptions {
  readonly delivery: Delivery
  readonly outbox: Outbox
  readonly pace: Pace
  readonly clock: Clock
  readonly lost: (by: string, number: number, why: string) => void
  /** A mail has left. */
  readonly sent: (mail: SentMail) => void
  readonly log: (message: string) => void
}

export class Courier {
  readonly #options: CourierOptions
  readonly #ended = new AbortController()
  #cancel: Cancel | undefined
  #busy: Promise<void> | undefined
  /** In a row. */
  #failures = 0
  /** Nothing is tried before, by the elapsed time. */
  #notBefore = 0
  #done = 0
  #problem: string | undefined

  constructor(options: CourierOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.delivery.name
  }

  get to(): string {
    return this.#options.delivery.to ?? ''
  }

  get batches(): Delivery['batches'] {
    return this.#options.delivery.batches
  }

  /** Something may have to be delivered. */
  wake(): void {
    if (this.#ended.signal.aborted || this.#busy) return
    this.#cancel?.()
    this.#cancel = undefined
    this.#busy = this.#work()
      .catch(error => this.#options.log(`alerts to ${this.name}: ${describeError(error)}`))
      .then(() => {
        this.#busy = undefined
        this.#sleep()
      })
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#ended.abort()
    this.#cancel?.()
    await this.#busy
  }

  status(lost: number): DeliveryStatus {
    const { delivery, outbox } = this.#options
    const waiting = outbox.waiting(delivery.name)
    const [first] = waiting.values()
    const held = delivery.held?.() ?? { count: 0, oldest: undefined }
    const times = [first?.at, held.oldest].filter(at => at !== undefined)
    return {
      name: delivery.name,
      waiting: waiting.size + held.count,
      oldest: times.length === 0 ? undefined : Math.min(...times),
      done: this.#done,
      lost,
      problem: this.#problem ?? delivery.problem?.(),
    }
  }

  /** At once, whatever waits; it is not tried again. */
  async test(alert: Alert): Promise<Outcome> {
    while (this.#busy) await this.#busy
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#busy = promise
    try {
      const { delivery } = this.#options
      const outcome = await this.#try(signal => delivery.deliver([alert], signal))
      if (outcome.is !== 'done') return outcome
      return await this.#try(async signal => (await delivery.hasLeft?.([alert], signal)) ?? DONE)
    } finally {
      this.#busy = undefined
      resolve()
      this.wake()
    }
  }

  async #work(): Promise<void> {
    const { clock, outbox, delivery } = this.#options
    while (!this.#ended.signal.aborted && clock.elapsed() >= this.#notBefore) {
      this.#giveUpOld()
      const batch = this.#next()
      if (batch.length === 0) return
      const outcome = await this.#try(signal => delivery.deliver(batch, signal))
      if (this.#ended.signal.aborted && outcome.is !== 'done') return
      if (outcome.is === 'later') {
        this.#failed(outcome)
        return
      }
      this.#failures = 0
      const ids = batch.map(({ id }) => id)
      if (outcome.is === 'done') {
        this.#problem = undefined
        this.#done += batch.length
        outbox.end(this.name, ids, 'done')
        if (delivery.batches !== 'one') {
          const subjects = [...new Set(batch.map(subjectOf))]
          this.#options.sent({ by: this.name, at: clock.now(), subjects })
        }
      } else {
        this.#problem = outcome.why
        this.#options.lost(this.name, ids.length, outcome.why)
        outbox.end(this.name, ids, 'lost')
      }
    }
  }

  #failed({ why, milliseconds = 0 }: Outcome & { readonly is: 'later' }): void {
    // Once, and then once more when it works again: status shows it all the time.
    if (this.#problem !== why) this.#options.log(`alerts to ${this.name} have to wait: ${why}`)
    this.#problem = why
    const pause = Math.min(
      FIRST_PAUSE_MILLISECONDS * 2 ** Math.min(this.#failures, 20),
      LONGEST_PAUSE_MILLISECONDS,
    )
    this.#failures++
    const most = Math.min(milliseconds, LONGEST_PAUSE_MILLISECONDS * 4)
    this.#notBefore = this.#options.clock.elapsed() + Math.max(pause, most)
  }

  async #try(work: (signal: AbortSignal) => Promise<Outcome>): Promise<Outcome> {
    const { clock } = this.#options
    const tooLong = new AbortController()
    const signal = AbortSignal.any([this.#ended.signal, tooLong.signal])
    const { promise: late, resolve } = Promise.withResolvers<Outcome>()
    const cancel = clock.after(DELIVERY_MILLISECONDS, () => {
      tooLong.abort()
      resolve({ is: 'later', why: `it took longer than ${DELIVERY_MILLISECONDS / 1000} s` })
    })
    try {
      return await Promise.race([work(signal), late])
    } catch (error) {
      return { is: 'later', why: describeError(error) }
    } finally {
      cancel()
    }
  }

  #giveUpOld(): void {
    const { clock, outbox, lost } = this.#options
    const before = clock.now() - KEPT_MILLISECONDS
    const old: string[] = []
    for (const { id, at } of outbox.waiting(this.name).values()) {
      // They are in the order of their time.
      if (at >= before) break
      old.push(id)
    }
    if (old.length === 0) return
    lost(this.name, old.length, this.#problem ?? 'they are a day old')
    outbox.end(this.name, old, 'lost')
  }

  /** What is to be handed over now; empty: nothing. */
  #next(): readonly Alert[] {
    const { delivery, outbox } = this.#options
    const alerts = outbox.waiting(delivery.name)
    const [first] = alerts.values()
    if (!first) return []
    if (delivery.batches === 'one') return [first]
    if (this.#paceWait(first) > 0) return []
    const waiting = [...alerts.values()]
    const due = waiting.filter(alert => this.#subjectWait(alert) === 0)
    if (delivery.batches === 'all') return due.slice(0, MOST_IN_BATCH)
    const [chosen] = due
    return due.filter(({ account }) => account === chosen?.account).slice(0, MOST_IN_BATCH)
  }

  /** Until a mail may be sent at all. */
  #paceWait(first: Alert): number {
    const { clock, delivery, pace } = this.#options
    const now = clock.now()
    const gathered = Math.min(first.at + GATHER_MILLISECONDS - now, GATHER_MILLISECONDS)
    return Math.max(gathered, pace.wait(this.name, delivery.batches === 'account', now))
  }

  #subjectWait(alert: Alert): number {
    const { clock, pace } = this.#options
    return pace.waitFor(this.name, subjectOf(alert), clock.now())
  }

  #sleep(): void {
    if (this.#ended.signal.aborted) return
    const { clock, delivery, outbox } = this.#options
    const [first] = outbox.waiting(delivery.name).values()
    if (!first) return
    const waits = [this.#notBefore - clock.elapsed(), 1]
    if (delivery.batches !== 'one') {
      waits.push(this.#paceWait(first))
      const each = [...outbox.waiting(delivery.name).values()].map(one => this.#subjectWait(one))
      waits.push(each.reduce((least, one) => Math.min(least, one)))
    }
    const wait = Math.min(Math.max(...waits), LOOK_MILLISECONDS)
    this.#cancel = clock.after(wait, () => this.wake())
  }
}

/** What mails are paced by: the account, or else what is wrong. */
export function subjectOf({ account, kind, key }: Alert): string {
  if (kind === TEST_KIND) return ''
  return account === '' ? ` ${kind} ${key}` : account
}
