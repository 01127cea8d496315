/**
 * The links to one SQL server: opened when a request waits for one, kept for the next request, closed
 * when they are idle.
 *
 * Each link is in one of four states:
 *
 *   opening ──▶ idle ◀──▶ busy          any of them ──▶ lost
 *
 * A slot of the gate is a live link. A server that was down is probed by one link; requests that need a
 * link in the meantime fail at once. While some links work, a failed attempt to open another one (too many
 * connections, say) only means that requests share those there are.
 */

import { IDLE_MILLISECONDS } from '../net/server-access.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { Gate } from '../system/gate.ts'
import { Patience } from '../system/patience.ts'
import { noAnswer, type Refused, seconds } from '../system/refused.ts'
import { type Answer, type Link, NotDone } from './sql-driver.ts'

export interface SqlPoolOptions {
  readonly clock: Clock
  open(signal: AbortSignal, lost: (error: unknown) => void): Promise<Link>
  /** An error as messages tell it, without secrets. */
  reasonOf(error: unknown): string
}

const MOST_LINKS = 4
const MOST_WAITING = 1000
const CONNECT_MILLISECONDS = 1500
/** A little longer, so that a waiting request learns why there is no link. */
const WAIT_MILLISECONDS = 1600
/** Longer than STATEMENT_MILLISECONDS, so that the server itself can report that it took too long. */
const ANSWER_MILLISECONDS = 2000

/** The link had worked, and was lost: the statement may never have reached the server. */
export class FoundDead extends Error {}

type LinkState =
  | { readonly kind: 'opening' }
  | { readonly kind: 'idle'; readonly link: Link; readonly keepOpen: Cancel }
  | { readonly kind: 'busy'; readonly link: Link; readonly fail: (error: unknown) => void }
  | { readonly kind: 'lost' }

interface PooledLink {
  state: LinkState
  /** Has it answered a statement? */
  hasAnswered: boolean
}

export class SqlPool {
  readonly #options: SqlPoolOptions
  readonly #gate: Gate
  readonly #patience: Patience
  /** The last one used is used first, so that those not needed become idle. */
  readonly #idle: PooledLink[] = []
  /** Links that are idle or busy. */
  #live = 0
  #opening = 0
  #isClosed = false

  constructor(options: SqlPoolOptions) {
    this.#options = options
    const { clock } = options
    this.#gate = new Gate({ clock, slots: 0, waiting: MOST_WAITING })
    this.#patience = new Patience(clock)
  }

  /** Undefined: there is an idle link, for one `run`. */
  async admit(): Promise<Refused | undefined> {
    // Without a working link, every request would wait for the one that probes.
    const refused = this.#live === 0 && !this.#isClosed ? this.#patience.refusal() : undefined
    if (refused) return refused
    const passed = this.#gate.pass(WAIT_MILLISECONDS)
    this.#openIfNeeded()
    return passed
  }

