/** The requests of one connection to Postfix, as they arrive at the daemon while a mail is sent. */

import type { RequestsArguments, WatchedRequest } from '../control/control.ts'
import { systemClock } from '../system/clock.ts'

/** The answer is sent before it is shown: time for the first one, and then for another one. */
const FIRST_MILLISECONDS = 3000
const NEXT_MILLISECONDS = 300
/** One mail with one recipient has three at most, each for every item in Postfix's lists. */
const MOST_REQUESTS = 100

export type RequestSource = (
  given: RequestsArguments,
  signal: AbortSignal,
) => Promise<AsyncIterable<WatchedRequest>>

export class ArrivedRequests {
  readonly #source: RequestSource
  readonly #ended = new AbortController()
  readonly #arrived: WatchedRequest[] = []
  #failure: unknown
  #wake: () => void = () => undefined

  constructor(source: RequestSource) {
    this.#source = source
  }

  /** Resolves when nothing will be missed; rejects if there is no daemon. */
  async listen(given: RequestsArguments): Promise<void> {
    void this.#collect(await this.#source(given, this.#ended.signal))
  }

  async #collect(requests: AsyncIterable<WatchedRequest>): Promise<void> {
    try {
      for await (const request of requests) {
        if (this.#arrived.length < MOST_REQUESTS) this.#arrived.push(request)
        this.#wake()
      }
    } catch (error) {
      this.#failure = error
      this.#wake()
    }
  }

  /**
   * All of them, when no more come.
   *
   * @param isDue there should be one. Rejects then, if the daemon has ended: it is not known whether there was
   */
  async all(isDue: boolean): Promise<readonly WatchedRequest[]> {
    for (let seen = -1; seen < this.#arrived.length; ) {
      seen = this.#arrived.length
      if (this.#failure !== undefined) break
      await this.#next(seen === 0 && isDue ? FIRST_MILLISECONDS : NEXT_MILLISECONDS)
    }
    if (isDue && this.#failure !== undefined && this.#arrived.length === 0) throw this.#failure
    return this.#arrived
  }

  async #next(milliseconds: number): Promise<void> {
    const come = new AbortController()
    this.#wake = () => come.abort()
    await systemClock.sleep(milliseconds, come.signal).catch(() => undefined)
  }

  stop(): void {
    this.#ended.abort()
  }
}
