/**
 * From a request to a verdict: the virtual host, the session, the chain, the deadline.
 *
 * Never rejects and never throws: whatever fails ends in what the operator chose with `on_failure`.
 * As long as no plugin waits for anything, the verdict comes at once, without a promise or a timer.
 * Nothing is logged or counted here: the record of a verdict leaves with its answer (`Judged.left`).
 */

import type { Clock } from '../system/clock.ts'
import { describeError, LookupError } from '../system/errors.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import { rateLimited } from '../system/rate-limited.ts'
import { blocked } from './blocked.ts'
import { RequestFailure } from './chain.ts'
import { LATE } from './deadline.ts'
import type { FactNames } from './facts.ts'
import { Hearing, type HearingOptions } from './hearing.ts'
import { type CodeFor, type Docket, Judged, SILENT } from './judged.ts'
import { LedgerEvents } from './ledger-event.ts'
import { failureAnswer, type OnFailure } from './on-failure.ts'
import type { Ledger } from './ports/ledger.ts'
import type { Log } from './ports/log.ts'
import type { Measures } from './ports/measures.ts'
import type { PolicyRequest } from './request.ts'
import { Session, type SessionCache } from './session.ts'
import { SessionLoan } from './session-loan.ts'
import { type Decision, dunno, oneLine, refusesMail, type Verdict } from './verdict.ts'
import type { VerdictSink } from './verdict-record.ts'
import { type VirtualHost, type VirtualHostsOptions, virtualHosts } from './virtual-hosts.ts'

export interface AnswerOptions extends VirtualHostsOptions {
  readonly onFailure: OnFailure
  /** Milliseconds for all plugins of one request; 0: unlimited. */
  readonly deadlineMilliseconds: number
  /** Refuse nothing: objections are noted, and every plugin is run. */
  readonly observe: boolean
  /** Undefined: every request starts with an empty session. */
  readonly sessions: SessionCache | undefined
  /** Where limits count; undefined: there is none. */
  readonly ledger: Ledger | undefined
  /** What is ordered for single accounts; it comes before everything else. */
  readonly measures: Measures
  /** Cut from the names of accounts that are looked up there. */
  readonly defaultDomain: string
  /** What our own refusals are written in: en, de or fr. */
  readonly language: string
  readonly log: Log
  readonly clock: Clock
  readonly factNames: FactNames
  readonly sinks: readonly VerdictSink[]
  /** Gives refusals their codes; undefined: they have none. */
  readonly codeFor?: CodeFor | undefined
  /** Note every plugin's step, in `Judged.hearing.steps`. */
  readonly isTraced?: boolean
  /** Mail that we have sent ourselves passes, and is not counted. Must not throw. Undefined: we send none. */
  readonly isOwn?: ((request: PolicyRequest) => boolean) | undefined
}

export type Answer = (request: PolicyRequest) => MaybePromise<Judged>

/** Milliseconds; it matters where a request has no deadline. */
const LONGEST_PATIENCE = 60_000

const PASSED: Verdict = { action: dunno, by: '' }

/** Milliseconds left for the plugins after the one that took all the time, and for the session. */
const GRACE = 25

