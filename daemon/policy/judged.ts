/**
 * A request that has been decided, on its way out. What Postfix is told is settled here at last, and
 * the verdict record leaves with the answer: once, and never before.
 */

import type { Clock } from '../system/clock.ts'
import type { FactNames } from './facts.ts'
import type { Hearing } from './hearing.ts'
import { failureAnswer, isFailureAnswer, type OnFailure } from './on-failure.ts'
import { type Decision, dunno, type Verdict } from './verdict.ts'
import { VerdictRecord, type VerdictSink, type Why } from './verdict-record.ts'

/** What is the same for all requests of a configuration. */
export interface Docket {
  readonly clock: Clock
  /** In observe mode always `dunno`. */
  readonly onFailure: OnFailure
  readonly factNames: FactNames
  readonly sinks: readonly VerdictSink[]
  /** A sink has thrown; the others were told. */
  readonly cannotRecord: (error: unknown) => void
}

/** What `on_failure = close` comes to. */
export const SILENT: Verdict = { action: dunno, by: '', silent: true }

export class Judged {
  readonly hearing: Hearing
  readonly #docket: Docket
  readonly #decided: Decision | undefined
  #verdict: Verdict
  #why: Why

  constructor(
    docket: Docket,
    hearing: Hearing,
    decided: Decision | undefined,
    verdict: Verdict,
    why: Why,
  ) {
    this.#docket = docket
    this.hearing = hearing
    this.#decided = decided
    this.#verdict = verdict
    this.#why = why
  }

  /** What Postfix is to be told. */
  get verdict(): Verdict {
    return this.#verdict
  }

  /** The counts behind it could not be made durable: `on_failure` says what Postfix is told. */
  uncounted(): Verdict {
    const { silent, action } = this.#verdict
    // Held back already, for a reason that comes first.
    if (silent || isFailureAnswer(action) || this.hearing.measures?.block) return this.#verdict
    const answer = failureAnswer(this.#docket.onFailure, 'counting')
    if (answer.kind === 'pass') return this.#verdict
    this.hearing.takeBack()
    this.#why = 'uncounted'
    this.#verdict = answer.kind === 'close' ? SILENT : { action: answer.action, by: '' }
    return this.#verdict
  }

  /** To be called once, when the answer has been sent, or cannot be because the client has gone. */
  left(isSent: boolean): void {
    const { clock, factNames, sinks, cannotRecord } = this.#docket
    const verdict = this.#verdict
    const sent = isSent && !verdict.silent ? verdict.action : undefined
    const why = isSent ? this.#why : 'gone'
    const record = new VerdictRecord(clock, this.hearing, this.#decided, sent, why, factNames)
    for (const sink of sinks) {
      try {
        sink(record)
      } catch (error) {
        cannotRecord(error)
      }
    }
  }
}
