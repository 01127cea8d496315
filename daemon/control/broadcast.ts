/**
 * One source, any number of readers that come and go, and none waits for another: what a reader has not
 * taken yet is kept up to a bound, and a reader that falls behind further is dropped.
 */

/** Items kept for a reader. */
const MOST_WAITING = 1000
/** More at once are refused: each costs memory and time with every item. */
const MOST_READERS = 32

export class SlowReader extends Error {
  override readonly name = 'SlowReader'
  constructor(most: number) {
    super(`the reader fell more than ${most} records behind and was disconnected`)
  }
}

export class Broadcast<T> {
  readonly #readers = new Set<Reader<T>>()
  readonly #most: number

  constructor(most = MOST_WAITING) {
    this.#most = most
  }

  /** Is it worth making an item? */
  get isHeard(): boolean {
    for (const reader of this.#readers) if (reader.isOpen()) return true
    return false
  }

  /** Never waits and never throws. */
  publish(item: T): void {
    for (const reader of this.#readers) if (reader.isOpen()) reader.add(item)
  }

  /**
   * What is wanted of everything published from now on, until the signal is aborted. While `isOpen` says no, nothing
   * is. Throws where there are too many readers.
   */
  subscribe(
    signal: AbortSignal,
    wanted: (item: T) => boolean = () => true,
    isOpen: () => boolean = () => true,
  ): AsyncIterable<T> {
    if (this.#readers.size >= MOST_READERS) throw new Error('too many readers already')
    const reader = new Reader<T>(this.#most, wanted, isOpen, () => this.#readers.delete(reader))
    this.#readers.add(reader)
    if (signal.aborted) reader.end()
    signal.addEventListener('abort', () => reader.end(), { once: true })
    return reader
  }
}

class Reader<T> implements AsyncIterableIterator<T> {
  readonly #most: number
  readonly #wanted: (item: T) => boolean
  readonly isOpen: () => boolean
  readonly #left: () => void
  #waiting: T[] = []
  /** Somebody waits for the next item. */
  #next: ((result: IteratorResult<T, undefined>) => void) | undefined
  #phase: 'open' | 'too slow' | 'ended' = 'open'

  constructor(most: number, wanted: (item: T) => boolean, isOpen: () => boolean, left: () => void) {
    this.#most = most
    this.#wanted = wanted
    this.isOpen = isOpen
    this.#left = left
  }

  add(item: T): void {
    if (!this.#wanted(item)) return
    if (this.#next) {
      const next = this.#next
      this.#next = undefined
      next({ value: item, done: false })
    } else if (this.#waiting.length < this.#most) {
      this.#waiting.push(item)
    } else {
      this.#leave('too slow')
    }
  }

  end(): void {
    this.#leave('ended')
    this.#next?.({ value: undefined, done: true })
    this.#next = undefined
  }

  /** One call at a time, as `for await` makes them. */
  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.#phase === 'too slow') throw new SlowReader(this.#most)
    const item = this.#waiting.shift()
    if (item !== undefined) return { value: item, done: false }
    if (this.#phase === 'ended') return { value: undefined, done: true }
    return new Promise(resolve => {
      this.#next = resolve
    })
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.end()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #leave(phase: 'too slow' | 'ended'): void {
    if (this.#phase !== 'open') return
    this.#phase = phase
    this.#waiting = []
    this.#left()
  }
}
