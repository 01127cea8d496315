/**
 * Conditions become alerts: one when a condition becomes true, one when it does not hold any more, and none
 * in between, also not over a restart.
 */

import type { Alert, Condition } from './alert.ts'
import { conditionOf } from './alert.ts'

/** What is in force, and where an edge is told. */
export interface Told {
  readonly inForce: ReadonlyMap<string, Alert>
  tell(alert: Alert): void
  now(): number
}

export class Edges {
  readonly #told: Told
  #number = 0

  constructor(told: Told) {
    this.#told = told
  }

  /** In force, as it was raised; undefined: it is not. */
  of(condition: Pick<Condition, 'kind' | 'key'>): Alert | undefined {
    return this.#told.inForce.get(conditionOf(condition))
  }

  get all(): ReadonlyMap<string, Alert> {
    return this.#told.inForce
  }

  /** Ids of that many records are taken: a clock that was set back must not give one of them again. */
  countFrom(number: number): void {
    this.#number = number
  }

  raise(condition: Condition): void {
    if (this.of(condition)) return
    this.#told.tell(this.alertOf(condition, 'raised'))
  }

  /** It has become true again, without a moment at which anybody saw that it was not. */
  raiseAgain(condition: Condition): void {
    this.#told.tell(this.alertOf(condition, 'raised'))
  }

  clear(condition: Pick<Condition, 'kind' | 'key'>): void {
    const before = this.of(condition)
    if (before) this.#told.tell(this.alertOf(before, 'cleared'))
  }

  alertOf(condition: Condition, state: Alert['state']): Alert {
    const at = this.#told.now()
    this.#number++
    return { ...condition, id: `${at}-${this.#number}`, at, state }
  }
}
