/**
 * The engine: what turns requests into verdicts, from a loaded configuration. The daemon, the tests, a
 * rehearsal and a replay all build it here; clock, store and sinks are theirs.
 */

import type { Loaded } from '../config/load.ts'
import { type Answer, makeAnswer } from '../policy/answer.ts'
import type { CodeFor } from '../policy/judged.ts'
import type { Log } from '../policy/ports/log.ts'
import { type Measures, noMeasures } from '../policy/ports/measures.ts'
import type { PolicyRequest } from '../policy/request.ts'
import type { VerdictSink } from '../policy/verdict-record.ts'
import type { Clock } from '../system/clock.ts'

export interface EngineOptions {
  /** Its plugins count in the ledger they were loaded with. */
  readonly loaded: Loaded
  readonly clock: Clock
  readonly log: Log
  /** Each is told of every verdict, once it has left. */
  readonly sinks: readonly VerdictSink[]
  /** Gives refusals their codes; undefined: they have none. */
  readonly codeFor?: CodeFor | undefined
  /** The default: there are none. */
  readonly measures?: Measures
  readonly retiredKeys?: ReadonlySet<string>
  /** Note every plugin's step. */
  readonly isTraced?: boolean
  /** Mail that we have sent ourselves; undefined: we send none. */
  readonly isOwn?: ((request: PolicyRequest) => boolean) | undefined
}

const NONE: ReadonlySet<string> = new Set()

export function makeEngine(options: EngineOptions): Answer {
  const { loaded, clock, log, sinks, codeFor, retiredKeys = NONE, isTraced = false } = options
  const { measures = noMeasures } = options
  const { globals, hosts, sessions, ledger, factNames, defaultDomain, language } = loaded
  return makeAnswer({
    hosts,
    retiredKeys,
    byPolicyContext: globals.vhost_by_policy_context,
    onFailure: globals.on_failure,
    deadlineMilliseconds: globals.request_timeout * 1000,
    observe: globals.mode === 'observe',
    sessions,
    ledger,
    measures,
    defaultDomain,
    language,
    factNames,
    log,
    clock,
    sinks,
    codeFor,
    isTraced,
    isOwn: options.isOwn,
  })
}
