/**
 * SqlUserConfig - read values of a user from an SQL database.
 *
 *   <Plugin user-config>
 *     module    = "SqlUserConfig"
 *     field     = "sasl_username"
 *     sql_query = "SELECT config FROM user_config WHERE address=?"
 *   </Plugin>
 *
 * The first column of the first row is a JSON object; its members become values of the mail, for
 * the uc_ options of later plugins. Members whose name begins with "_" are passed over. No row, no
 * value to look for, a query that fails, or text that is no JSON object: noted at the plugin's log
 * level, nothing else (to mtpolicyd, JSON that is no object is a failure).
 *
 * Letters beyond ASCII are read as what they are, from all databases. In mtpolicyd it depended on
 * the database's driver whether a comparison with such a value held.
 */

import { describeError, LookupError } from '../policy/errors.ts'
import { definePlugin } from '../policy/plugin.ts'
import type { SqlRow } from '../policy/ports.ts'
import type { Session, SessionValue } from '../policy/session.ts'
import { text } from '../policy/setting.ts'

export const sqlUserConfig = definePlugin({
  name: 'SqlUserConfig',
  summary: 'Read values of a user from an SQL database.',
  settings: {
    sql_query: text({
      doc: 'The query, with one `?`.',
      fallback: 'SELECT config FROM user_config WHERE address=?',
    }),
    field: text({ doc: 'Attribute that names the user.', fallback: 'recipient' }),
    db: text({ doc: 'Name of the Sql connection.', fallback: 'db' }),
  },
  create({ sql_query, field, db }, { sql, note, refuse }) {
    const connection = sql(db)
    if (!connection) {
      refuse(`there is no <Connection ${db}>`, 'db')
      return () => undefined
    }
    return (request, { session }) => {
      const value = request.text(field)
      if (value === '') {
        note(() => `no ${field} in the request`)
        return undefined
      }
      // The original goes on when the query fails; a plugin error here would be new to its files.
      const silent = (error: unknown): undefined => {
        if (!(error instanceof LookupError)) throw error
        note(() => `query failed: ${describeError(error)}`)
      }
      try {
        const rows = connection.query(sql_query, [value], 1)
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
    note(() => `configuration of this user is no JSON: ${describeError(error)}`)
    return
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    note(() => 'configuration of this user is no JSON object')
    return
  }
  for (const [key, value] of Object.entries(config)) {
    if (key.startsWith('_')) continue
    if (value === null) session.delete(key)
    // JSON.parse makes nothing that is not a SessionValue.
    else session.set(key, value as SessionValue)
  }
}
