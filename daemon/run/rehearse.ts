/**
 * Decides one request as the daemon would, with every step, and without any effect.
 *
 * The assembly must have been made with `isRehearsal`. A session begins empty, as for the first request
 * of a message.
 */

import { type AssemblyOptions, assemble } from '../assembly/assemble.ts'
import { silentLog } from '../assembly/configuration.ts'
import type { Loaded } from '../config/load.ts'
import type { FactValue } from '../policy/facts.ts'
import type { Step } from '../policy/hearing.ts'
import { type Measures, noMeasures } from '../policy/ports/measures.ts'
import { formatProblem } from '../policy/problem.ts'
import type { PolicyRequest } from '../policy/request.ts'
import type { Decision, Verdict } from '../policy/verdict.ts'
import type { Clock } from '../system/clock.ts'
import { makeEngine } from './engine.ts'

export interface Rehearsed {
  /** What Postfix would be told. */
  readonly verdict: Verdict
  readonly steps: readonly Step[]
  /** In observe mode: what was objected to. */
  readonly objections: readonly Decision[]
  readonly facts: Readonly<Record<string, FactValue | undefined>>
}

export interface Rehearsal {
  readonly rehearse: (request: PolicyRequest) => Promise<Rehearsed>
  readonly close: () => void
}

/** A configuration's second assembly. Rejects if it cannot be used: something it names has gone. */
export async function rehearsalOf(
  options: AssemblyOptions,
  measures: Measures,
): Promise<Rehearsal> {
  const assembly = await assemble({ ...options, log: () => silentLog, isRehearsal: true })
  const { loaded, isUsable, problems, close } = assembly
  if (isUsable) return { rehearse: rehearser(loaded, options.clock, measures), close }
  close()
  throw new Error(problems.map(formatProblem).join('\n'))
}

/** Rehearses requests, one after the other or at once. */
export function rehearser(
  loaded: Loaded,
  clock: Clock,
  measures: Measures = noMeasures,
): (request: PolicyRequest) => Promise<Rehearsed> {
  const answer = makeEngine({
    loaded: { ...loaded, sessions: undefined },
    clock,
    log: silentLog,
    measures,
    sinks: [],
    isTraced: true,
  })
  return async request => {
    const { verdict, hearing } = await answer(request)
    const { steps = [], objections, facts } = hearing
    return { verdict, steps, objections, facts }
  }
}
