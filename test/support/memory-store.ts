/**
 * A ledger's store as simple as it can be: every bucket in a Map, and nothing is ever forgotten. The
 * ledger is tested with it, and the real store is compared with it.
 */

import { type Change, changeOneByOne } from '../../daemon/ledger/change.ts'
import type { Decided } from '../../daemon/ledger/decided.ts'
import { BUCKETS, bucketAt, type CountingPeriod, Periods } from '../../daemon/ledger/period.ts'
import type { LedgerStore } from '../../daemon/ledger/store.ts'

class Contents {
  /** Amounts by period and subject, and in there by bucket. */
  readonly sums = new Map<string, Map<number, number>>()
  readonly decided = new Map<string, Decided>()
  readonly services = new Map<string, boolean>()

  add(place: string, bucket: number, count: number): void {
    const buckets = this.sums.get(place) ?? new Map<number, number>()
    this.sums.set(place, buckets)
    buckets.set(bucket, Math.max(0, (buckets.get(bucket) ?? 0) + count))
  }

  remember(message: string, decided: Decided): void {
    // The newest last.
    this.decided.delete(message)
    this.decided.set(message, decided)
  }
}

/** What has been settled, as a new process finds it. */
export class MemoryStore implements LedgerStore {
  readonly periods = new Periods()
  /** True: nothing can be written. */
  isFull = false
  /** Calls of `used` and `addWithin` that succeed before one fails, once. */
  failsAfter = Number.POSITIVE_INFINITY
  readonly #settled: Contents
  readonly #contents = new Contents()
  #unsettled: ((contents: Contents) => void)[] = []

  constructor(former?: MemoryStore) {
    this.#settled = former ? former.#settled : new Contents()
    for (const [place, buckets] of this.#settled.sums) {
      this.#contents.sums.set(place, new Map(buckets))
    }
    for (const [message, decided] of this.#settled.decided) {
      this.#contents.decided.set(message, decided)
    }
    for (const service of this.#settled.services) this.#contents.services.set(...service)
  }

  used(period: CountingPeriod, subject: string, now: number): number {
    this.#tryToAnswer()
    return this.#usedAt(period, subject, now)
  }

  addWithin(
    period: CountingPeriod,
    subject: string,
    bucket: number,
    count: number,
    limit: number,
    now: number,
  ): number | undefined {
    this.#tryToAnswer()
    const isOutside = period.bucketMilliseconds > 0 && bucket < bucketAt(period, now) - BUCKETS
    const effect = isOutside ? 0 : count
    const used = this.#usedAt(period, subject, now)
    if (used + effect > limit) return undefined
    const place = this.#placeOf(period, subject)
    this.#change(contents => contents.add(place, bucket, effect))
    return this.#usedAt(period, subject, now)
  }

  clear(period: CountingPeriod, subject: string): void {
    const place = this.#placeOf(period, subject)
    this.#change(contents => void contents.sums.delete(place))
  }

  changeAll(changes: readonly Change[], now: number): number {
    return changeOneByOne(this, changes, now)
  }

  fitsAt(
    period: CountingPeriod,
    subject: string,
    count: number,
    limit: number,
    now: number,
  ): number | undefined {
    const buckets = this.#contents.sums.get(this.#placeOf(period, subject)) ?? new Map()
    const leaves = [...buckets.keys()].map(bucket =>
      Math.ceil((bucket + BUCKETS + 1) * period.bucketMilliseconds),
    )
    return [now, ...leaves.filter(at => at > now)]
      .sort((one, other) => one - other)
      .find(at => this.#usedAt(period, subject, at) + count <= limit)
  }

  remember(message: string, decided: Decided): void {
    // A copy: what is passed is nobody's to keep.
    const kept = { ...decided, entries: decided.entries.map(entry => ({ ...entry })) }
    this.#change(contents => contents.remember(message, kept))
  }

  recall(tell: (message: Uint8Array, decided: Decided) => void): void {
    for (const [message, decided] of this.#contents.decided) {
      const entries = decided.entries.map(({ period, ...entry }) => ({
        ...entry,
        period: this.periods.named(period.counter, period.name),
      }))
      tell(Buffer.from(message), { ...decided, entries })
    }
  }

  services(): Iterable<readonly [service: string, asksAtEnd: boolean]> {
    return this.#contents.services
  }

  rememberService(service: string, asksAtEnd: boolean): void {
    this.#change(contents => contents.services.set(service, asksAtEnd))
  }

  settle(): void {
    if (this.isFull) throw new Error('disk full')
    for (const change of this.#unsettled) change(this.#settled)
    this.#unsettled = []
  }

  #change(change: (contents: Contents) => void): void {
    change(this.#contents)
    this.#unsettled.push(change)
  }

  #usedAt(period: CountingPeriod, subject: string, now: number): number {
    const buckets = this.#contents.sums.get(this.#placeOf(period, subject)) ?? new Map()
    const first = period.bucketMilliseconds > 0 ? bucketAt(period, now) - BUCKETS : 0
    return [...buckets].reduce((sum, [bucket, amount]) => sum + (bucket >= first ? amount : 0), 0)
  }

  #placeOf(period: CountingPeriod, subject: string): string {
    if (this.periods.named(period.counter, period.name) !== period) {
      throw new Error(`a period of another store: ${period.counter} ${period.name}`)
    }
    return `${period.counter}\n${period.name}\n${subject}`
  }

  #tryToAnswer(): void {
    if (this.failsAfter-- > 0) return
    this.failsAfter = Number.POSITIVE_INFINITY
    throw new Error('the store does not answer')
  }
}
