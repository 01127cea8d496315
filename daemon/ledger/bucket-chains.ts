/**
 * The buckets of many series, outside of V8's heap.
 *
 * A series is a ring of nodes, oldest first, of which the newest is known: it leads to the oldest. What
 * is done at every message, adding to the newest bucket and dropping the oldest, takes the same time
 * however many there are. Nodes that are free again form a list of their own. Most series have one or
 * two buckets, and memory is what a million of them take; where they have more, there is a sum of each series.
 */

/** No node: the first one is not used. */
const NONE = 0
/** Buckets per series up to which no sums of series are kept. */
const FEW_BUCKETS = 4

export class BucketChains {
  /** The newest node of each series. */
  #newest = new Uint32Array(4)
  #count = 0
  #buckets = new Uint32Array(4)
  #amounts = new Float64Array(4)
  /** The next newer node of each one; behind the newest comes the oldest. */
  #next = new Uint32Array(4)
  #nodes = 1
  /** The first free node. */
  #free = NONE
  /** The sum of each series, once there are many buckets. */
  #totals: Float64Array | undefined

  /** None yet, but room for this many series and buckets. */
  static withRoom(series: number, buckets: number): BucketChains {
    const chains = new BucketChains()
    chains.#newest = new Uint32Array(series)
    chains.#buckets = new Uint32Array(buckets + 1)
    chains.#amounts = new Float64Array(buckets + 1)
    chains.#next = new Uint32Array(buckets + 1)
    return chains
  }

  get byteLength(): number {
    const nodes = this.#buckets.byteLength + this.#amounts.byteLength + this.#next.byteLength
    return this.#newest.byteLength + nodes + (this.#totals?.byteLength ?? 0)
  }

  get count(): number {
    return this.#count
  }

