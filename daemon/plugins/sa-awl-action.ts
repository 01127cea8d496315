/**
 * SaAwlAction - react to the sender's reputation in SpamAssassin's auto-whitelist.
 *
 *   <Plugin reputation>
 *     module = "SaAwlLookup"
 *   </Plugin>
 *   <Plugin bad-reputation>
 *     module      = "SaAwlAction"
 *     result_from = "reputation"
 *     mode        = "reject"
 *     match       = "gt"
 *     threshold   = 6
 *   </Plugin>
 *
 * `result_from` is the name of a SaAwlLookup block that runs before. If at least `min_count` mails of
 * the sender are known, their mean score is compared: `gt` matches at the threshold and above, `lt` at
 * the threshold and below. `match = never` never matches. On a match the score is
 * added once per mail: `score`, or else the mean times `score_factor`. Then `mode` decides: `reject`
 * refuses with `reject_message` (%IP% is the client, %SENDER% the sender, %SCORE% the mean), `accept`
 * and `dunno` end the chain without objection, `passive` continues.
 */

import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import { formatNumber } from '../policy/session.ts'
import {
  choice,
  enabled,
  integer,
  naming,
  number,
  optional,
  perMail,
  text,
} from '../policy/setting.ts'
import { dunno, reject } from '../policy/verdict.ts'
import { scoreField } from './parts/reaction.ts'

export const saAwlAction = definePlugin({
  name: 'SaAwlAction',
  summary: 'React to the sender’s reputation in SpamAssassin’s auto-whitelist.',
  settings: {
    result_from: naming(
      { kind: 'block', module: 'SaAwlLookup' },
      text({ doc: 'Name of the SaAwlLookup block.' }),
    ),
    enabled,
    mode: perMail(
      choice(['reject', 'accept', 'dunno', 'passive'], {
        doc: 'What a match means.',
        fallback: 'reject',
        otherwise: 'passive',
      }),
    ),
    reject_message: text({
      doc: 'Text of the refusal.',
      fallback: 'sender address/ip has bad reputation',
    }),
    score: optional(number({ doc: 'Points added on a match.' })),
    score_factor: optional(number({ doc: 'Factor for the mean score, if there is no score.' })),
    score_field: scoreField,
    min_count: integer({ doc: 'Minimum number of mails known from the sender.', fallback: 10 }),
    threshold: number({ doc: 'Mean score to compare with.', fallback: { text: '5', value: 5 } }),
    match: choice(['gt', 'lt', 'never'], {
      doc: 'gt: at the threshold and above; lt: at the threshold and below; never.',
      fallback: 'gt',
      otherwise: 'never',
    }),
  },
  create(settings, { name, path }) {
    const { result_from, enabled, mode, reject_message, score, score_factor } = settings
    const { score_field, min_count, threshold, match } = settings

    return (request, { session }) => {
      if (!enabled(session)) return undefined
      const result = session.get(`sa-awl-${result_from}-result`)
      const [count, mean] = Array.isArray(result) ? result : []
      if (typeof count !== 'number' || typeof mean !== 'number' || count < min_count) {
        return undefined
      }
      const isMatch =
        match === 'gt' ? mean >= threshold.value : match === 'lt' && mean <= threshold.value
      if (!isMatch) return undefined
      const points = score ?? (score_factor && written(mean * score_factor.value))
      if (points && session.once(`${path}-score`)) addScore(session, score_field, name, points)
      switch (mode(session)) {
        case 'reject':
          return reject(
            fillTemplate(reject_message, {
              IP: request.text('client_address'),
              SENDER: request.text('sender'),
              SCORE: formatNumber(mean),
            }),
          )
        case 'accept':
        case 'dunno':
          return dunno
        default:
          return undefined
      }
    }
  },
})

function written(value: number): { text: string; value: number } {
  return { text: formatNumber(value), value }
}
