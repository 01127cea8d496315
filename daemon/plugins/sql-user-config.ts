/**
 * SqlUserConfig - read values of a user from an SQL database.
 *
 *   <Plugin user-config>
 *     module    = "SqlUserConfig"
 *     field     = "sasl_username"
 *     sql_query = "SELECT config FROM user_config WHERE address=?"
 *   </Plugin>
 *
 * The first column of the first row is a JSON object; its members become values of the mail, for the
 * uc_ options of later plugins. Members whose name begins with "_" are skipped. If there is no row or
 * no value to look up, if the query fails, or if the text is not a JSON object, that is logged at the
 * plugin's log level and otherwise ignored. Domains are looked up as in SqlList.
 *
 * Letters beyond ASCII are read correctly from all databases.
 *
 * Differences from mtpolicyd
 *
 * - JSON that is not an object was a failure.
 * - Whether a comparison with a value beyond ASCII worked depended on the database's driver.
 */

import { definePlugin } from '../policy/plugin.ts'
import type { SqlRow } from '../policy/ports/sql.ts'
import { NotRehearsed } from '../policy/rehearsal.ts'
import type { Session, SessionValue } from '../policy/session.ts'
import { naming, text } from '../policy/setting.ts'
import { spellings } from '../policy/spelling.ts'
import { describeError, LookupError } from '../system/errors.ts'
import { firstAnswer } from './parts/first-spelling.ts'
import { checkQuery } from './parts/one-value-query.ts'

export const sqlUserConfig = definePlugin({
  name: 'SqlUserConfig',
  summary: 'Read values of a user from an SQL database.',
  settings: {
    sql_query: naming(
      { kind: 'any-key' },
      text({
        doc: 'The query, with one `?`.',
        fallback: 'SELECT config FROM user_config WHERE address=?',
      }),
    ),
    field: naming(
      { kind: 'attribute' },
      text({ doc: 'Attribute that names the user.', fallback: 'recipient' }),
    ),
    db: text({ doc: 'Name of the Sql connection.', fallback: 'db' }),
  },
  create({ sql_query, field, db }, surroundings) {
    const { sql, note, refuse } = surroundings
    const connection = sql(db)
    if (!connection) {
      refuse(`there is no <Connection ${db}>`, 'db')
      return () => undefined
    }
    checkQuery(sql_query, surroundings)
    return (request, { session }) => {
      const value = request.text(field)
      if (value === '') {
        note(() => `no ${field} in the request`)
        return undefined
      }
      // mtpolicyd continues when the query fails; its configurations do not expect a plugin error.
      const silent = (error: unknown): undefined => {
        if (!(error instanceof LookupError) || error instanceof NotRehearsed) throw error
        note(() => `query failed: ${describeError(error)}`)
      }
      try {
        const rows = firstAnswer(
          spellings(field, value),
          one => connection.query(sql_query, [one], 1),
          ({ length }) => length > 0,
        )
        if (rows instanceof Promise) return rows.then(found => apply(found, session, note), silent)
        return apply(rows, session, note)
      } catch (error) {
        return silent(error)
      }
    }
  },
})

function apply(
  rows: readonly SqlRow[],
  session: Session,
  note: (message: () => string) => void,
): undefined {
  const json = rows[0]?.[0]
  if (json === undefined || json === null) {
    note(() => 'no configuration for this user')
    return
  }
  let config: unknown
  try {
    config = JSON.parse(String(json))
  } catch (error) {
    note(() => `configuration of this user is not JSON: ${describeError(error)}`)
    return
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    note(() => 'configuration of this user is not a JSON object')
    return
  }
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith('_')) continue
    if (value === null) session.delete(key)
    // Everything JSON.parse returns is a SessionValue.
    else session.set(key, value as SessionValue)
  }
}
