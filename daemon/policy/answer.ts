/**
 * From a request to a verdict: the virtual host, the session, the chain, the deadline, the log line.
 *
 * Never rejects and never throws: whatever fails ends in what the operator chose with
 * `on_failure`. As long as no plugin waits for anything, the verdict comes at once, without a
 * promise or a timer.
 */

import { type Decision, type OnFailure, RequestFailure } from './chain.ts'
import type { Clock } from './clock.ts'
import { describeError, LookupError } from './errors.ts'
import type { Log, VerdictFields } from './log.ts'
import type { Context, Facts, MaybePromise } from './plugin.ts'
import type { PolicyRequest } from './request.ts'
import { seldom } from './seldom.ts'
import { Session, type SessionCache } from './session.ts'
import { defer, dunno, isKnownAction, oneLine, type Verdict } from './verdict.ts'

export interface VirtualHost {
  readonly name: string
  /** Port or socket path it serves. */
  readonly key: string
  /** `began`: now, milliseconds of `Clock.elapsed`. */
  run(request: PolicyRequest, context: Context, began: number): MaybePromise<Decision | undefined>
}

export interface AnswerOptions {
  readonly hosts: readonly VirtualHost[]
  /** Keys an earlier configuration listened on: open connections there are served by the first host. */
  readonly retiredKeys: ReadonlySet<string>
  readonly byPolicyContext: boolean
  readonly onFailure: OnFailure
  /** Milliseconds for all plugins of one request; 0 is no limit. */
  readonly deadlineMilliseconds: number
  /** Is an action that Postfix does not know a failure? */
  readonly refusesUnknownActions: boolean
  /** Answer dunno where mail would be refused. */
  readonly observe: boolean
  /** Undefined: every request starts with an empty session. */
  readonly sessions: SessionCache | undefined
  readonly log: Log
  readonly clock: Clock
  readonly tally: AnswerTally
}

/** Verdicts since start, for status. */
export interface AnswerTally {
  requests: number
  refused: number
  deadlines: number
  failures: number
}

export function newAnswerTally(): AnswerTally {
  return { requests: 0, refused: 0, deadlines: 0, failures: 0 }
}

export type Answer = (request: PolicyRequest) => MaybePromise<Verdict>

export function makeAnswer(options: AnswerOptions): Answer {
  const { log, clock, tally } = options
  const byKey = new Map<string, VirtualHost>()
  const byName = new Map<string, VirtualHost>()
  // Half of a request's time for its session: the rest is for deciding without one.
  const patience = Math.min(options.deadlineMilliseconds || LONGEST_PATIENCE, LONGEST_PATIENCE) / 2
  for (const host of options.hosts) {
    // Of several with one key or name the first in the file serves.
    if (!byKey.has(host.key)) byKey.set(host.key, host)
    if (!byName.has(host.name)) byName.set(host.name, host)
  }

  const sayLost = seldom(clock, log.error)

  function hostOf(request: PolicyRequest): VirtualHost | undefined {
    if (options.byPolicyContext) {
      const named = byName.get(request.text('policy_context'))
      if (named) return named
    }
    const { endpoint } = request.connection
    return byKey.get(endpoint) ?? (options.retiredKeys.has(endpoint) ? options.hosts[0] : undefined)
  }

  /** What a request that could not be decided is answered. */
  function failed(request: PolicyRequest): Verdict {
    if (options.observe || options.onFailure === 'dunno') return { action: dunno, by: '' }
    request.takeBack()
    return options.onFailure === 'defer'
      ? { action: defer('the mail could not be checked, try again later'), by: '' }
      : { action: '', by: '', silent: true }
  }

  return request => {
    tally.requests++
    const host = hostOf(request)
    if (!host) {
      log.error('no <VirtualHost> for this port', { port: request.connection.endpoint })
      return { action: '', by: '', silent: true }
    }
    const started = clock.elapsed()
    const facts: Facts = {}
    if (log.debug >= 4) traceRequest(log, host, request)

    let context: RequestContext | undefined

    function conclude(
      decision: Decision | undefined,
      endedAt = context?.endedAt ?? started,
    ): Verdict {
      if (decision && options.refusesUnknownActions && !isKnownAction(decision.action)) {
        return fail(new LookupError(`plugin ${decision.by}: "${decision.action}" is no action`))
      }
      let action = oneLine(decision?.action ?? dunno)
      // Postfix (3.7, observed) takes an empty action for OK: a permission that nobody wrote.
      if (action.trim() === '') action = dunno
      if (options.observe && decision && isObjection(action)) {
        facts.observed ??= action
        action = dunno
      }
      if (isObjection(action)) tally.refused++
      if (log.debug >= 1) {
        const milliseconds = endedAt - started
        log.verdict(verdictFields(request, action, decision?.by ?? '', facts, milliseconds))
      }
      return { action, by: decision?.by ?? '' }
    }

    function fail(error: unknown): Verdict {
      tally.failures++
      const isExpected = error instanceof RequestFailure || error instanceof LookupError
      log.error(`request failed: ${describeError(error)}`, {
        host: host?.name,
        instance: request.text('instance'),
        ...(isExpected || !(error instanceof Error) ? {} : { stack: error.stack }),
      })
      return failed(request)
    }

    const deadline = new Deadline()
    try {
      const outcome = withSession(options.sessions, patience, sayLost, request, session => {
        // A session may have been waited for.
        const began = options.sessions ? clock.elapsed() : started
        context = new RequestContext(session, facts, deadline, log, began)
        return host.run(request, context, began)
      })
      if (!(outcome instanceof Promise)) return conclude(outcome)
      // Those who were not asked yet decide without waiting, if failing is not the end.
      const grace = options.onFailure === 'dunno' ? GRACE_MILLISECONDS : 0
      return deadline
        .race(outcome, options.deadlineMilliseconds, grace)
        .then(result => {
          if (deadline.isOver) {
            tally.deadlines++
            log.error(`[${request.connection.endpoint}]: request timed out`, {
              host: host.name,
              instance: request.text('instance'),
            })
          }
          // Giving the session back is a part of it.
          return result === DEADLINE ? failed(request) : conclude(result, clock.elapsed())
        })
        .catch(fail)
    } catch (error) {
      return fail(error)
    }
  }
}

