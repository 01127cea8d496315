/**
 * What several plugins do on a match: add a score, then answer with an action, or else run the
 * nested blocks. With an action the nested blocks never run, as in mtpolicyd.
 */

import type { Check, Context, MaybePromise, Outcome, Surroundings } from '../../policy/plugin.ts'
import type { PolicyRequest } from '../../policy/request.ts'
import { addScore } from '../../policy/scoring.ts'
import {
  naming,
  number,
  optional,
  type PerMail,
  perMail,
  text,
  type WrittenNumber,
} from '../../policy/setting.ts'
import { actionWarning } from '../../policy/verdict.ts'

export const scoreField = naming(
  { kind: 'key', isScore: true },
  text({ doc: 'Session key that holds the score.', fallback: 'score' }),
)

export const reactionSettings = {
  score: perMail(optional(number({ doc: 'Points added on a match.' }))),
  action: perMail(optional(text({ doc: 'What Postfix is told on a match.' }))),
  score_field: scoreField,
}

export interface ReactionSettings {
  readonly score: PerMail<WrittenNumber | undefined>
  readonly action: PerMail<string | undefined>
  readonly score_field: string
}

/** @param oncePerMail add the score once per mail; Condition adds it for every request. */
export function makeReaction(
  { score, action, score_field }: ReactionSettings,
  { name, path, nested }: Surroundings,
  oncePerMail: boolean,
): Check {
  return (request: PolicyRequest, context: Context): MaybePromise<Outcome> => {
    const { session } = context
    const points = score(session)
    if (points && (!oncePerMail || session.once(`${path}-score`))) {
      addScore(session, score_field, name, points)
    }
    return action(session) ?? nested?.(request, context)
  }
}

/** Warns about an action that Postfix would not understand. */
export function checkAction(surroundings: Surroundings, option = 'action'): void {
  const value = surroundings.section.options.find(entry => entry.name === option)?.value
  const warning = value === undefined ? undefined : actionWarning(value)
  if (warning) surroundings.warn(warning, option)
}