export function makeAnswer(options: AnswerOptions): Answer {
  const { log, clock, sessions, measures, deadlineMilliseconds, isOwn } = options
  const onFailure = options.observe ? 'dunno' : options.onFailure
  const hostOf = virtualHosts(options)
  const logRarely = rateLimited(clock, log.error)
  const docket: Docket = {
    clock,
    onFailure,
    factNames: options.factNames,
    sinks: options.sinks,
    codeFor: options.codeFor,
    cannotRecord: error => logRarely(`cannot record a verdict: ${describeError(error)}`),
  }
  const hearingOptions: HearingOptions = {
    log,
    clock,
    isTraced: options.isTraced ?? false,
    events: new LedgerEvents(),
    ledger: options.ledger,
    defaultDomain: options.defaultDomain,
    cannotTakeBack: error =>
      logRarely(`mail that was not accepted stays counted: ${describeError(error)}`),
  }
  // Half of a request's time for its session: the rest is for deciding without one.
  const patience = Math.min(deadlineMilliseconds || LONGEST_PATIENCE, LONGEST_PATIENCE) / 2
  const lost = rateLimited(clock, log.error)
  const loan = sessions && new SessionLoan({ cache: sessions, clock, patience, lost })
  // Where a failure is not the end, plugins that have not run yet decide without waiting.
  const grace = onFailure === 'dunno' ? GRACE : 0

  function concluded(hearing: Hearing, decided: Decision | undefined): Judged {
    const action = oneLine(decided?.action ?? dunno)
    // Whatever holds the mail back: it does not stay counted.
    if (refusesMail(action)) hearing.takeBack()
    // Postfix (3.7, observed) takes an empty action for OK: a permission that nobody wrote.
    const verdict = { action: action.trim() === '' ? dunno : action, by: decided?.by ?? '' }
    const why = hearing.objections.length > 0 ? 'observed' : 'decided'
    return new Judged(docket, hearing, decided, verdict, hearing.deadline.isOver ? 'late' : why)
  }

  /** The request could not be decided. */
  function undecided(hearing: Hearing, why: 'failed' | 'late'): Judged {
    hearing.endedAt = clock.elapsed()
    const answer = failureAnswer(onFailure, 'request')
    if (answer.kind === 'pass') return new Judged(docket, hearing, undefined, PASSED, why)
    hearing.takeBack()
    const verdict = answer.kind === 'close' ? SILENT : { action: answer.action, by: '' }
    return new Judged(docket, hearing, undefined, verdict, why)
  }

  function failed(hearing: Hearing, error: unknown): Judged {
    const isExpected = error instanceof RequestFailure || error instanceof LookupError
    log.error(`request failed: ${describeError(error)}`, {
      host: hearing.host,
      instance: hearing.request.text('instance'),
      ...(isExpected || !(error instanceof Error) ? {} : { stack: error.stack }),
    })
    return undecided(hearing, 'failed')
  }

  function logTimeout({ request, host }: Hearing): void {
    const instance = request.text('instance')
    log.error(`[${request.connection.endpoint}]: request timed out`, { host, instance })
  }

  return request => {
    const started = clock.elapsed()
    const host = hostOf(request)
    const hearing = new Hearing(hearingOptions, request, host?.name ?? '', started)
    if (!host) {
      log.error('no <VirtualHost> for this port', { port: request.connection.endpoint })
      return new Judged(docket, hearing, undefined, SILENT, 'unserved')
    }
    if (log.debug >= 4)
      log.trace(`request for ${host.name}`, Object.fromEntries(request.attributes))
    if (isOwn?.(request)) return concluded(hearing, undefined)
    if (!measures.isEmpty) {
      const { account } = hearing
      if (account !== '') hearing.measures = measures.of(account, hearing.now)
      const block = hearing.measures?.block
      if (block) return concluded(hearing, blocked(hearing, block, options.language))
    }
    try {
      const outcome = loan
        ? // A session may have been waited for.
          loan.with(request, session => run(host, hearing, session, clock.elapsed()))
        : run(host, hearing, new Session(), started)
      if (!(outcome instanceof Promise)) return concluded(hearing, outcome)
      return hearing.deadline
        .race(outcome, deadlineMilliseconds, grace)
        .then(result => {
          if (hearing.deadline.isOver) logTimeout(hearing)
          if (result === LATE) return undecided(hearing, 'late')
          // Giving the session back is a part of it.
          hearing.endedAt = clock.elapsed()
          return concluded(hearing, result)
        })
        .catch(error => failed(hearing, error))
    } catch (error) {
      return failed(hearing, error)
    }
  }
}

function run(
  host: VirtualHost,
  hearing: Hearing,
  session: Session,
  began: number,
): MaybePromise<Decision | undefined> {
  hearing.open(session, began)
  return host.run(hearing.request, hearing, began)
}