/** Characters; Postfix's have some 25. A longer one is nobody's, and has no session. */
const MOST_INSTANCE = 512

/** Milliseconds; it matters where a request has no deadline. */
const LONGEST_PATIENCE = 60_000

/** What is left for the plugins behind the one that took all the time, and for the session. */
const GRACE_MILLISECONDS = 25

const DEADLINE = Symbol('deadline')

/** The time a request has; its timer exists only once something waits. */
class Deadline {
  #controller: AbortController | undefined

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  get isOver(): boolean {
    return this.#controller?.signal.aborted ?? false
  }

  /** The work's result, or DEADLINE when time is up, and the grace too: the signal is aborted before it. */
  race<T>(work: Promise<T>, milliseconds: number, grace: number): Promise<T | typeof DEADLINE> {
    if (milliseconds === 0) return work
    return new Promise((resolve, reject) => {
      let timer = setTimeout(() => {
        if (grace > 0) timer = setTimeout(() => resolve(DEADLINE), grace)
        else resolve(DEADLINE)
        // Also where nobody has asked for the signal yet: the chain looks at it before it goes on.
        this.#controller ??= new AbortController()
        this.#controller.abort()
      }, milliseconds)
      work.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }
}

/**
 * Runs the work with the mail's session. A cache that fails, or another request that holds the
 * session for longer than `patience` (milliseconds), costs the session, not the mail; `sayLost` is told.
 */
function withSession<T>(
  cache: SessionCache | undefined,
  patience: number,
  sayLost: (message: string) => void,
  request: PolicyRequest,
  work: (session: Session) => MaybePromise<T>,
): MaybePromise<T> {
  if (!cache) return work(new Session())
  const instance = request.text('instance')
  if (instance === '' || instance.length > MOST_INSTANCE) return work(new Session())
  const lost = (error: unknown): void =>
    sayLost(`session of ${instance} is not at hand: ${describeError(error)}`)
  const without = (error: unknown): MaybePromise<T> => {
    lost(error)
    return work(new Session())
  }
  const store = (session: Session): MaybePromise<void> => {
    try {
      const stored = cache.release(instance, session)
      if (stored instanceof Promise) return stored.catch(lost)
    } catch (error) {
      lost(error)
    }
  }
  const use = (session: Session): MaybePromise<T> => {
    let result: MaybePromise<T>
    try {
      result = work(session)
    } catch (error) {
      store(session)
      throw error
    }
    if (result instanceof Promise) return result.finally(() => store(session))
    const stored = store(session)
    const value = result
    return stored instanceof Promise ? stored.then(() => value) : value
  }
  let acquired: MaybePromise<Session>
  try {
    acquired = cache.acquire(instance)
  } catch (error) {
    return without(error)
  }
  if (!(acquired instanceof Promise)) return use(acquired)
  return inTime(acquired, patience, store).then(use, without)
}

/** Rejects if it takes longer; what comes too late is given back. */
function inTime<T>(
  promise: Promise<T>,
  milliseconds: number,
  giveBack: (late: T) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      reject(new LookupError(`not within ${milliseconds} ms`))
    }, milliseconds)
    promise
      .then(value => (isLate ? giveBack(value) : resolve(value)), reject)
      .finally(() => clearTimeout(timer))
  })
}

class RequestContext implements Context {
  readonly session: Session
  readonly facts: Facts
  /** When the last plugin ended, or else when the chain began. */
  endedAt: number
  readonly #deadline: Deadline
  readonly #log: Log

  constructor(session: Session, facts: Facts, deadline: Deadline, log: Log, began: number) {
    this.session = session
    this.facts = facts
    this.endedAt = began
    this.#deadline = deadline
    this.#log = log
  }

  get signal(): AbortSignal {
    return this.#deadline.signal
  }

  ran(plugin: string, began: number, ended: number): void {
    this.endedAt = ended
    if (this.#log.debug >= 4) this.#log.trace('timing', { of: plugin, ms: round(ended - began) })
  }
}

/** Does this action keep mail from going its way? */
function isObjection(action: string): boolean {
  if (action === dunno) return false
  return !/^\s*(?:dunno|ok|permit|prepend|warn|info|\d+(?![\s\S])|)(?:\s|$)/i.test(action)
}

function verdictFields(
  request: PolicyRequest,
  action: string,
  by: string,
  facts: Facts,
  milliseconds: number,
): VerdictFields {
  const stage = request.text('protocol_state')
  return {
    instance: request.text('instance'),
    user: request.text('sasl_username'),
    client: request.text('client_address'),
    country: facts.country,
    rcpt: stage === 'RCPT' ? 1 : request.count('recipient_count'),
    size: request.count('size'),
    verdict: action,
    observed: facts.observed,
    by,
    used: facts.used,
    limit: facts.limit === undefined || Number.isFinite(facts.limit) ? facts.limit : 'unlimited',
    ms: round(milliseconds),
  }
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}

function traceRequest(log: Log, host: VirtualHost, request: PolicyRequest): void {
  log.trace(`request for ${host.name}`, Object.fromEntries(request.attributes))
}
