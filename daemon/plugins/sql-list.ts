/**
 * SqlList - react when an SQL query finds a row.
 *
 *   <Plugin blocked>
 *     module       = "SqlList"
 *     sql_query    = "SELECT 1 FROM blocked WHERE address = ?"
 *     match_action = "reject you are blocked"
 *   </Plugin>
 *
 * The value of `field` is bound to the only `?`. Any row is a match, whatever is in it. On a match
 * the score is added (once per mail) and `match_action` answers; else `not_match_action` does. With
 * a <SessionCache> a value is looked for once per mail; to mtpolicyd the result for the first value
 * of a mail held for all others, such as further recipients.
 *
 * Without `sql_query` it is the query of mtpolicyd for MySQL and MariaDB, a table `whitelist` with
 * addresses as numbers. PostgreSQL takes `?`, too; its operators with a question mark are written
 * `\?`, as for mtpolicyd.
 */

import { definePlugin, type Outcome } from '../policy/plugin.ts'
import type { SqlRow } from '../policy/ports.ts'
import { addScore } from '../policy/scoring.ts'
import { number, optional, perMail, text, toggle } from '../policy/setting.ts'
import { checkAction, scoreField } from './reaction.ts'

export const sqlList = definePlugin({
  name: 'SqlList',
  summary: 'React when an SQL query finds a row.',
  settings: {
    sql_query: text({
      doc: 'The query, with one `?`.',
      fallback: 'SELECT client_ip FROM whitelist WHERE client_ip=INET_ATON(?)',
    }),
    field: text({ doc: 'Attribute that is looked for.', fallback: 'client_address' }),
    match_action: optional(text({ doc: 'What Postfix is told on a match.' })),
    not_match_action: optional(text({ doc: 'What Postfix is told otherwise.' })),
    score: optional(number({ doc: 'Points added on a match.' })),
    score_field: scoreField,
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
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
      const rows = connection.query(sql_query, [value], 1)
      return rows instanceof Promise ? rows.then(found) : found(rows)
    }
  },
})
