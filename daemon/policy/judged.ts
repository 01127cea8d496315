/**
 * A request that has been decided, on its way out. What Postfix is told is settled here at last, and
 * the verdict record leaves with the answer: once, and never before.
 */

import type { Clock } from '../system/clock.ts'
import type { FactNames } from './facts.ts'
import type { Hearing } from './hearing.ts'
import { failureAnswer, isFailureAnswer, type OnFailure } from './on-failure.ts'
import type { PolicyRequest } from './request.ts'
import { type Decision, dunno, refusesMail, type Verdict, withCode } from './verdict.ts'
import { VerdictRecord, type VerdictSink, type Why } from './verdict-record.ts'

/** The code of a refusal, which does not have it yet; empty: it has none. Must not throw. */
export type CodeFor = (request: PolicyRequest, action: string) => string

/** What is the same for all requests of a configuration. */
export interface Docket {
  readonly clock: Clock
  /** In observe mode always `dunno`. */
  readonly onFailure: OnFailure
  readonly factNames: FactNames
  readonly sinks: readonly VerdictSink[]
  /** Undefined: refusals have no code. */
  readonly codeFor: CodeFor | undefined
  /** A sink has thrown; the others were told. */
  readonly cannotRecord: (error: unknown) => void
}

/** What `on_failure = close` comes to. */
export const SILENT: Verdict = { action: dunno, by: '', silent: true }

export class Judged {
  readonly hearing: Hearing
  readonly #docket: Docket
  readonly #decided: Decision | undefined
  /** Without the code that it may have. */
  #verdict: Verdict
  #code = ''
  #told: Verdict
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
    this.#told = verdict
    this.#why = why
    if (docket.codeFor) this.#addCode(docket.codeFor)
  }

  /** What Postfix is to be told. */
  get verdict(): Verdict {
    return this.#told
  }

  /** The counts behind it could not be made durable: `on_failure` says what Postfix is told. */
  uncounted(): Verdict {
    const { silent, action } = this.#verdict
    // Held back already, for a reason that comes first.
    if (silent || isFailureAnswer(action) || this.hearing.measures?.block) return this.#told
    const answer = failureAnswer(this.#docket.onFailure, 'counting')
    if (answer.kind === 'pass') return this.#told
    this.hearing.takeBack()
    this.#why = 'uncounted'
    this.#verdict = answer.kind === 'close' ? SILENT : { action: answer.action, by: '' }
    this.#told = this.#verdict
    this.#code = ''
    if (this.#docket.codeFor) this.#addCode(this.#docket.codeFor)
    return this.#told
  }

  #addCode(codeFor: CodeFor): void {
    const { action } = this.#verdict
    if (!refusesMail(action)) return
    this.#code = codeFor(this.hearing.request, action)
    if (this.#code === '') return
    this.#told = { ...this.#verdict, action: withCode(action, this.#code) }
  }

  /** To be called once, when the answer has been sent, or cannot be because the client has gone. */
  left(isSent: boolean): void {
    const { clock, factNames, sinks, cannotRecord } = this.#docket
    const told = this.#told
    const sent = isSent && !told.silent ? told.action : undefined
    const why = isSent ? this.#why : 'gone'
    const code = sent === undefined ? '' : this.#code
    const record = new VerdictRecord(clock, this.hearing, this.#decided, sent, why, factNames, code)
    for (const sink of sinks) {
      try {
        sink(record)
      } catch (error) {
        cannotRecord(error)
      }
    }
  }
}
