/** Counts what Postfix was told, since start. */

import type { Counter, MeterDeclaration, Meters } from './ports/meters.ts'
import { isObjection } from './verdict.ts'
import { VerdictMeters } from './verdict-meters.ts'
import type { VerdictSink } from './verdict-record.ts'

export interface AnswerTally {
  readonly requests: number
  readonly refused: number
  readonly deadlines: number
  readonly failures: number
}

const REQUESTS: MeterDeclaration = {
  name: 'requests',
  unit: 'requests',
  help: 'Policy requests that were answered.',
}
const REFUSED: MeterDeclaration = {
  name: 'requests_refused',
  unit: 'requests',
  help: 'Policy requests whose answer kept mail from being accepted.',
}
const DEADLINES: MeterDeclaration = {
  name: 'requests_timed_out',
  unit: 'requests',
  help: 'Policy requests that took longer than request_timeout.',
}
const OBSERVED: MeterDeclaration = {
  name: 'requests_observed',
  unit: 'requests',
  help: 'Policy requests that observe mode let pass although a plugin objected.',
}
const FAILURES: MeterDeclaration = {
  name: 'requests_failed',
  unit: 'requests',
  help: 'Policy requests that could not be decided, and writes of counts that failed.',
}

export class AnswerMeters {
  readonly #requests: Counter
  readonly #refused: Counter
  readonly #deadlines: Counter
  readonly #observed: Counter
  readonly #failures: Counter
  readonly #verdicts: VerdictMeters

  constructor(meters: Meters) {
    this.#requests = meters.counter(REQUESTS)
    this.#refused = meters.counter(REFUSED)
    this.#deadlines = meters.counter(DEADLINES)
    this.#observed = meters.counter(OBSERVED)
    this.#failures = meters.counter(FAILURES)
    this.#verdicts = new VerdictMeters(meters)
  }

  readonly sink: VerdictSink = record => {
    const { sent, why } = record
    this.#requests.value++
    if (sent !== undefined && isObjection(sent)) this.#refused.value++
    if (why === 'observed') this.#observed.value++
    if (why === 'late') this.#deadlines.value++
    if (why === 'failed') this.#failures.value++
    this.#verdicts.sink(record)
  }

  /** The answers of a turn leave now: `Clock.elapsed`. */
  settled(at: number): void {
    this.#verdicts.settled(at)
  }

  /** Counts could not be made durable. */
  unsettled(): void {
    this.#failures.value++
  }

  get tally(): AnswerTally {
    return {
      requests: this.#requests.value,
      refused: this.#refused.value,
      deadlines: this.#deadlines.value,
      failures: this.#failures.value,
    }
  }
}
