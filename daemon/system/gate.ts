/**
 * The bounded queue in front of everything that takes only so many requests at a time.
 *
 * `slots` are in use at most; `waiting` more stand in line, in their order, each with a deadline of its
 * own and, where it has one, its signal. Each entry is told exactly once: admitted, and then has to
 * leave, or refused. What the users need:
 *
 *   SQL          a slot per open link (`resize`), 1000 waiting 1.5 s for one
 *   LDAP         50 searches on one connection, because slapd hangs up at 100; 1000 waiting
 *   Redis, memcached, policy services
 *                1000 (500) pending; nobody waits, because all share a connection or have their own
 *   postmap      a batch of 100 per process (`resize`), 10,000 waiting
 *   DNS          100 queries, 1000 waiting, in two lanes
 *   sessions     one request per message
 */

import type { Cancel, Clock } from './clock.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Refused } from './refused.ts'

export interface GateOptions {
  readonly clock: Pick<Clock, 'after'>
  readonly slots: number
  readonly waiting: number
}

export interface Entry {
  /** How long it may wait. */
  readonly milliseconds: number
  readonly signal?: AbortSignal | undefined
  /** Called at once or later; then `leave` has to be called once. */
  admitted(): void
  /** Called at once or later. */
  refused(why: Refused): void
}

export class Gate {
  readonly #clock: Pick<Clock, 'after'>
  readonly #mostWaiting: number
  #slots: number
  #inUse = 0
  /** In their order; what is called when they are taken out of it. */
  readonly #queue = new Map<Entry, Cancel>()
  #isClosed = false

  constructor({ clock, slots, waiting }: GateOptions) {
    this.#clock = clock
    this.#slots = slots
    this.#mostWaiting = waiting
  }

  get inUse(): number {
    return this.#inUse
  }

  get waiting(): number {
    return this.#queue.size
  }

  enter(entry: Entry): void {
    if (this.#isClosed) entry.refused({ why: 'closed' })
    else if (entry.signal?.aborted) entry.refused({ why: 'cancelled' })
    else if (this.#inUse < this.#slots) {
      this.#inUse++
      entry.admitted()
    } else if (this.#queue.size >= this.#mostWaiting) {
      entry.refused({ why: 'full', pending: this.#inUse + this.#queue.size })
    } else this.#wait(entry)
  }

  /** The same without callbacks. Undefined: admitted. */
  pass(milliseconds: number, signal?: AbortSignal): MaybePromise<Refused | undefined> {
    let settled: { readonly why: Refused | undefined } | undefined
    let resolve: ((why: Refused | undefined) => void) | undefined
    const settle = (why?: Refused): void => {
      settled = { why }
      resolve?.(why)
    }
    this.enter({ milliseconds, signal, admitted: settle, refused: settle })
    if (settled) return settled.why
    return new Promise(done => {
      resolve = done
    })
  }

  /** To be called once by each admitted entry. */
  leave(): void {
    this.#inUse--
    this.#admit()
  }

  /** Fewer slots take effect as they are left. */
  resize(slots: number): void {
    this.#slots = slots
    this.#admit()
  }

  /** Refuses all waiting entries; admitted ones stay. */
  refuseWaiting(why: Refused): void {
    for (const entry of [...this.#queue.keys()]) this.#turnAway(entry, why)
  }

  close(): void {
    this.#isClosed = true
    this.refuseWaiting({ why: 'closed' })
  }

  #wait(entry: Entry): void {
    const { milliseconds, signal } = entry
    const cancel = this.#clock.after(milliseconds, () =>
      this.#turnAway(entry, { why: 'late', milliseconds }),
    )
    const abort = (): void => this.#turnAway(entry, { why: 'cancelled' })
    signal?.addEventListener('abort', abort, { once: true })
    this.#queue.set(entry, () => {
      cancel()
      signal?.removeEventListener('abort', abort)
    })
  }

  #turnAway(entry: Entry, why: Refused): void {
    if (this.#takeOut(entry)) entry.refused(why)
  }

  #admit(): void {
    for (const entry of this.#queue.keys()) {
      if (this.#inUse >= this.#slots) return
      this.#takeOut(entry)
      this.#inUse++
      entry.admitted()
    }
  }

  /** False: it is not in the queue any more. */
  #takeOut(entry: Entry): boolean {
    const stop = this.#queue.get(entry)
    stop?.()
    return this.#queue.delete(entry)
  }
}