  /** Once after each `admit`. */
  async run(work: (link: Link) => Promise<Answer>): Promise<Answer> {
    const pooled = this.#idle.pop()
    if (pooled?.state.kind !== 'idle') {
      this.#gate.leave()
      throw new NotDone('the connection was lost')
    }
    const { link, keepOpen } = pooled.state
    keepOpen()
    const { clock } = this.#options
    const began = clock.elapsed()
    const { promise, reject } = Promise.withResolvers<never>()
    const fail = (error: unknown): void => {
      const isDoubtful = pooled.hasAnswered && !(error instanceof NotDone)
      reject(isDoubtful ? new FoundDead(this.#options.reasonOf(error)) : error)
    }
    pooled.state = { kind: 'busy', link, fail }
    const cancel = clock.after(ANSWER_MILLISECONDS, () => {
      reject(new Error(noAnswer(ANSWER_MILLISECONDS)))
      this.#silent(pooled, clock.elapsed() - began)
    })
    try {
      return await Promise.race([work(link), promise])
    } finally {
      cancel()
      pooled.hasAnswered = true
      this.#release(pooled)
    }
  }

  /** Statements that run are waited for. */
  close(): void {
    this.#isClosed = true
    this.#gate.close()
    for (const pooled of [...this.#idle]) this.#retire(pooled)
  }

  #openIfNeeded(): void {
    if (this.#isClosed || this.#live + this.#opening >= MOST_LINKS) return
    if (this.#gate.waiting <= this.#opening) return
    const refused = this.#patience.admit()
    if (!refused) this.#open()
    else this.#refuseWaitingInVain(refused)
  }

  /** There is no link left that could become free. */
  #refuseWaitingInVain(refused: Refused): void {
    if (this.#live + this.#opening === 0) this.#gate.refuseWaiting(refused)
  }

  #open(): void {
    const { clock, open } = this.#options
    const pooled: PooledLink = { state: { kind: 'opening' }, hasAnswered: false }
    const began = clock.elapsed()
    const limit = new AbortController()
    const cancel = clock.after(CONNECT_MILLISECONDS, () => limit.abort())
    this.#opening++
    const ended = (): void => {
      cancel()
      this.#opening--
    }
    open(limit.signal, error => this.#lostByItself(pooled, error)).then(
      link => {
        ended()
        this.#opened(pooled, link)
      },
      error => {
        ended()
        const isSilent = limit.signal.aborted
        const reason = isSilent ? `no connection within ${seconds(CONNECT_MILLISECONDS)}` : error
        this.#failedToOpen(pooled, reason, clock.elapsed() - began, isSilent)
      },
    )
  }

  #opened(pooled: PooledLink, link: Link): void {
    this.#patience.answered()
    if (pooled.state.kind === 'lost') link.destroy()
    else if (this.#isClosed) link.end()
    else {
      this.#live++
      this.#rest(pooled, link)
      this.#gate.resize(this.#live)
    }
    this.#openIfNeeded()
  }

  #failedToOpen(pooled: PooledLink, error: unknown, waited: number, isSilent: boolean): void {
    const reason = this.#options.reasonOf(error)
    pooled.state = { kind: 'lost' }
    // A surplus link that no request waits for any more says nothing about the server.
    if (isSilent || this.#gate.waiting > 0) this.#patience.failed(reason, waited)
    else this.#patience.withdrawn()
    this.#refuseWaitingInVain({ why: 'failed', reason })
  }

  /** It does not answer on one link, so the idle ones are not tried either. */
  #silent(pooled: PooledLink, waited: number): void {
    const reason = noAnswer(ANSWER_MILLISECONDS)
    this.#patience.failed(reason, waited)
    for (const one of [pooled, ...this.#idle]) this.#lose(one, new Error(reason))
    this.#refuseWaitingInVain({ why: 'failed', reason })
  }

  #lostByItself(pooled: PooledLink, error: unknown): void {
    this.#lose(pooled, error)
    // The idle ones lead to the same server, which another one has to replace.
    if (error instanceof NotDone) for (const one of [...this.#idle]) this.#retire(one)
  }

  #release(pooled: PooledLink): void {
    const { state } = pooled
    if (state.kind === 'busy') {
      if (this.#isClosed) this.#retire(pooled)
      else this.#rest(pooled, state.link)
    }
    this.#gate.leave()
    this.#openIfNeeded()
  }

  #rest(pooled: PooledLink, link: Link): void {
    const keepOpen = this.#options.clock.after(IDLE_MILLISECONDS, () => this.#retire(pooled))
    pooled.state = { kind: 'idle', link, keepOpen }
    this.#idle.push(pooled)
  }

  #retire(pooled: PooledLink): void {
    const state = this.#takeOut(pooled)
    if (state.kind === 'idle' || state.kind === 'busy') state.link.end()
  }

  #lose(pooled: PooledLink, error: unknown): void {
    const state = this.#takeOut(pooled)
    if (state.kind === 'idle' || state.kind === 'busy') state.link.destroy()
    if (state.kind === 'busy') state.fail(error)
  }

  /** It is lost from now on; its state up to now. */
  #takeOut(pooled: PooledLink): LinkState {
    const { state } = pooled
    pooled.state = { kind: 'lost' }
    if (state.kind === 'idle') {
      state.keepOpen()
      this.#idle.splice(this.#idle.indexOf(pooled), 1)
    }
    if (state.kind === 'idle' || state.kind === 'busy') this.#gate.resize(--this.#live)
    return state
  }
}
