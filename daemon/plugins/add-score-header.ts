/**
 * AddScoreHeader - write the score into a header of the mail.
 *
 *   <Plugin header>
 *     module     = "AddScoreHeader"
 *     spam_score = 5
 *   </Plugin>
 *
 * The header contains YES or NO (YES from `spam_score` upwards), the score, and which plugin added how
 * much. The plugin ends the chain. With a `<SessionCache>` the header is added once per mail; further
 * requests are answered with dunno. Postfix cannot prepend a header at END-OF-MESSAGE, so use the
 * plugin at RCPT or DATA.
 *
 * Differences from mtpolicyd
 *
 * - A score that is not a number counts as 0 and is shown as 0; mtpolicyd shows the text.
 */

import { definePlugin } from '../policy/plugin.ts'
import { currentScore, scoreDetail, scoreText } from '../policy/scoring.ts'
import { number, perMail, text, writtenNumber } from '../policy/setting.ts'
import { dunno, prepend } from '../policy/verdict.ts'
import { scoreField } from './parts/reaction.ts'

export const addScoreHeader = definePlugin({
  name: 'AddScoreHeader',
  summary: 'Write the score into a header of the mail.',
  settings: {
    spam_score: perMail(
      number({ doc: 'The header says YES at this score and above.', fallback: writtenNumber('5') }),
    ),
    header_name: text({ doc: 'Name of the header.', fallback: 'X-MtScore' }),
    score_field: scoreField,
  },
  create({ spam_score, header_name, score_field }, { path }) {
    return (_request, { session }) => {
      if (!session.once(`${path}-tag`)) return dunno
      const isSpam = currentScore(session, score_field) >= spam_score(session).value
      const detail = scoreDetail(session, score_field)
      const score = scoreText(session, score_field)
      return prepend(
        header_name,
        `${isSpam ? 'YES' : 'NO'} score=${score}${detail === '' ? '' : ` [${detail}]`}`,
      )
    }
  },
})
