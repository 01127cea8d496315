/**
 * Lends a mail's session to the plugins and gives it back. A cache that fails, or another request that
 * holds the session for too long, costs the session, not the mail.
 */

import type { Clock } from '../system/clock.ts'
import { describeError, LookupError } from '../system/errors.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import type { PolicyRequest } from './request.ts'
import { Session, type SessionCache } from './session.ts'

/** Characters; Postfix's have some 25. A longer one is made up, and gets no session. */
const MOST_INSTANCE = 512

export interface LoanOptions {
  readonly cache: SessionCache
  readonly clock: Clock
  /** Milliseconds to wait for a session. */
  readonly patience: number
  /** Told when a session could not be had or given back. */
  readonly lost: (message: string) => void
}

export class SessionLoan {
  readonly #options: LoanOptions

  constructor(options: LoanOptions) {
    this.#options = options
  }

  /** Runs the work with the mail's session, or with an empty one. Fails only as the work does. */
  with<T>(request: PolicyRequest, work: (session: Session) => MaybePromise<T>): MaybePromise<T> {
    const instance = request.text('instance')
    if (instance === '' || instance.length > MOST_INSTANCE) return work(new Session())
    const without = (error: unknown): MaybePromise<T> => {
      this.#lost(instance, error)
      return work(new Session())
    }
    let acquired: MaybePromise<Session>
    try {
      acquired = this.#options.cache.acquire(instance)
    } catch (error) {
      return without(error)
    }
    if (!(acquired instanceof Promise)) return this.#use(instance, acquired, work)
    return this.#inTime(instance, acquired).then(
      session => this.#use(instance, session, work),
      without,
    )
  }

  #use<T>(
    instance: string,
    session: Session,
    work: (session: Session) => MaybePromise<T>,
  ): MaybePromise<T> {
    let result: MaybePromise<T>
    try {
      result = work(session)
    } catch (error) {
      this.#giveBack(instance, session)
      throw error
    }
    if (result instanceof Promise) return result.finally(() => this.#giveBack(instance, session))
    const stored = this.#giveBack(instance, session)
    const value = result
    return stored instanceof Promise ? stored.then(() => value) : value
  }

  /** Never fails. */
  #giveBack(instance: string, session: Session): MaybePromise<void> {
    try {
      const stored = this.#options.cache.release(instance, session)
      if (stored instanceof Promise) return stored.catch(error => this.#lost(instance, error))
    } catch (error) {
      this.#lost(instance, error)
    }
  }

  /** Rejects after `patience`; a session that comes later is given back. */
  #inTime(instance: string, session: Promise<Session>): Promise<Session> {
    const { clock, patience } = this.#options
    return new Promise((resolve, reject) => {
      let isLate = false
      const cancel = clock.after(patience, () => {
        isLate = true
        reject(new LookupError(`no answer within ${patience} ms`))
      })
      session
        .then(value => (isLate ? this.#giveBack(instance, value) : resolve(value)), reject)
        .finally(cancel)
    })
  }

  #lost(instance: string, error: unknown): void {
    this.#options.lost(
      `session data for message ${instance} is unavailable: ${describeError(error)}`,
    )
  }
}
