/**
 * Findings of the daemon about itself as conditions. They are looked at every few seconds; one that comes and
 * goes is raised only once it has stayed, and cleared only once it has stayed away.
 */

import { type Finding, isTrouble } from '../policy/finding.ts'
import { type Condition, conditionOf } from './alert.ts'
import type { Edges } from './edges.ts'

const RAISED_AFTER_MILLISECONDS = 20_000
const CLEARED_AFTER_MILLISECONDS = 300_000
/** A daemon that does not live long could never tell it otherwise. */
const AT_ONCE: ReadonlySet<string> = new Set(['restart-loop'])
/** Findings that are followed at the same time. */
const MOST_FINDINGS = 1000

interface Followed {
  /** By the elapsed time: when it was first seen, and last. */
  readonly first: number
  last: number
}

export class FindingConditions {
  readonly #edges: Edges
  readonly #followed = new Map<string, Followed>()
  /** When the first look was. */
  #began: number | undefined

  constructor(edges: Edges) {
    this.#edges = edges
  }

  /** `elapsed`: milliseconds of `Clock.elapsed`. */
  look(findings: readonly Finding[], elapsed: number): void {
    this.#began ??= elapsed
    for (const finding of findings) {
      if (!isTrouble(finding) || finding.subject === 'alerts') continue
      const condition = conditionFrom(finding)
      const key = conditionOf(condition)
      const seen = this.#followed.get(key) ?? { first: elapsed, last: elapsed }
      seen.last = elapsed
      if (this.#followed.size < MOST_FINDINGS) this.#followed.set(key, seen)
      const hasStayed = elapsed - seen.first >= RAISED_AFTER_MILLISECONDS
      if (hasStayed || AT_ONCE.has(finding.id)) this.#edges.raise(condition)
    }
    for (const [key, { last }] of this.#followed) {
      // Without having been raised it leaves no trace.
      const limit = this.#edges.all.has(key) ? CLEARED_AFTER_MILLISECONDS : 0
      if (elapsed - last > limit) this.#followed.delete(key)
    }
    this.#clear(elapsed)
  }

  #clear(elapsed: number): void {
    if (elapsed - (this.#began ?? elapsed) <= CLEARED_AFTER_MILLISECONDS) return
    for (const [key, alert] of this.#edges.all) {
      if (alert.facts.finding === undefined || this.#followed.has(key)) continue
      this.#edges.clear(alert)
    }
  }
}

function conditionFrom({ id, where, severity, subject, what, why, remedy }: Finding): Condition {
  return {
    kind: id,
    key: where.slice(0, 256) || id,
    severity,
    account: '',
    what,
    why,
    remedy,
    facts: { finding: id, subject, where: where.slice(0, 256) },
  }
}
