/**
 * Quota - react when a counter of Accounting has reached a threshold.
 *
 *   <Plugin quota>
 *     module       = "Quota"
 *     field        = "sasl_username"
 *     metric       = "count_rcpt"
 *     threshold    = 1000
 *     time_pattern = "%Y-%m-%d"
 *   </Plugin>
 *
 * `metric` is count (mails), count_rcpt (recipients), size or size_rcpt (bytes, bytes times
 * recipients). `time_pattern` and `table_prefix` must be those of the Accounting block. If it is
 * placed before that block, exactly `threshold` mails pass; it does not look ahead, so the last mail
 * may exceed the threshold. Without `action`, the nested blocks run if there are any; otherwise the
 * mail is deferred. A missing table is created.
 *
 * All users of a webmail share the address of its host: count them by sasl_username, or let that
 * host pass before this block.
 *
 * With a database server, mails that are judged at the same moment all see the count before them. For
 * a limit that counts exactly what Postfix accepts, use SendingLimit.
 *
 * Differences from mtpolicyd
 *
 * - Nested blocks never ran, because the default action came first. Here they do, unless `action` is
 *   set.
 * - An unknown `metric` never matched with SQLite and was an error with MySQL. Here it is
 *   reported at start, and such a quota is never reached.
 */

import { fact } from '../policy/facts.ts'
import { definePlugin } from '../policy/plugin.ts'
import { enabled, integer, naming, optional, perMail, text } from '../policy/setting.ts'
import { plainValue } from '../policy/spelling.ts'
import { timeFormatter, unknownConversion } from '../text/strftime.ts'
import {
  type CounterTable,
  counterTable,
  isTableWord,
  METRICS,
  type Metric,
} from './parts/counter-table.ts'
import { checkAction } from './parts/reaction.ts'

const DEFAULT_ACTION = 'defer smtp traffic quota has been exceeded'

export const quota = definePlugin({
  name: 'Quota',
  summary: 'React when a counter of Accounting has reached a threshold.',
  nests: true,
  facts: {
    counted: fact<number>('decision', 'What Accounting has counted, where that is over a quota.'),
    quota: fact<number>('decision', 'That quota.'),
  },
  settings: {
    field: naming(
      { kind: 'attribute' },
      perMail(text({ doc: 'Attribute that Accounting counts by.' })),
    ),
    metric: perMail(text({ doc: `One of: ${METRICS.join(', ')}.` })),
    threshold: perMail(integer({ doc: 'At this count and above the mail is over quota.' })),
    time_pattern: text({ doc: 'As in Accounting.', fallback: '%Y-%m' }),
    table_prefix: text({ doc: 'As in Accounting.', fallback: 'acct_' }),
    action: perMail(optional(text({ doc: `What Postfix is told (${DEFAULT_ACTION}).` }))),
    enabled,
    db: text({ doc: 'Name of the Sql connection.', fallback: 'db' }),
    mysql_engine: text({ doc: 'Engine of tables created in MySQL.', fallback: 'MyISAM' }),
  },
  create(settings, surroundings) {
    const { field, metric, threshold, action, enabled, table_prefix } = settings
    const { clock, sql, timezone, nested, atStart, fail, refuse, section } = surroundings
    const connection = sql(settings.db)
    if (!connection) {
      refuse(`there is no <Connection ${settings.db}>`, 'db')
      return () => undefined
    }
    checkAction(surroundings)
    const written = section.options.find(option => option.name === 'metric')?.value
    if (written !== undefined && !knownMetric(written)) {
      fail(`expected one of: ${METRICS.join(', ')}, found "${written}"; it never matches`, 'metric')
    }
    const unknown = unknownConversion(settings.time_pattern)
    if (unknown) fail(`"${unknown}" is not known to strftime`, 'time_pattern')
    const period = timeFormatter(settings.time_pattern, timezone)
    const tables = new Map<string, CounterTable>()

    function tableOf(name: string): CounterTable | undefined {
      if (!connection || !isTableWord(table_prefix + name)) return undefined
      let table = tables.get(name)
      if (!table) {
        table = counterTable(connection, table_prefix, name, settings.mysql_engine)
        tables.set(name, table)
      }
      return table
    }

    const usual = section.options.find(option => option.name === 'field')?.value
    if (usual !== undefined) atStart(() => tableOf(usual)?.ready())

    return (request, context) => {
      const { session } = context
      if (!enabled(session)) return undefined
      const name = field(session)
      const value = plainValue(name, request.text(name))
      if (value.trim() === '') return undefined
      const known = knownMetric(metric(session)) ?? knownMetric(written)
      const react = (counted: number) => {
        const most = threshold(session)
        if (counted < most) return undefined
        context.facts.counted = counted
        context.facts.quota = most
        return action(session) ?? (nested ? nested(request, context) : DEFAULT_ACTION)
      }
      const counted = known ? (tableOf(name)?.read(value, period(clock.now()), known) ?? 0) : 0
      return counted instanceof Promise ? counted.then(react) : react(counted)
    }
  },
})

/** A column of the table. An unknown per-mail metric leaves the configured one in effect. */
function knownMetric(word: string | undefined): Metric | undefined {
  return METRICS.find(metric => metric === word)
}
