/**
 * The buckets of many series, outside of V8's heap.
 *
 * A series has a row: its newest bucket, its sum, and where its older buckets are. Nearly every message
 * adds to the newest bucket, and needs nothing but the row. The older buckets are a ring of nodes,
 * oldest first, of which the newest is known: it leads to the oldest. Dropping the oldest takes the same
 * time however many there are. Rows and nodes that are free again form lists of their own.
 */

import { Cells } from '../memory/cells.ts'

/** Cells of a row. */
const [NEWEST, AMOUNT, SUM, OLDER, OLDEST, ROW_CELLS] = [0, 1, 2, 3, 4, 5]
/** Cells of a node. */
const [BUCKET, HAS, NEXT, NODE_CELLS] = [0, 1, 2, 3]
/** No row, or no node: the first ones are not used. */
const NONE = 0
const CELL_BYTES = 4

/** `series`: the place of its row, as `add` has returned it. */
export class Series {
  /**
   * NEWEST: its newest bucket. AMOUNT: what is in it. SUM: what is in all. OLDER: the newest of its
   * other nodes, and OLDEST: the bucket of the oldest one. A series with neither amount nor other nodes is empty.
   */
  readonly #rows = new Cells()
  readonly #nodes = new Cells()
  #rowsEnd = ROW_CELLS
  #nodesEnd = NODE_CELLS
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
    this.#nodesEnd = NODE_CELLS
    this.#freeRow = NONE
    this.#freeNode = NONE
    this.#rowsInUse = 0
    this.#nodesInUse = 0
  }

  isEmpty(series: number): boolean {
    const rows = this.#rows
    return rows.get(series + AMOUNT) === 0 && rows.get(series + OLDER) === NONE
  }

  /** The newest bucket of a series; 0 if it is empty. */
  newest(series: number): number {
    return this.#rows.get(series + NEWEST)
  }

  /** What is in the buckets from `first` on. */
  sumFrom(series: number, first: number): number {
    const rows = this.#rows
    if (rows.get(series + NEWEST) < first) return 0
    const sum = rows.get(series + SUM)
    const older = rows.get(series + OLDER)
    if (older === NONE || rows.get(series + OLDEST) >= first) return sum
    return sum - this.#sumBefore(older, first)
  }

  /** What is in a bucket. */
  amount(series: number, bucket: number): number {
    const newest = this.#rows.get(series + NEWEST)
    if (bucket === newest) return this.#rows.get(series + AMOUNT)
    const older = this.#rows.get(series + OLDER)
    if (bucket > newest || older === NONE) return 0
    const node = this.#nodeFrom(older, bucket)
    return this.#bucketOf(node) === bucket ? this.#nodes.get(node + HAS) : 0
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
      rows.set(series + NEWEST, bucket)
      rows.set(series + AMOUNT, amount)
      this.#grow(series, amount)
    } else this.#putOlder(series, bucket, amount)
  }

  /** Drops the buckets before `first`. */
  dropBefore(series: number, first: number): void {
    const rows = this.#rows
    const older = rows.get(series + OLDER)
    if (older !== NONE && rows.get(series + OLDEST) < first) this.#dropOlder(series, older, first)
    if (rows.get(series + NEWEST) >= first || rows.get(series + OLDER) !== NONE) return
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
    const older = this.#rows.get(series + OLDER)
    if (older !== NONE) {
      const nodes = this.#nodes
      let node = older
      do {
        node = nodes.get(node + NEXT)
        if (!tell(nodes.get(node + BUCKET), nodes.get(node + HAS))) return
      } while (node !== older)
    }
    tell(this.newest(series), this.#rows.get(series + AMOUNT))
  }

  #bucketOf(node: number): number {
    return this.#nodes.get(node + BUCKET)
  }

  #grow(series: number, growth: number): void {
    this.#rows.set(series + SUM, this.#rows.get(series + SUM) + growth)
  }

  /** The first node of a ring whose bucket is `bucket` or later, or else its newest. */
  #nodeFrom(newest: number, bucket: number): number {
    let node = this.#nodes.get(newest + NEXT)
    while (node !== newest && this.#bucketOf(node) < bucket) node = this.#nodes.get(node + NEXT)
    return node
  }

  #sumBefore(newest: number, first: number): number {
    let sum = 0
    let node = newest
    do {
      node = this.#nodes.get(node + NEXT)
      if (this.#bucketOf(node) >= first) break
      sum += this.#nodes.get(node + HAS)
    } while (node !== newest)
    return sum
  }

  #putOlder(series: number, bucket: number, amount: number): void {
    const older = this.#rows.get(series + OLDER)
    const node = older === NONE ? NONE : this.#nodeFrom(older, bucket)
    if (node !== NONE && this.#bucketOf(node) === bucket) {
      this.#grow(series, amount - this.#nodes.get(node + HAS))
      this.#nodes.set(node + HAS, amount)
      return
    }
    this.#insert(series, bucket, amount)
    this.#grow(series, amount)
  }

  /** A new node of a bucket that the ring does not have. */
  #insert(series: number, bucket: number, amount: number): void {
    const [rows, nodes] = [this.#rows, this.#nodes]
    const node = this.#newNode(bucket, amount)
    const older = rows.get(series + OLDER)
    if (older === NONE) {
      nodes.set(node + NEXT, node)
      rows.set(series + OLDER, node)
      rows.set(series + OLDEST, bucket)
      return
    }
    let before = older
    if (this.#bucketOf(older) > bucket) {
      for (let next = nodes.get(before + NEXT); this.#bucketOf(next) < bucket; ) {
        before = next
        next = nodes.get(before + NEXT)
      }
    } else rows.set(series + OLDER, node)
    nodes.set(node + NEXT, nodes.get(before + NEXT))
    nodes.set(before + NEXT, node)
    if (bucket < rows.get(series + OLDEST)) rows.set(series + OLDEST, bucket)
  }

  #dropOlder(series: number, older: number, first: number): void {
    const [rows, nodes] = [this.#rows, this.#nodes]
    for (;;) {
      const oldest = nodes.get(older + NEXT)
      const bucket = this.#bucketOf(oldest)
      if (bucket >= first) {
        rows.set(series + OLDEST, bucket)
        return
      }
      this.#grow(series, -nodes.get(oldest + HAS))
      nodes.set(older + NEXT, nodes.get(oldest + NEXT))
      this.#release(oldest)
      if (oldest !== older) continue
      rows.set(series + OLDER, NONE)
      return
    }
  }

  #newNode(bucket: number, amount: number): number {
    const nodes = this.#nodes
    this.#nodesInUse++
    let node = this.#freeNode
    if (node !== NONE) this.#freeNode = nodes.get(node + NEXT)
    else {
      node = this.#nodesEnd
      this.#nodesEnd += NODE_CELLS
    }
    nodes.set(node + BUCKET, bucket)
    nodes.set(node + HAS, amount)
    return node
  }

  #release(node: number): void {
    this.#nodes.set(node + HAS, 0)
    this.#nodes.set(node + NEXT, this.#freeNode)
    this.#freeNode = node
    this.#nodesInUse--
  }
}
