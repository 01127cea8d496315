/**
 * The buckets of many series, outside of V8's heap.
 *
 * A series has a row: its newest bucket, its sum, and where its older buckets are. Nearly every message
 * adds to the newest bucket, and needs nothing but the row. The older buckets are a ring of nodes,
 * oldest first, of which the newest is known: it leads to the oldest. Dropping the oldest takes the same
 * time however many there are. Rows and nodes that are free again form lists of their own.
 */

import { Cells, LARGE, placeInBlock } from '../memory/cells.ts'
import { NUMBER_BYTES, putNumber } from '../memory/seven-bits.ts'

/** Cells of a row. */
const [NEWEST, AMOUNT, SUM, RING, ROW_CELLS] = [0, 1, 2, 3, 4]
/** Cells of a node. */
const [BUCKET, HAS, NEXT, NODE_CELLS] = [0, 1, 2, 3]
/** No row, or no node: the first ones are not used. */
const NONE = 0
/** How many buckets the oldest one is before the newest: from 255 on its node says it. */
const [AGES, LONG_AGO] = [256, 255]
const CELL_BYTES = 4

/** `series`: the place of its row, as `add` has returned it. */
export class Series {
  /**
   * NEWEST: its newest bucket. AMOUNT: what is in it. SUM: what is in all. RING: the newest of its other
   * nodes, times 256, plus the age of the oldest. A series with neither amount nor other nodes is empty.
   */
  readonly #rows = new Cells()
  readonly #nodes = new Cells()
  #rowsEnd = ROW_CELLS
  #nodesEnd = 1
  #freeRow = NONE
  #freeNode = NONE
  #rowsInUse = 0
  #nodesInUse = 0

