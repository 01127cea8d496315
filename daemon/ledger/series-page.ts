/**
 * The counts of one part of a rolling window's accounts: of each account a series of buckets, of which
 * those count that are in the window.
 *
 * When the clock goes back, buckets that are in the future count as well. Those more than a window ahead
 * become one, a window ahead: so a clock that was wrong by a year holds nobody back for a year, and a
 * series never has more than 121 buckets.
 *
 * In the file `sums` has the numbers of accounts and buckets (32 bits each), what is in the buckets
 * (64-bit), the buckets, and where the series of each account ends among them (32 bits each).
 */

import type { Name } from '../memory/name.ts'
import { BucketChains } from './bucket-chains.ts'
import { aligned, type CountPage, type PackedCounts, type TellBucket } from './count-page.ts'
import { BUCKETS } from './period.ts'
import { Members, type SharedNames } from './shared-names.ts'

const HEAD_BYTES = 8
const BUCKET_BYTES = 12
const END_BYTES = 4
/** Accounts whose series is over are kept up to this number. */
const FEW_ACCOUNTS = 16

let scratch = Buffer.allocUnsafeSlow(0)

export class SeriesPage implements CountPage {
  #members: Members
  #chains: BucketChains
  isDirty = false
  /** How many of its names have been written to the file; -1 if all have to be written again. */
  #namesWritten = 0
  usedAt = 0
  /** The last one that was heard of. */
  #current = 0

  private constructor(members: Members, chains: BucketChains) {
    this.#members = members
    this.#chains = chains
  }

  static empty(names: SharedNames): SeriesPage {
    return new SeriesPage(new Members(names), new BucketChains())
  }

  /** The inverse of `pack`. Throws RangeError for anything else. */
  static unpack(shared: SharedNames, packed: PackedCounts): SeriesPage {
    const bytes = aligned(packed.sums, Float64Array.BYTES_PER_ELEMENT)
    if (bytes.length < HEAD_BYTES) throw new RangeError('no series')
    const { buffer, byteOffset } = bytes
    const [accounts = 0, buckets = 0] = new Uint32Array(buffer, byteOffset, 2)
    if (bytes.length !== HEAD_BYTES + BUCKET_BYTES * buckets + END_BYTES * accounts) {
      throw new RangeError('series are incomplete')
    }
    const from = byteOffset + HEAD_BYTES
    const chains = chainsOf(
      new Float64Array(buffer, from, buckets),
      new Uint32Array(buffer, from + 8 * buckets, buckets),
      new Uint32Array(buffer, from + BUCKET_BYTES * buckets, accounts),
    )
    const names = aligned(packed.names, Uint32Array.BYTES_PER_ELEMENT)
    const page = new SeriesPage(Members.unpack(shared, names, accounts), chains)
    page.#namesWritten = accounts
    return page
  }

  get members(): Members {
    return this.#members
  }

  get byteLength(): number {
    return this.#members.byteLength + this.#chains.byteLength
  }

  used(account: Name, current: number): number {
    const series = this.#members.find(account)
    return series < 0 ? 0 : this.#chains.totalFrom(series, current - BUCKETS)
  }

  usedIn(account: Name, bucket: number): number {
    const series = this.#members.find(account)
    return series < 0 ? 0 : this.#chains.amount(series, bucket)
  }

