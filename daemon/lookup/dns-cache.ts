/**
 * Cached answers of one record type, by name. Bounded in number and in size; the oldest are deleted
 * first. Times are monotonic milliseconds.
 */

interface Entry<A> {
  readonly answer: A
  readonly until: number
  readonly bytes: number
}

const MOST_ANSWERS = 20_000
const MOST_BYTES = 4 * 1024 * 1024
/** Size of an entry without its text. */
const ENTRY_BYTES = 100

export class DnsCache<A> {
  readonly #entries = new Map<string, Entry<A>>()
  #bytes = 0

  get size(): number {
    return this.#entries.size
  }

  get(name: string, now: number): A | undefined {
    const entry = this.#entries.get(name)
    return entry !== undefined && entry.until > now ? entry.answer : undefined
  }

  /** @param bytes size of the answer as received. */
  set(name: string, answer: A, until: number, bytes: number): void {
    this.#delete(name)
    const entry = { answer, until, bytes: bytes + name.length + ENTRY_BYTES }
    this.#entries.set(name, entry)
    this.#bytes += entry.bytes
    // A map is iterated in insertion order.
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MOST_ANSWERS && this.#bytes <= MOST_BYTES) break
      this.#delete(oldest)
    }
  }

  #delete(name: string): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    this.#entries.delete(name)
    this.#bytes -= entry.bytes
  }
}
