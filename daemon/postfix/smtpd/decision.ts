/**
 * What one smtpd service does with one kind of client: is the daemon queried before a message of
 * this client is accepted (smtpd_check.c and smtpd.c, Postfix 3.4 to 3.10)?
 *
 * The lists are evaluated stage by stage (`stages.ts`). A permit ends only the list that contains
 * it; a rejection ends the message. Only at RCPT, DATA and END-OF-MESSAGE does a request contain
 * something that can be counted. Messages to a bare `postmaster`, which skip the lists evaluated at
 * RCPT, are not considered.
 */

import { type Certainty, either } from './certainty.ts'
import type { Client } from './client.ts'
import { classesOf, Message, type Obstacle, type Query, type Question } from './message.ts'
import { canCount, stagesOf } from './stages.ts'

export interface Decision {
  /** Is the daemon queried, at a stage where it can count, before a message is accepted? */
  readonly asked: Certainty
  /** Can a message of this client be accepted at all? */
  readonly passes: Certainty
  readonly queries: readonly Query[]
  /** What certainly ends each message, or the service. */
  readonly refusals: readonly Obstacle[]
}

export function decide(question: Question, client: Client): Decision {
  const { parameters } = question
  // A list may depend on whether the server is under stress; smtpd restarts with another value
  // then.
  const lists = [...stagesOf(parameters).map(({ list }) => list), ...classesOf(parameters)]
  const isFixed = parameters.setting('stress').origin === 'master.cf'
  const decisions =
    !isFixed && lists.some(list => parameters.dependsOn(list, 'stress'))
      ? ['', 'yes'].map(stress =>
          decideOnce({ ...question, parameters: parameters.with({ stress }) }, client),
        )
      : [decideOnce(question, client)]
  const [first, second] = decisions
  if (!first) throw new RangeError('no decision')
  if (!second) return first
  return {
    asked: first.asked === second.asked ? first.asked : 'perhaps',
    passes: first.passes === second.passes ? first.passes : 'perhaps',
    queries: [...first.queries, ...second.queries],
    refusals: first.refusals,
  }
}

function decideOnce(question: Question, client: Client): Decision {
  const message = new Message(question, client)
  for (const stage of stagesOf(question.parameters)) if (!message.isOver) message.pass(stage)
  const { queries, refusals, passes } = message
  const asked = queries
    .filter(({ state }) => canCount(state))
    .reduce<Certainty>((sum, { reached }) => either(sum, reached), 'no')
  return { asked, passes, queries, refusals }
}