  fitsFrom(account: Name, count: number, limit: number, current: number): number | undefined {
    if (count > limit) return undefined
    const series = this.#members.find(account)
    let left = this.used(account, current)
    let from = current
    if (series < 0 || left + count <= limit) return from
    this.#chains.each(series, (bucket, amount) => {
      if (bucket < current - BUCKETS) return true
      left -= amount
      from = Math.min(bucket, current + BUCKETS) + BUCKETS + 1
      return left + count > limit
    })
    return from
  }

  addWithin(
    account: Name,
    bucket: number,
    count: number,
    limit: number,
    current: number,
    tell: TellBucket,
  ): number | undefined {
    this.#current = current
    const found = this.#members.find(account)
    const used = found < 0 ? 0 : this.#moveTo(current, found, tell)
    const place = Math.max(0, Math.min(bucket, current + BUCKETS))
    // It has left the window: nothing changes.
    if (place < current - BUCKETS) return used + count > limit ? undefined : used
    const before = found < 0 ? 0 : this.#chains.amount(found, place)
    const change = Math.max(count, -before)
    if (used + change > limit) return undefined
    if (change === 0) return used
    // Only what the journal tells of changes a series.
    if (found >= 0) this.#chains.dropBefore(found, current - BUCKETS)
    this.#put(found, account, place, before + change)
    tell(place, before + change)
    return used + change
  }

  set(account: Name, bucket: number, used: number, current?: number): void {
    const found = this.#members.find(account)
    if (current !== undefined) {
      const then = Math.max(current, bucket - BUCKETS)
      this.#current = then
      if (found >= 0) {
        this.#chains.dropBefore(found, then - BUCKETS)
        // The sums that are told of have it in them.
        this.#chains.dropAfter(found, then + BUCKETS)
      }
      if (bucket < then - BUCKETS) return
    }
    this.#put(found, account, bucket, used)
  }

  *sums(): Iterable<readonly [account: string, bucket: number, used: number]> {
    for (let series = 0; series < this.#members.count; series++) {
      const buckets: (readonly [number, number])[] = []
      this.#chains.each(series, (bucket, used) => buckets.push([bucket, used]) > 0)
      const account = this.#members.nameOf(series)
      for (const [bucket, used] of buckets) yield [account, bucket, used]
    }
  }

  pack(): { readonly sums: Buffer; readonly names: Buffer | undefined } {
    this.#forget()
    const count = this.#members.count
    return {
      sums: packedSeries(this.#chains),
      names: count === this.#namesWritten ? undefined : this.#members.packed(),
    }
  }

  noteWritten(): void {
    this.isDirty = false
    this.#namesWritten = this.#members.count
  }

  /** What is too far in the future counts as less far. What is used. */
  #moveTo(current: number, series: number, tell: TellBucket): number {
    const chains = this.#chains
    const latest = current + BUCKETS
    if (chains.newest(series) > latest) {
      chains.dropBefore(series, current - BUCKETS)
      const amount = chains.amount(series, latest) + chains.dropAfter(series, latest)
      chains.put(series, latest, amount)
      this.isDirty = true
      tell(latest, amount)
    }
    return chains.totalFrom(series, current - BUCKETS)
  }

  /** `found`: the result of `find`. */
  #put(found: number, account: Name, bucket: number, used: number): void {
    const series = found < 0 ? this.#members.add(account) : found
    if (found < 0) this.#chains.add()
    this.#chains.put(series, bucket, used)
    this.isDirty = true
  }

  /** Drops what has left the window, and accounts of which nothing is left if they are many. */
  #forget(): void {
    const first = this.#current - BUCKETS
    const { count } = this.#members
    let live = 0
    for (let series = 0; series < count; series++) {
      this.#chains.dropBefore(series, first)
      if (this.#chains.newest(series) >= 0) live++
    }
    if (count <= FEW_ACCOUNTS || live > count / 2) return
    const [members, chains] = [new Members(this.#members.shared), new BucketChains()]
    for (let series = 0; series < count; series++) {
      if (this.#chains.newest(series) < 0) continue
      members.addFrom(this.#members, series)
      const kept = chains.add()
      this.#chains.each(series, (bucket, amount) => {
        chains.put(kept, bucket, amount)
        return true
      })
    }
    this.#members = members
    this.#chains = chains
    this.#namesWritten = -1
  }
}

/** Throws RangeError. */
function chainsOf(amounts: Float64Array, buckets: Uint32Array, ends: Uint32Array): BucketChains {
  const chains = BucketChains.withRoom(ends.length, buckets.length)
  let at = 0
  for (const end of ends) {
    if (end < at || end > buckets.length) throw new RangeError('series are not in order')
    const series = chains.add()
    for (let before = -1; at < end; at++) {
      const [bucket = 0, amount = 0] = [buckets[at], amounts[at]]
      if (bucket <= before) throw new RangeError('buckets are not in order')
      if (!(amount >= 0 && amount < Number.POSITIVE_INFINITY)) {
        throw new RangeError('an impossible sum')
      }
      chains.put(series, bucket, amount)
      before = bucket
    }
  }
  if (at !== buckets.length) throw new RangeError('series are incomplete')
  return chains
}

/** Buckets with nothing in them are left out. Valid until others are packed. */
function packedSeries(chains: BucketChains): Buffer {
  const count = countOf(chains)
  const length = HEAD_BYTES + BUCKET_BYTES * count + END_BYTES * chains.count
  if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2)
  const { buffer } = scratch
  new Uint32Array(buffer, 0, 2).set([chains.count, count])
  const amounts = new Float64Array(buffer, HEAD_BYTES, count)
  const buckets = new Uint32Array(buffer, HEAD_BYTES + 8 * count, count)
  const ends = new Uint32Array(buffer, HEAD_BYTES + BUCKET_BYTES * count, chains.count)
  let at = 0
  for (let series = 0; series < chains.count; series++) {
    chains.each(series, (bucket, amount) => {
      if (amount > 0) {
        amounts[at] = amount
        buckets[at++] = bucket
      }
      return true
    })
    ends[series] = at
  }
  return scratch.subarray(0, length)
}

function countOf(chains: BucketChains): number {
  let count = 0
  for (let series = 0; series < chains.count; series++) {
    chains.each(series, (_, amount) => {
      if (amount > 0) count++
      return true
    })
  }
  return count
}
