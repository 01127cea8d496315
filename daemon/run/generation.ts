/**
 * One configuration, from its text to its end: prepared (read, assembled, nothing started), in force,
 * retired, closed.
 *
 * A retired configuration still serves the requests that began under it; its connections to databases and
 * other servers are closed once those have ended.
 */

import { type Assembly, type AssemblyOptions, assemble } from '../assembly/assemble.ts'
import type { Source } from '../assembly/configuration.ts'
import { configFiles } from '../config/files.ts'
import type { Globals } from '../config/globals.ts'
import { rememberedFiles } from '../config/remembered-files.ts'
import type { LimitStanding } from '../control/protocol.ts'
import type { Answer } from '../policy/answer.ts'
import type { AccountMeasures, Measures } from '../policy/ports/measures.ts'
import { formatProblem, type Notice, type Problem } from '../policy/problem.ts'
import type { PolicyRequest } from '../policy/request.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { type Rehearsal, type Rehearsed, rehearsalOf } from './rehearse.ts'
import { standingsOf } from './standings.ts'

/** The configuration cannot be used: everything that is wrong with it, in order. */
export class UnusableConfiguration extends Error {
  override readonly name = 'UnusableConfiguration'
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'))
    this.problems = problems
  }
}

/** What the requests of all generations share. */
export type Shared = Omit<AssemblyOptions, 'file' | 'text' | 'files' | 'isRehearsal'> & {
  readonly measures: Measures
}

/**
 * After the last request has been answered or has timed out: what it began without waiting for it, such
 * as giving its session back, may end in peace.
 */
const GRACE_MILLISECONDS = 1000

export class Generation {
  readonly assembly: Assembly
  readonly origin: Source['origin']
  readonly #clock: Clock
  readonly #notices: readonly Notice[]
  readonly #options: AssemblyOptions
  readonly #measures: Measures
  /** Made when it is first used. */
  #rehearsal: Promise<Rehearsal> | undefined
  #phase: 'serving' | 'retired' | 'closed' = 'serving'
  #answer: Answer | undefined
  /** Requests that are waiting for something. */
  #underWay = 0
  #cancelClose: Cancel | undefined

  /** Reads and assembles; starts nothing. Rejects with UnusableConfiguration. */
  static async prepare(source: Source, { measures, ...shared }: Shared): Promise<Generation> {
    const { file, text } = source
    const options = { ...shared, file, text, files: rememberedFiles(configFiles) }
    const assembly = await assemble(options)
    if (assembly.isUsable) return new Generation(assembly, source, options, measures)
    assembly.close()
    throw new UnusableConfiguration(assembly.problems)
  }

  private constructor(
    assembly: Assembly,
    { origin, notices }: Source,
    options: AssemblyOptions,
    measures: Measures,
  ) {
    this.assembly = assembly
    this.origin = origin
    this.#notices = notices
    this.#clock = options.clock
    this.#options = options
    this.#measures = measures
  }

  get globals(): Globals {
    return this.assembly.loaded.globals
  }

  /** Everything there is to say about the configuration, for the log. */
  get notices(): readonly Notice[] {
    return [...this.#notices, ...this.assembly.problems]
  }

  /** What plugins do before their first request, such as creating tables. A failure is theirs alone. */
  async startPlugins(): Promise<readonly Notice[]> {
    const failures: Notice[] = []
    for (const { path, run } of this.assembly.loaded.starts) {
      try {
        await run()
      } catch (error) {
        const message = `plugin ${path} failed at start: ${describeError(error)}`
        failures.push({ severity: 'error', message })
      }
    }
    return failures
  }

  answerWith(answer: Answer): void {
    this.#answer = answer
  }

  answer(request: PolicyRequest): ReturnType<Answer> {
    if (!this.#answer) throw new Error('a request came before the configuration was in force')
    const verdict = this.#answer(request)
    if (verdict instanceof Promise) this.#waitFor(verdict)
    return verdict
  }

  /** How this configuration would answer; nothing is counted, changed or sent. */
  rehearse(request: PolicyRequest): Promise<Rehearsed> {
    if (this.#phase === 'closed') return Promise.reject(new Error('the daemon is stopping'))
    if (!this.#rehearsal) {
      const rehearsal = rehearsalOf(this.#options, this.#measures)
      // What has failed is tried again.
      rehearsal.catch(() => {
        this.#rehearsal = undefined
      })
      this.#rehearsal = rehearsal
    }
    const rehearsed = this.#rehearsal.then(({ rehearse }) => rehearse(request))
    this.#waitFor(rehearsed)
    return rehearsed
  }

  /** Where an account, named as in sasl_username, stands in each limit at that moment. */
  standings(
    name: string,
    now: number,
    measures: AccountMeasures | undefined,
  ): Promise<readonly LimitStanding[]> {
    if (this.#phase === 'closed') return Promise.reject(new Error('the daemon is stopping'))
    const found = standingsOf(this.assembly.loaded.limits, name, now, measures)
    this.#waitFor(found)
    return found
  }

  #waitFor(work: Promise<unknown>): void {
    this.#underWay++
    const ended = (): void => this.#ended()
    work.then(ended, ended)
  }

  /** Another configuration is in force: closes this one when nothing needs it any more. */
  retire(): void {
    if (this.#phase !== 'serving') return
    this.#phase = 'retired'
    if (this.#underWay === 0) this.#closeAfter(GRACE_MILLISECONDS)
    else this.#closeAfter(this.#longestRequest + GRACE_MILLISECONDS)
  }

  get isClosed(): boolean {
    return this.#phase === 'closed'
  }

  close(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#cancelClose?.()
    this.assembly.close()
    void this.#rehearsal?.then(({ close }) => close()).catch(() => undefined)
  }

  #ended(): void {
    this.#underWay--
    if (this.#underWay === 0 && this.#phase === 'retired') this.#closeAfter(GRACE_MILLISECONDS)
  }

  /** Milliseconds. */
  get #longestRequest(): number {
    const { request_timeout } = this.globals
    return request_timeout === 0 ? Number.POSITIVE_INFINITY : request_timeout * 1000
  }

  #closeAfter(milliseconds: number): void {
    this.#cancelClose?.()
    this.#cancelClose = this.#clock.after(milliseconds, () => this.close())
  }
}
