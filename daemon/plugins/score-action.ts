/**
 * ScoreAction - react to the score of the mail.
 *
 *   <Plugin limit>
 *     module    = "ScoreAction"
 *     threshold = 10
 *     action    = "reject this looks bad (score %SCORE%%SCORE_DETAIL%)"
 *   </Plugin>
 *
 * `match = gt` (the default) reacts at the threshold and above, `lt` at the threshold and below. A
 * mail without a score has 0. In the action, %IP% is the client's address, %SCORE% the score and
 * %SCORE_DETAIL% which plugin added how much. Without an action the nested blocks run.
 */

import { fact } from '../policy/facts.ts'
import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { currentScore, scoreDetail, scoreText } from '../policy/scoring.ts'
import { number, optional, perMail, text } from '../policy/setting.ts'
import { LookupError } from '../system/errors.ts'
import { checkAction, scoreField } from './parts/reaction.ts'

export const scoreAction = definePlugin({
  name: 'ScoreAction',
  summary: 'React to the score of the mail.',
  nests: true,
  facts: {
    score: fact<number>('decision', 'The score that a ScoreAction has reacted to.'),
    scores: fact<string>('decision', 'Which plugins have added to it, and how much.'),
  },
  settings: {
    threshold: perMail(number({ doc: 'The score to compare with.' })),
    match: text({
      doc: 'gt: at the threshold and above; lt: at the threshold and below.',
      fallback: 'gt',
    }),
    action: optional(text({ doc: 'What Postfix is told.' })),
    score_field: scoreField,
  },
  create({ threshold, match, action, score_field }, surroundings) {
    checkAction(surroundings)
    const isKnown = match === 'gt' || match === 'lt'
    if (!isKnown) surroundings.fail(`expected one of: gt, lt, found "${match}"`, 'match')

    return (request, context) => {
      const { session } = context
      const score = currentScore(session, score_field)
      const limit = threshold(session).value
      if (!isKnown) throw new LookupError(`match: expected gt or lt, not "${match}"`)
      if (match === 'gt' ? score < limit : score > limit) return undefined
      const detail = scoreDetail(session, score_field)
      context.facts.score = score
      if (detail !== '') context.facts.scores = detail
      if (action === undefined) return surroundings.nested?.(request, context)
      return fillTemplate(action, {
        IP: request.get('client_address') ?? 'unknown',
        SCORE: scoreText(session, score_field),
        SCORE_DETAIL: detail === '' ? '' : `, ${detail}`,
      })
    }
  },
})
