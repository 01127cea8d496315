/**
 * SaAwlAction - react to the sender's reputation in SpamAssassin's auto-whitelist.
 *
 *   <Plugin bad-reputation>
 *     module      = "SaAwlAction"
 *     result_from = "reputation"
 *     mode        = "reject"
 *     match       = "gt"
 *     threshold   = 6
 *   </Plugin>
 *
 * `result_from` is the name of a SaAwlLookup block that runs before. Where at least `min_count`
 * mails of the sender are known, their mean score is compared: `gt` matches from the threshold
 * upwards, `lt` from it downwards. On a match the score is added once per mail: `score`, or else the
 * mean times `score_factor`. Then `mode` decides: `reject` refuses with `reject_message` (%IP% the
 * client, %SENDER%, %SCORE% the mean), `accept` and `dunno` end the chain without objection,
 * `passive` goes on. Any other `match` never matches; there is a warning for it.
 */

import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import { formatNumber } from '../policy/session.ts'
import { integer, number, optional, perMail, text, toggle } from '../policy/setting.ts'
import { dunno, reject } from '../policy/verdict.ts'
import { scoreField } from './reaction.ts'

export const saAwlAction = definePlugin({
  name: 'SaAwlAction',
  summary: 'React to the sender’s reputation in SpamAssassin’s auto-whitelist.',
  settings: {
    result_from: text({ doc: 'Name of the SaAwlLookup block.' }),
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
    mode: perMail(text({ doc: 'reject, accept, dunno or passive.', fallback: 'reject' })),
    reject_message: text({
      doc: 'Text of the refusal.',
      fallback: 'sender address/ip has bad reputation',
    }),
    score: optional(number({ doc: 'Points added on a match.' })),
    score_factor: optional(number({ doc: 'Or the mean score times this.' })),
    score_field: scoreField,
    min_count: integer({ doc: 'Mails that must be known.', fallback: 10 }),
    threshold: number({ doc: 'Mean score to compare with.', fallback: { text: '5', value: 5 } }),
    match: text({ doc: 'gt: from the threshold upwards; lt: downwards.', fallback: 'gt' }),
  },
  create(settings, { name, path, warn }) {
    const { result_from, enabled, mode, reject_message, score, score_factor } = settings
    const { score_field, min_count, threshold, match } = settings
    if (match !== 'gt' && match !== 'lt') warn(`"${match}" never matches; use gt or lt`, 'match')

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
