/**
 * The way to a server for requests that each get one answer: how many may be pending, the circuit
 * breaker, the time for each, closing what is not used, and one form of message, without the password.
 */

import type { Cancel, Clock } from '../system/clock.ts'
import { describeError, LookupError, withoutSecret } from '../system/errors.ts'
import { Gate } from '../system/gate.ts'
import { Patience } from '../system/patience.ts'
import { type Refused, refusal } from '../system/refused.ts'
import { Lost, NoAnswer, ServerFailure, Unreachable } from './server-failure.ts'

export interface ServerAccessOptions {
  /** As messages call the server. */
  readonly title: string
  readonly clock: Clock
  readonly secret?: string | undefined
  /** Requests in progress. */
  readonly atOnce: number
  /** Requests that may wait until one of those has ended. */
  readonly waiting: number
  /** For one request, the time in the queue included. */
  readonly milliseconds: number
  /** Closes the connection, if there is one. Called when there has been no request for a while. */
  readonly closeIdle?: () => void
  readonly idleMilliseconds?: number
}

/** Firewalls and NAT drop a silent connection after some minutes, and tell neither end. */
export const IDLE_MILLISECONDS = 60_000
/** TCP keepalive, which detects a peer that has vanished. */
export const KEEP_ALIVE_MILLISECONDS = 30_000

const nothing = (): void => undefined

export class ServerAccess {
  readonly #options: ServerAccessOptions
  readonly #gate: Gate
  readonly #patience: Patience
  #keepOpen: Cancel = nothing
  #isClosed = false

  constructor(options: ServerAccessOptions) {
    this.#options = options
    const { clock, atOnce, waiting } = options
    this.#gate = new Gate({ clock, slots: atOnce, waiting })
    this.#patience = new Patience(clock)
  }

  /**
   * @param work has `milliseconds` left, and ends by itself, with a ServerFailure where the server is to
   *   blame.
   * @param signal ends the time in the queue
   */
  async ask<T>(work: (milliseconds: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { clock, milliseconds } = this.#options
    const came = clock.elapsed()
    // A request that would be refused behind the gate does not wait in front of it.
    const resting = this.#isClosed ? undefined : this.#patience.refusal()
    this.#refuse(resting ?? (await this.#gate.pass(milliseconds, signal)))
    const began = clock.elapsed()
    this.#keepOpen()
    try {
      this.#refuse(this.#patience.admit())
      const answer = await work(Math.max(0, milliseconds - (began - came)))
      this.#patience.answered()
      return answer
    } catch (error) {
      if (error instanceof RefusedHere) throw error
      // What has spent its time in the queue says nothing about the server.
      const isTelling = began - came <= milliseconds / 2
      throw this.#judge(error, clock.elapsed() - began, isTelling)
    } finally {
      this.#gate.leave()
      this.#watchIdle()
    }
  }

  /** Requests that wait are refused, and so are those to come. */
  close(): void {
    this.#isClosed = true
    this.#gate.close()
    this.#keepOpen()
  }

  #refuse(refused: Refused | undefined): void {
    if (refused) throw new RefusedHere(refusal(this.#options.title, refused).message)
  }

  /**
   * Draws conclusions from an error, and puts it into words.
   * @param isTelling would the server have had the time to answer?
   */
  #judge(error: unknown, waited: number, isTelling: boolean): LookupError {
    const { title, secret } = this.#options
    const said = error instanceof ServerFailure ? error.reason : describeError(error)
    const reason = withoutSecret(said, secret)
    if (error instanceof NoAnswer && isTelling) this.#patience.failed(reason, waited)
    else if (error instanceof NoAnswer) this.#patience.withdrawn()
    else if (error instanceof Unreachable) this.#patience.failed(reason, waited, error.leastRest)
    else if (error instanceof Lost) this.#patience.withdrawn()
    else this.#patience.answered()
    return new LookupError(`${title}: ${reason}`)
  }

  #watchIdle(): void {
    const { clock, closeIdle, idleMilliseconds = IDLE_MILLISECONDS } = this.#options
    if (!closeIdle || this.#gate.inUse > 0) return
    if (idleMilliseconds === 0) closeIdle()
    else this.#keepOpen = clock.after(idleMilliseconds, closeIdle)
  }
}

/** The request was not sent. */
class RefusedHere extends LookupError {}