  /** A new, empty series: its number, 0 for the first. */
  add(): number {
    const series = this.#count++
    if (series >= this.#newest.length) this.#newest = roomier(this.#newest, this.#count)
    if (this.#totals && series >= this.#totals.length) {
      this.#totals = roomier(this.#totals, this.#count)
    }
    return series
  }

  /** The newest bucket of a series; -1 if it is empty. */
  newest(series: number): number {
    const node = this.#newest[series] ?? NONE
    return node === NONE ? -1 : (this.#buckets[node] ?? 0)
  }

  /** What is in the buckets from `first` on. */
  totalFrom(series: number, first: number): number {
    const newest = this.#newest[series] ?? NONE
    if (newest === NONE) return 0
    const total = this.#totals?.[series]
    return total === undefined
      ? this.#sumFrom(newest, first)
      : total - this.#sumBefore(newest, first)
  }

  /** What is in a bucket. */
  amount(series: number, bucket: number): number {
    const newest = this.#newest[series] ?? NONE
    if (newest === NONE || (this.#buckets[newest] ?? 0) < bucket) return 0
    let node = newest
    if (this.#buckets[node] !== bucket) {
      do node = this.#next[node] ?? NONE
      while ((this.#buckets[node] ?? 0) < bucket)
    }
    return this.#buckets[node] === bucket ? (this.#amounts[node] ?? 0) : 0
  }

  /** Sets what is in a bucket. */
  put(series: number, bucket: number, amount: number): void {
    const newest = this.#newest[series] ?? NONE
    if (newest === NONE || (this.#buckets[newest] ?? 0) < bucket) {
      this.#newest[series] = this.#insert(newest, bucket)
    }
    let before = newest
    let node = this.#newest[series] ?? NONE
    if (this.#buckets[node] !== bucket) {
      before = node
      node = this.#next[node] ?? NONE
      while ((this.#buckets[node] ?? 0) < bucket) {
        before = node
        node = this.#next[node] ?? NONE
      }
      if (this.#buckets[node] !== bucket) node = this.#insert(before, bucket)
    }
    this.#grow(series, amount - (this.#amounts[node] ?? 0))
    this.#amounts[node] = amount
    if (!this.#totals && this.#nodes > FEW_BUCKETS * this.#newest.length) this.#sumAll()
  }

  /** Drops the buckets before `first`. */
  dropBefore(series: number, first: number): void {
    const newest = this.#newest[series] ?? NONE
    if (newest === NONE) return
    for (;;) {
      const oldest = this.#next[newest] ?? NONE
      if ((this.#buckets[oldest] ?? 0) >= first) return
      this.#next[newest] = this.#next[oldest] ?? NONE
      this.#grow(series, -(this.#amounts[oldest] ?? 0))
      this.#release(oldest)
      if (oldest === newest) break
    }
    this.#newest[series] = NONE
  }

  /** Drops the buckets after `last`; what was in them. */
  dropAfter(series: number, last: number): number {
    const newest = this.#newest[series] ?? NONE
    if (newest === NONE || (this.#buckets[newest] ?? 0) <= last) return 0
    const oldest = this.#next[newest] ?? NONE
    let [kept, dropped] = [NONE, 0]
    for (let node = oldest, isLast = false; !isLast; ) {
      const next = this.#next[node] ?? NONE
      isLast = node === newest
      if ((this.#buckets[node] ?? 0) <= last) kept = node
      else {
        dropped += this.#amounts[node] ?? 0
        this.#release(node)
      }
      node = next
    }
    if (kept !== NONE) this.#next[kept] = oldest
    this.#newest[series] = kept
    this.#grow(series, -dropped)
    return dropped
  }

  /** Tells of each bucket and what is in it, oldest first, until `tell` returns false. */
  each(series: number, tell: (bucket: number, amount: number) => boolean): void {
    const newest = this.#newest[series] ?? NONE
    if (newest === NONE) return
    for (let node = this.#next[newest] ?? NONE; ; node = this.#next[node] ?? NONE) {
      if (!tell(this.#buckets[node] ?? 0, this.#amounts[node] ?? 0) || node === newest) return
    }
  }

  #sumFrom(newest: number, first: number): number {
    let sum = 0
    let node = newest
    do {
      node = this.#next[node] ?? NONE
      if ((this.#buckets[node] ?? 0) >= first) sum += this.#amounts[node] ?? 0
    } while (node !== newest)
    return sum
  }

  #sumBefore(newest: number, first: number): number {
    let sum = 0
    let node = this.#next[newest] ?? NONE
    for (; (this.#buckets[node] ?? 0) < first; node = this.#next[node] ?? NONE) {
      sum += this.#amounts[node] ?? 0
      if (node === newest) break
    }
    return sum
  }

  #grow(series: number, growth: number): void {
    if (this.#totals) this.#totals[series] = (this.#totals[series] ?? 0) + growth
  }

  #sumAll(): void {
    const totals = new Float64Array(this.#newest.length)
    for (let series = 0; series < this.#count; series++) totals[series] = this.totalFrom(series, 0)
    this.#totals = totals
  }

  /** A node with nothing in it, behind another one; or, behind none, one that leads to itself. */
  #insert(before: number, bucket: number): number {
    let node = this.#free
    if (node !== NONE) this.#free = this.#next[node] ?? NONE
    else {
      node = this.#nodes++
      if (node >= this.#buckets.length) {
        this.#buckets = roomier(this.#buckets, this.#nodes)
        this.#amounts = roomier(this.#amounts, this.#nodes)
        this.#next = roomier(this.#next, this.#nodes)
      }
    }
    this.#buckets[node] = bucket
    this.#amounts[node] = 0
    this.#next[node] = before === NONE ? node : (this.#next[before] ?? NONE)
    if (before !== NONE) this.#next[before] = node
    return node
  }

  #release(node: number): void {
    this.#next[node] = this.#free
    this.#free = node
  }
}

/** Grows by an eighth: a million series have little room that is not used. */
function roomier<T extends Uint32Array | Float64Array>(array: T, needed: number): T {
  // The constructor of an array makes arrays of its own kind.
  const Kind = array.constructor as new (length: number) => T
  const larger = new Kind(Math.max(needed, Math.ceil(array.length * 1.125), 8))
  larger.set(array)
  return larger
}
