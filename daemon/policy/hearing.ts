/** One request while its plugins are heard: what they may use, and what they leave behind. */

import type { Clock } from '../system/clock.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import type { ChainContext, Ran } from './chain-context.ts'
import { Counting, type Source } from './counting.ts'
import { Deadline } from './deadline.ts'
import type { Facts } from './facts.ts'
import type { LedgerEvents } from './ledger-event.ts'
import type { Limit, Outcome } from './plugin.ts'
import type { Claim, Ledger } from './ports/ledger.ts'
import type { Log } from './ports/log.ts'
import type { AccountMeasures } from './ports/measures.ts'
import type { Place } from './problem.ts'
import type { PolicyRequest } from './request.ts'
import type { Session } from './session.ts'
import type { Decision } from './verdict.ts'

/** One plugin's turn, for `explain`, replay and the console. */
export interface Step {
  readonly plugin: string
  readonly module: string
  /** Where its block is written; undefined: it has none. */
  readonly place: Place | undefined
  /** What it has found out about the mail. */
  readonly saw: Facts
  /** `skipped`: it would have an effect outside, and this is an observation or a rehearsal. */
  readonly outcome: 'nothing' | 'action' | 'failed' | 'skipped'
  /** The action, or why it failed or was skipped. */
  readonly text: string
  readonly milliseconds: number
}

export interface HearingOptions {
  readonly log: Log
  readonly clock: Clock
  /** Is every plugin's step to be noted? */
  readonly isTraced: boolean
  readonly events: LedgerEvents
  /** Where limits count; undefined: there is none. */
  readonly ledger: Ledger | undefined
  /** Cut from the names of accounts; empty: nothing is. */
  readonly defaultDomain: string
  /** A take-back failed: what it should have given back stays counted. */
  readonly cannotTakeBack: (error: unknown) => void
}

const NONE: readonly Decision[] = []
const NOTHING: Facts = {}

export class Hearing implements ChainContext {
  readonly request: PolicyRequest
  /** Name of the <VirtualHost>; empty if none serves the request. */
  readonly host: string
  readonly deadline: Deadline
  readonly facts: Facts = {}
  /** When the last plugin ended, or else when the chain began: milliseconds of `Clock.elapsed`. */
  endedAt: number
  readonly steps: Step[] | undefined
  readonly #options: HearingOptions
  /** When the request came: milliseconds of `Clock.elapsed`. */
  readonly startedAt: number
  #session: Session | undefined
  #now: number | undefined
  /** What has become of the plugin whose turn it is, if it has no outcome. */
  #mishap: Pick<Step, 'outcome' | 'text'> | undefined
  /** Facts that the steps so far have. */
  #known: Facts = NOTHING
  #objections: Decision[] | undefined
  #takeBacks: (() => MaybePromise<void>)[] | undefined
  #isTakenBack = false
  #counting: Counting<ChainContext> | undefined
  /** What is ordered for the account. */
  measures: AccountMeasures | undefined
  /** For the chain: the limit whose turn it is. */
  limit: Source<ChainContext> | undefined

  /** `started`: now, milliseconds of `Clock.elapsed`. */
  constructor(options: HearingOptions, request: PolicyRequest, host: string, started: number) {
    this.#options = options
    this.request = request
    this.host = host
    this.deadline = new Deadline(options.clock)
    this.startedAt = started
    this.endedAt = started
    this.steps = options.isTraced ? [] : undefined
  }

  /** The session has been borrowed; the plugins begin. */
  open(session: Session, began: number): void {
    this.#session = session
    this.endedAt = began
  }

  get session(): Session {
    if (!this.#session) throw new Error('a plugin ran before its session was borrowed')
    return this.#session
  }

  /** Whose mail it is, without the default domain; empty: it came without a login. */
  get account(): string {
    return this.request.account(this.#options.defaultDomain)
  }

  get signal(): AbortSignal {
    return this.deadline.signal
  }

  get now(): number {
    this.#now ??= this.#options.clock.now()
    return this.#now
  }

  /** From the request to the last plugin's end. */
  get milliseconds(): number {
    return this.endedAt - this.startedAt
  }

  get objections(): readonly Decision[] {
    return this.#objections ?? NONE
  }

  object(objection: Decision): void {
    if (this.#objections) this.#objections.push(objection)
    else this.#objections = [objection]
  }

  failed(why: string): void {
    if (this.steps) this.#mishap = { outcome: 'failed', text: why }
  }

  skipped(why: string): void {
    if (this.steps) this.#mishap = { outcome: 'skipped', text: why }
  }

  get isTraced(): boolean {
    return this.steps !== undefined
  }

  ran(
    { name, module, place }: Ran,
    action: Outcome,
    began: number,
    ended: number,
    saw?: Facts,
  ): void {
    this.endedAt = ended
    const milliseconds = ended - began
    if (this.steps) {
      const text = action ?? ''
      const outcome = action === undefined ? 'nothing' : 'action'
      const become = this.#mishap ?? { outcome, text }
      const noted = this.#newFacts()
      this.steps.push({ plugin: name, module, place, saw: saw ?? noted, ...become, milliseconds })
      this.#mishap = undefined
    }
    const { log } = this.#options
    if (log.debug >= 4) log.trace('timing', { of: name, ms: roundToMicroseconds(milliseconds) })
  }

  /** Noted, or changed, since the step before. */
  #newFacts(): Facts {
    const before = this.#known
    this.#known = { ...this.facts }
    const changed = Object.entries(this.#known).filter(([name, value]) => value !== before[name])
    return Object.fromEntries(changed)
  }

  /** The limits that came up so far; undefined if there was none. */
  get counting(): Counting<ChainContext> | undefined {
    return this.#counting
  }

  count(limit: Limit, subject: string, window: Claim['window']): void {
    const { limit: source } = this
    if (!source) return
    if (!this.#counting) {
      const { stage } = this.request
      if (!stage) return
      const { events } = this.#options
      this.#counting = new Counting(events, this.request, stage, limit.ledger, this.now)
    }
    this.#counting.add(limit, subject, window, source)
  }

  /** True if nothing is let through, whatever is decided from now on. */
  get isTakenBack(): boolean {
    return this.#isTakenBack
  }

  onTakeBack(undo: () => MaybePromise<void>): void {
    if (this.#isTakenBack) this.#run(undo)
    else if (this.#takeBacks) this.#takeBacks.push(undo)
    else this.#takeBacks = [undo]
  }

  /** Nothing is let through after all: undoes what was counted for it, as far as possible. */
  takeBack(): void {
    this.#isTakenBack = true
    const undo = this.#takeBacks ?? []
    this.#takeBacks = undefined
    for (const one of undo) this.#run(one)
    this.#takeBackEarlier()
  }

  /** What another virtual host, or the request at DATA, has counted of a message that is refused now. */
  #takeBackEarlier(): void {
    const { ledger, clock, events } = this.#options
    if (!ledger) return
    const { stage } = this.request
    if (stage === undefined || stage === 'RCPT') return
    const message = events.messageOf(this.request)
    if (message) this.#run(() => ledger.takeBack(message, clock.now()))
  }

  #run(undo: () => MaybePromise<void>): void {
    try {
      const done = undo()
      if (done instanceof Promise) done.catch(this.#options.cannotTakeBack)
    } catch (error) {
      this.#options.cannotTakeBack(error)
    }
  }
}

/** A thousandth of a millisecond is what a log line shows. */
export function roundToMicroseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}