  /** Memory that is in use. */
  get byteLength(): number {
    return CELL_BYTES * (ROW_CELLS * this.#rowsInUse + NODE_CELLS * this.#nodesInUse)
  }

  /** A new, empty series. */
  add(): number {
    this.#rowsInUse++
    const series = this.#freeRow
    if (series === NONE) {
      this.#rowsEnd += ROW_CELLS
      return this.#rowsEnd - ROW_CELLS
    }
    this.#freeRow = this.#rows.get(series + NEWEST)
    this.#rows.set(series + NEWEST, 0)
    return series
  }

  /** It is not used any more. */
  remove(series: number): void {
    this.dropBefore(series, Number.POSITIVE_INFINITY)
    this.#rows.set(series + NEWEST, this.#freeRow)
    this.#freeRow = series
    this.#rowsInUse--
  }

  clear(): void {
    this.#rows.clear()
    this.#nodes.clear()
    this.#rowsEnd = ROW_CELLS
    this.#nodesEnd = 1
    this.#freeRow = NONE
    this.#freeNode = NONE
    this.#rowsInUse = 0
    this.#nodesInUse = 0
  }

  isEmpty(series: number): boolean {
    const rows = this.#rows
    return rows.get(series + AMOUNT) === 0 && rows.get(series + RING) === 0
  }

  /** The newest bucket of a series; 0 if it is empty. */
  newest(series: number): number {
    return this.#rows.get(series + NEWEST)
  }

  /** What is in the buckets from `first` on. */
  sumFrom(series: number, first: number): number {
    const rows = this.#rows
    const newest = rows.get(series + NEWEST)
    if (newest < first) return 0
    const sum = rows.get(series + SUM)
    const ring = rows.get(series + RING)
    if (ring === 0 || this.#oldest(newest, ring) >= first) return sum
    return sum - this.#sumBefore(olderIn(ring), first)
  }

  /**
   * The ordinary case: adds to the newest bucket if it is this one, nothing is before `first`, and the sum
   * stays within `limit`. What is in all then; undefined: it is another case, and nothing has changed.
   */
  addToNewest(
    series: number,
    bucket: number,
    count: number,
    first: number,
    limit: number,
  ): number | undefined {
    const row = this.#rows.blockOf(series)
    const at = placeInBlock(series)
    // A row is in one block. A number that is not in its cell is another case.
    if (row?.[at + NEWEST] !== bucket || count <= 0) return undefined
    const ring = row[at + RING] ?? 0
    if (ring === LARGE || (ring !== 0 && this.#oldest(bucket, ring) < first)) return undefined
    const sum = (row[at + SUM] ?? 0) + count
    if (sum > limit || sum >= LARGE) return undefined
    row[at + SUM] = sum
    row[at + AMOUNT] = (row[at + AMOUNT] ?? 0) + count
    return sum
  }

  /** What is in the newest bucket. */
  newestAmount(series: number): number {
    return this.#rows.get(series + AMOUNT)
  }

  /** What is in a bucket. */
  amount(series: number, bucket: number): number {
    const newest = this.#rows.get(series + NEWEST)
    if (bucket === newest) return this.#rows.get(series + AMOUNT)
    const older = olderIn(this.#rows.get(series + RING))
    if (bucket > newest || older === NONE) return 0
    const node = this.#nodeFrom(older, bucket)
    return this.#bucketOf(node) === bucket ? this.#amountOf(node) : 0
  }

  /** Sets what is in a bucket. */
  put(series: number, bucket: number, amount: number): void {
    const rows = this.#rows
    const newest = rows.get(series + NEWEST)
    const before = rows.get(series + AMOUNT)
    if (bucket === newest) {
      rows.set(series + AMOUNT, amount)
      this.#grow(series, amount - before)
    } else if (bucket > newest || this.isEmpty(series)) {
      if (!this.isEmpty(series)) this.#insert(series, newest, before)
      const ring = rows.get(series + RING)
      if (ring !== 0) this.#setRing(series, bucket, olderIn(ring), this.#oldest(newest, ring))
      rows.set(series + NEWEST, bucket)
      rows.set(series + AMOUNT, amount)
      this.#grow(series, amount)
    } else this.#putOlder(series, bucket, amount)
  }

  /** Drops the buckets before `first`. */
  dropBefore(series: number, first: number): void {
    const rows = this.#rows
    const newest = rows.get(series + NEWEST)
    const ring = rows.get(series + RING)
    if (ring !== 0) {
      if (this.#oldest(newest, ring) >= first) return
      this.#dropOlder(series, newest, olderIn(ring), first)
    }
    if (newest >= first) return
    rows.set(series + NEWEST, 0)
    rows.set(series + AMOUNT, 0)
    rows.set(series + SUM, 0)
  }

  /** Drops the buckets after `last`; what was in them. */
  dropAfter(series: number, last: number): number {
    if (this.newest(series) <= last) return 0
    const kept: (readonly [bucket: number, amount: number])[] = []
    let dropped = 0
    this.each(series, (bucket, amount) => {
      if (bucket <= last) kept.push([bucket, amount])
      else dropped += amount
      return true
    })
    this.dropBefore(series, Number.POSITIVE_INFINITY)
    for (const [bucket, amount] of kept) this.put(series, bucket, amount)
    return dropped
  }

  /** Tells of each bucket and what is in it, oldest first, until `tell` returns false. */
  each(series: number, tell: (bucket: number, amount: number) => boolean): void {
    if (this.isEmpty(series)) return
    const older = olderIn(this.#rows.get(series + RING))
    if (older !== NONE) {
      let node = older
      do {
        node = this.#nextOf(node)
        if (!tell(this.#bucketOf(node), this.#amountOf(node))) return
      } while (node !== older)
    }
    tell(this.newest(series), this.#rows.get(series + AMOUNT))
  }

  /**
   * Writes its buckets with something in them, oldest first, each as the number of buckets since the one
   * before, and what is in it. Returns where it ends, or -1 if there may not be enough room.
   */
  pack(series: number, before: number, bytes: Uint8Array, from: number): number {
    if (this.isEmpty(series)) return from
    const last = bytes.length - 2 * NUMBER_BYTES
    let at = from
    let bucket = before
    const newest = olderIn(this.#rows.get(series + RING))
    for (let node = newest; newest !== NONE; ) {
      node = this.#nextOf(node)
      const amount = this.#amountOf(node)
      if (amount > 0) {
        if (at > last) return -1
        const next = this.#bucketOf(node)
        at = putNumber(bytes, putNumber(bytes, at, next - bucket), amount)
        bucket = next
      }
      if (node === newest) break
    }
    const amount = this.newestAmount(series)
    if (amount <= 0) return at
    if (at > last) return -1
    return putNumber(bytes, putNumber(bytes, at, this.newest(series) - bucket), amount)
  }

  #bucketOf(node: number): number {
    return this.#nodes.get(node * NODE_CELLS + BUCKET)
  }

  #amountOf(node: number): number {
    return this.#nodes.get(node * NODE_CELLS + HAS)
  }

  #nextOf(node: number): number {
    return this.#nodes.get(node * NODE_CELLS + NEXT)
  }

  #setNext(node: number, next: number): void {
    this.#nodes.set(node * NODE_CELLS + NEXT, next)
  }

  /** The oldest bucket of a series with this newest one and this ring. */
  #oldest(newest: number, ring: number): number {
    const age = ring % AGES
    return age < LONG_AGO ? newest - age : this.#bucketOf(this.#nextOf(olderIn(ring)))
  }

  #setRing(series: number, newest: number, older: number, oldest: number): void {
    this.#rows.set(series + RING, older * AGES + Math.min(newest - oldest, LONG_AGO))
  }

  #grow(series: number, growth: number): void {
    this.#rows.set(series + SUM, this.#rows.get(series + SUM) + growth)
  }

  /** The first node of a ring whose bucket is `bucket` or later, or else its newest. */
  #nodeFrom(newest: number, bucket: number): number {
    let node = this.#nextOf(newest)
    while (node !== newest && this.#bucketOf(node) < bucket) node = this.#nextOf(node)
    return node
  }

  #sumBefore(newest: number, first: number): number {
    let sum = 0
    let node = newest
    do {
      node = this.#nextOf(node)
      if (this.#bucketOf(node) >= first) break
      sum += this.#amountOf(node)
    } while (node !== newest)
    return sum
  }

  #putOlder(series: number, bucket: number, amount: number): void {
    const older = olderIn(this.#rows.get(series + RING))
    const node = older === NONE ? NONE : this.#nodeFrom(older, bucket)
    if (node !== NONE && this.#bucketOf(node) === bucket) {
      this.#grow(series, amount - this.#amountOf(node))
      this.#nodes.set(node * NODE_CELLS + HAS, amount)
      return
    }
    this.#insert(series, bucket, amount)
    this.#grow(series, amount)
  }

  /** A new node of a bucket that the ring does not have. */
  #insert(series: number, bucket: number, amount: number): void {
    const newest = this.newest(series)
    const ring = this.#rows.get(series + RING)
    const older = olderIn(ring)
    const node = this.#newNode(bucket, amount)
    if (older === NONE) {
      this.#setNext(node, node)
      this.#setRing(series, newest, node, bucket)
      return
    }
    const isNewest = this.#bucketOf(older) < bucket
    let before = older
    if (!isNewest) {
      for (let next = this.#nextOf(before); this.#bucketOf(next) < bucket; ) {
        before = next
        next = this.#nextOf(before)
      }
    }
    const oldest = Math.min(bucket, this.#oldest(newest, ring))
    this.#setNext(node, this.#nextOf(before))
    this.#setNext(before, node)
    this.#setRing(series, newest, isNewest ? node : older, oldest)
  }

  #dropOlder(series: number, newest: number, older: number, first: number): void {
    for (;;) {
      const oldest = this.#nextOf(older)
      const bucket = this.#bucketOf(oldest)
      if (bucket >= first) {
        this.#setRing(series, newest, older, bucket)
        return
      }
      this.#grow(series, -this.#amountOf(oldest))
      this.#setNext(older, this.#nextOf(oldest))
      this.#release(oldest)
      if (oldest !== older) continue
      this.#rows.set(series + RING, 0)
      return
    }
  }

  #newNode(bucket: number, amount: number): number {
    this.#nodesInUse++
    let node = this.#freeNode
    if (node === NONE) node = this.#nodesEnd++
    else this.#freeNode = this.#nextOf(node)
    this.#nodes.set(node * NODE_CELLS + BUCKET, bucket)
    this.#nodes.set(node * NODE_CELLS + HAS, amount)
    return node
  }

  #release(node: number): void {
    this.#nodes.set(node * NODE_CELLS + HAS, 0)
    this.#setNext(node, this.#freeNode)
    this.#freeNode = node
    this.#nodesInUse--
  }
}

/** The newest of the older nodes. */
function olderIn(ring: number): number {
  return Math.floor(ring / AGES)
}
