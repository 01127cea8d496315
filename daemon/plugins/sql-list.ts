/**
 * SqlList - react when an SQL query finds a row.
 *
 *   <Plugin blocked>
 *     module       = "SqlList"
 *     sql_query    = "SELECT 1 FROM blocked WHERE address = ?"
 *     match_action = "reject you are blocked"
 *   </Plugin>
 *
 * The value of `field` is bound to the only `?`. Any row is a match, whatever its content. On a match
 * the score is added, once per mail, and `match_action` is the answer; otherwise `not_match_action`
 * is. With a `<SessionCache>` each value is looked up once per mail.
 *
 * The domain of `sender` and `recipient`, and `helo_name`, are looked up as sent, then in lower case
 * without a final dot; login names as sent, then in lower case; a local part that needs quotes without
 * them, then with them.
 *
 * The default of `sql_query` is that of mtpolicyd, for MySQL and MariaDB: a table `whitelist` with
 * addresses as numbers. PostgreSQL takes `?` as well; write its operators that contain a question mark
 * as `\?`, as for mtpolicyd.
 *
 * Differences from mtpolicyd
 *
 * - The result for the first value of a mail was used for all others, such as further recipients.
 */

import { definePlugin, type Outcome } from '../policy/plugin.ts'
import type { SqlRow } from '../policy/ports/sql.ts'
import { addScore } from '../policy/scoring.ts'
import { enabled, naming, number, optional, text } from '../policy/setting.ts'
import { spellings } from '../policy/spelling.ts'
import { firstAnswer } from './parts/first-spelling.ts'
import { checkQuery } from './parts/one-value-query.ts'
import { checkAction, scoreField } from './parts/reaction.ts'

export const sqlList = definePlugin({
  name: 'SqlList',
  summary: 'React when an SQL query finds a row.',
  settings: {
    sql_query: text({
      doc: 'The query, with one `?`.',
      fallback: 'SELECT client_ip FROM whitelist WHERE client_ip=INET_ATON(?)',
    }),
    field: naming(
      { kind: 'attribute' },
      text({ doc: 'Attribute to look up.', fallback: 'client_address' }),
    ),
    match_action: optional(text({ doc: 'What Postfix is told on a match.' })),
    not_match_action: optional(text({ doc: 'What Postfix is told otherwise.' })),
    score: optional(number({ doc: 'Points added on a match.' })),
    score_field: scoreField,
    enabled,
    db: text({ doc: 'Name of the Sql connection.', fallback: 'db' }),
  },
  create(settings, surroundings) {
    const { sql_query, field, match_action, not_match_action, score, enabled } = settings
    const { name, path, sql, refuse } = surroundings
    const connection = sql(settings.db)
    if (!connection) {
      refuse(`there is no <Connection ${settings.db}>`, 'db')
      return () => undefined
    }
    checkQuery(sql_query, surroundings)
    checkAction(surroundings, 'match_action')
    checkAction(surroundings, 'not_match_action')

    return (request, { session }) => {
      if (!enabled(session)) return undefined
      const value = request.get(field)
      if (value === undefined) return undefined
      const key = `${path}-${value}`
      const react = (isListed: boolean): Outcome => {
        if (!isListed) return not_match_action
        if (score && session.once(`${path}-score`)) {
          addScore(session, settings.score_field, name, score)
        }
        return match_action
      }
      const found = (rows: readonly SqlRow[]): Outcome => {
        session.set(key, rows.length > 0)
        return react(rows.length > 0)
      }
      const known = session.get(key)
      if (typeof known === 'boolean') return react(known)
      const rows = firstAnswer(
        spellings(field, value),
        one => connection.query(sql_query, [one], 1),
        ({ length }) => length > 0,
      )
      return rows instanceof Promise ? rows.then(found) : found(rows)
    }
  },
})
