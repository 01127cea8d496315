/**
 * What the server calls for each request: the configuration in force answers, the ledger makes counts
 * durable at the end of the turn, and answers are sent after that.
 */

import { isOn } from '../alerts/slot.ts'
import type { LedgerSlot } from '../ledger/slot.ts'
import type { OpenLog } from '../log/logger.ts'
import type { Answer } from '../policy/answer.ts'
import type { AnswerMeters } from '../policy/answer-tally.ts'
import type { CodeFor } from '../policy/judged.ts'
import type { History } from '../policy/ports/history.ts'
import type { Log } from '../policy/ports/log.ts'
import type { Measures } from '../policy/ports/measures.ts'
import { RefusalCodes } from '../policy/refusal-codes.ts'
import type { Connection, PolicyRequest } from '../policy/request.ts'
import type { VerdictSink } from '../policy/verdict-record.ts'
import type { Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { rateLimited } from '../system/rate-limited.ts'
import type { Conversation } from '../wire/connection.ts'
import { makeTurn } from '../wire/turn.ts'
import { alertSettingsOf } from './alerts.ts'
import { makeEngine } from './engine.ts'
import type { Generation } from './generation.ts'
import { RefusalSteps } from './refusal-steps.ts'

/** Answers that leave together. */
const TOGETHER = 16

export interface ConversationOptions {
  readonly clock: Clock
  readonly slot: LedgerSlot
  readonly meters: AnswerMeters
  readonly measures: Measures
  /** Told of each verdict besides the log and the meters. */
  readonly sinks: readonly VerdictSink[]
  /** Keys of endpoints that earlier configurations listened on. */
  readonly retiredKeys: ReadonlySet<string>
  readonly log: () => Log
  /** What keeps the verdicts of a configuration, and is told of them by `sinks`; undefined: nothing. */
  /** Mail that we have sent ourselves: it passes, and is not counted. */
  readonly isOwn: (request: PolicyRequest) => boolean
  readonly historyOf: (generation: Generation) => History | undefined
}

export interface RunningConversation extends Conversation {
  /** How a configuration answers; changes nothing. */
  answerOf(generation: Generation, to: OpenLog): Answer
  /** From the next request on this configuration answers. Cannot fail. */
  putInForce(generation: Generation): void
}

export function makeConversation(options: ConversationOptions): RunningConversation {
  const { clock, slot, meters, measures, retiredKeys, log } = options
  let current: Generation

  const codes = new RefusalCodes()
  const steps = new RefusalSteps(clock)

  function answerOf(generation: Generation, to: OpenLog): Answer {
    const { loaded } = generation.assembly
    const logged = to.debug >= 1 ? [to.verdict] : []
    const sinks = [meters.sink, ...logged, ...options.sinks]
    const history = options.historyOf(generation)
    if (history) sinks.push(record => steps.note(record, generation, history))
    const codeFor: CodeFor | undefined =
      history && ((request, action) => codes.of(request, action, () => history.nextCode()))
    const { isOwn: ownMail } = options
    const isOwn = isOn(alertSettingsOf(generation)) ? ownMail : undefined
    return makeEngine({ loaded, clock, log: to, measures, sinks, codeFor, isOwn, retiredKeys })
  }

  const turn = makeTurn(
    () => {
      try {
        const settled = slot.ledger.settle()
        if (settled instanceof Promise) return settled.then(durable, unsettled)
        return durable()
      } catch (error) {
        return unsettled(error)
      }
    },
    // To wait for the disk costs the same for one answer and for a thousand.
    () =>
      current.assembly.loaded.globals.durability === 'full' ? Number.POSITIVE_INFINITY : TOGETHER,
  )

  function durable(): true {
    meters.settled(clock.elapsed())
    return true
  }

  const logUnsettled = rateLimited(clock, message => log().error(message))
  function unsettled(error: unknown): false {
    meters.settled(clock.elapsed())
    meters.unsettled()
    logUnsettled(`counts are kept in memory until they can be written: ${describeError(error)}`)
    return false
  }

  return {
    // Set by `putInForce`. Plain values: each answer reads them, and a getter is a call.
    keepaliveSeconds: 0,
    mostRequests: 0,
    answer: (request: PolicyRequest) => current.answer(request),
    turn,
    clock,
    closed(connection: Connection, reason: string) {
      log().connection('closed', { connection: connection.id, reason })
      slot.ledger.disconnect(connection.id)
      // What its unfinished message leaves behind is made durable as well.
      turn(() => undefined)
    },
    answerOf,
    putInForce(generation: Generation) {
      current = generation
      const { keepalive_timeout, max_keepalive } = generation.globals
      this.keepaliveSeconds = keepalive_timeout
      this.mostRequests = max_keepalive
    },
  } satisfies RunningConversation & { keepaliveSeconds: number; mostRequests: number }
}
