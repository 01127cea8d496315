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
 * Keeps one table per field, named `table_prefix` + field, with one row per value and period. The
 * period is named by `time_pattern` (strftime(3), local time). With a `<SessionCache>` a mail is
 * counted once, otherwise with every request. Use it in smtpd_end_of_data_restrictions, where Postfix
 * knows recipient_count and size; elsewhere a mail counts as one recipient. The plugin never answers.
 *
 * Missing tables are created at start, in SQLite, PostgreSQL, MariaDB and MySQL. Existing tables of
 * mtpolicyd are used unchanged. Values are cut after 255 characters, which is what those tables can
 * hold. In tables that mtpolicyd or this daemon created in MySQL, upper and lower case are the same, and
 * a counter in a table of mtpolicyd stops at 4,294,967,295. The domains of `sender` and `recipient`,
 * and `helo_name`, are counted in lower case and without a final dot; login names are counted in
 * lower case.
 *
 * For a limit that counts exactly what Postfix accepts, use SendingLimit.
 *
 * Differences from mtpolicyd
 *
 * - Blocks of the same name were one plugin: if two of them were nested, or in virtual hosts that
 *   share a session, only the first one counted a mail. Here each block counts.
 * - A request without size and with recipient_count=0 got no answer from mtpolicyd. Here it counts as
 *   one recipient.
 * - Spellings of a domain or of a login name were counted separately.
 */

import { definePlugin } from '../policy/plugin.ts'
import { enabled, list, text } from '../policy/setting.ts'
import { plainValue } from '../policy/spelling.ts'
import { timeFormatter, unknownConversion } from '../text/strftime.ts'
import { counterTable, isTableWord } from './parts/counter-table.ts'

export const accounting = definePlugin({
  name: 'Accounting',
  summary: 'Count mails, recipients and bytes in an SQL database.',
  settings: {
    fields: list({ doc: 'Attributes to count by.' }),
    time_pattern: text({
      doc: 'Period of a counter, in the form of strftime(3).',
      fallback: '%Y-%m',
    }),
    table_prefix: text({ doc: 'Prefix of the table names.', fallback: 'acct_' }),
    enabled,
    db: text({ doc: 'Name of the Sql connection.', fallback: 'db' }),
    mysql_engine: text({ doc: 'Engine of tables created in MySQL.', fallback: 'MyISAM' }),
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
        const value = plainValue(field, request.text(field))
        if (value.trim() === '') continue
        const added = table.add(value, time, amounts)
        if (added instanceof Promise) pending.push(added)
      }
      return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined)
    }
  },
})
