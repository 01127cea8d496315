/**
 * When connections end. A trace does not tell; a connection ends with the last record that has its name. To know
 * which one that is, some records are read ahead: a connection that none of them names is over, and if
 * its name comes again later, that is another connection.
 */

import type { Recorded } from './record.ts'

/** Records that are read ahead, and their bytes. */
const MOST_AHEAD = 16_384
const MOST_AHEAD_BYTES = 64 * 1024 * 1024

export interface Turn {
  readonly record: Recorded
  /** Unique in this replay. */
  readonly connection: number
  readonly isLast: boolean
}

interface Open {
  readonly connection: number
  /** Records that have been read and not passed on. */
  ahead: number
}

export class ConnectionEnds {
  #read: Recorded[] = []
  /** The first of `#read` that was not passed on. */
  #next = 0
  readonly #open = new Map<string, Open>()
  #connections = 0
  #bytes = 0

  add(records: readonly Recorded[]): void {
    for (const record of records) {
      const open = this.#open.get(record.conn)
      if (open) open.ahead++
      else this.#open.set(record.conn, { connection: ++this.#connections, ahead: 1 })
      this.#read.push(record)
      this.#bytes += record.bytes
    }
  }

  /** The next one, once enough are read ahead, or if `isEnd`: no more will come. */
  take(isEnd: boolean): Turn | undefined {
    const record = this.#read[this.#next]
    const length = this.#read.length - this.#next
    const isEnough = isEnd || length > MOST_AHEAD || this.#bytes > MOST_AHEAD_BYTES
    if (!record || !isEnough) return undefined
    this.#next++
    this.#bytes -= record.bytes
    if (this.#next > MOST_AHEAD) {
      this.#read = this.#read.slice(this.#next)
      this.#next = 0
    }
    const open = this.#open.get(record.conn)
    if (!open) throw new Error('a record was passed on twice')
    open.ahead--
    const isLast = open.ahead === 0
    if (isLast) this.#open.delete(record.conn)
    return { record, connection: open.connection, isLast }
  }
}
