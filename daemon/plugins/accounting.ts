/**
 * Accounting - count mails, recipients and bytes per value of a field, in an SQL database.
 *
 *   <Connection db>
 *     module = "Sql"
 *     dsn = "dbi:SQLite:dbname=/var/lib/univention-mtpolicyd/acct.sqlite"
 *   </Connection>
 *   ...
 *   <Plugin acct>
 *     module       = "Accounting"
 *     fields       = "sasl_username, client_address"
 *     time_pattern = "%Y-%m-%d"
 *   </Plugin>
 *
 * One table per field, `table_prefix` + field; one row per value and period, named by
 * `time_pattern` (strftime, local time). A mail is counted once where sessions are kept, else with
 * every request. It is made for smtpd_end_of_data_restrictions, where Postfix knows
 * recipient_count and size; elsewhere a mail counts as one recipient. It never answers.
 *
 * The tables are made at start, in SQLite, PostgreSQL, MariaDB and MySQL, if they are missing;
 * those of mtpolicyd are used as they are. There, values may have 255 characters, so of a longer
 * one the beginning is counted. In tables of MySQL, as mtpolicyd and we make them, the case of
 * letters does not count, and 4,294,967,295 is the most that a column of mtpolicyd's holds; it
 * stays there.
 *
 * To mtpolicyd, blocks of the same name were one plugin: of two, nested or in virtual hosts that
 * share a session, only the first counted a mail. Here each block counts. A request without size
 * that had recipient_count=0 got no answer from mtpolicyd; here it counts as one recipient.
 *
 * For a limit that counts exactly what Postfix accepts, see SendingLimit.
 */

import { definePlugin } from '../policy/plugin.ts'
import { list, perMail, text, toggle } from '../policy/setting.ts'
import { timeFormatter, unknownConversion } from '../policy/strftime.ts'
import { counterTable, isTableWord } from './counter-table.ts'

export const accounting = definePlugin({
  name: 'Accounting',
  summary: 'Count mails, recipients and bytes in an SQL database.',
  settings: {
    fields: list({ doc: 'Attributes to count by.' }),
    time_pattern: text({ doc: 'Period of a counter, as strftime(3).', fallback: '%Y-%m' }),
    table_prefix: text({ doc: 'Beginning of the tables’ names.', fallback: 'acct_' }),
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
    db: text({ doc: 'Name of the Sql connection.', fallback: 'db' }),
    mysql_engine: text({ doc: 'Engine of tables made in MySQL.', fallback: 'MyISAM' }),
  },
  create(settings, { path, clock, sql, timezone, atStart, fail, refuse }) {
    const { fields, enabled, time_pattern, table_prefix } = settings
    const connection = sql(settings.db)
    if (!connection) {
      refuse(`there is no <Connection ${settings.db}>`, 'db')
      return () => undefined
    }
    const unknown = unknownConversion(time_pattern)
    if (unknown) fail(`"${unknown}" is not known to strftime`, 'time_pattern')
    for (const field of fields) {
      if (!isTableWord(table_prefix + field)) fail(`"${field}" cannot name a table`, 'fields')
    }
    const period = timeFormatter(time_pattern, timezone)
    const tables = fields.map(field => ({
      field,
      table: counterTable(connection, table_prefix, field, settings.mysql_engine),
    }))

    for (const { table } of tables) atStart(table.ready)

    return (request, { session }) => {
      if (!enabled(session) || !session.once(`${path}-acct`)) return undefined
      const amounts = {
        recipients: Math.max(1, request.count('recipient_count')),
        bytes: request.count('size'),
      }
      const time = period(clock.now())
      const pending: Promise<void>[] = []
      for (const { field, table } of tables) {
        const value = request.text(field)
        if (value.trim() === '') continue
        const added = table.add(value, time, amounts)
        if (added instanceof Promise) pending.push(added)
      }
      return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined)
    }
  },
})
