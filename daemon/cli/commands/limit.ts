/** limit: another number for one account. */

import { accountVariable, setVariable } from '../account-variable.ts'
import { defineCommand } from '../command.ts'
import {
  order,
  readAccount,
  until,
  untilOf,
  WrongWords,
  why,
  withWords,
} from '../measure-options.ts'
import { lineOf } from '../measure-text.ts'
import { json } from '../options.ts'

/** A value that does not fit its type, as for `set`. */
const BAD_VALUE = 2

/** The variables of an account, by their windows. */
const VARIABLES: Readonly<Record<string, string>> = {
  day: 'threshold',
  hour: 'threshold/hour',
  '1h': 'threshold/hour',
  minute: 'threshold/minute',
  '1m': 'threshold/minute',
  rolling: 'threshold/rolling',
  '24h': 'threshold/rolling',
  message: 'threshold/message',
}
const WINDOWS = ['day', 'hour', 'minute', 'rolling', 'message'] as const

export const limit = defineCommand({
  name: 'limit',
  group: 'act',
  operands: 'NAME NUMBER',
  offers: 'accounts',
  summary: 'change how many recipients an account may reach, for a time or for good',
  more: `
    NUMBER is the limit of this account: 0 lets no mail through, unlimited lifts the limit.

    With --until this is a measure that ends by itself. While it lasts it comes before every
    other number that the configuration, a directory or a database has for the account; another
    one for the same window replaces it, and mtpolicyctl release NAME ends it. It changes limits
    per user that exist; where there is none with this window, those that exist are named and
    nothing is done.

    Without --until a host variable is set, for good: mtpolicyd/user/NAME/threshold, or
    threshold/hour, /minute, /rolling (any 24 hours) or /message (recipients of one message).
    A measure that is in force comes before it.
  `,
  json: `
    With --until {measure, replaced} as mtpolicyctl block has it; otherwise {variable, value}.
  `,
  options: {
    window: {
      type: 'string',
      argument: 'WINDOW',
      default: 'day',
      offers: WINDOWS,
      doc: `Which limit: day (the default), hour, minute, rolling, message; with --until also what
        a configuration has as window, such as 30d, or the name of a limit.`,
    },
    until,
    why,
    json,
  },
  run: (values, host) =>
    withWords(host, 'limit', () => {
      const [name, number = ''] = values.operands
      const account = readAccount(name)
      const threshold = number.toLowerCase()
      if (!/^(?:\d{1,9}|1000000000|unlimited)$/.test(threshold)) {
        host.err(lineOf(`${number}: expected a whole number up to 1,000,000,000, or unlimited`))
        return BAD_VALUE
      }
      const ends = untilOf(values.until, host)
      const { window } = values
      if (ends === undefined) {
        if (values.why !== undefined)
          throw new WrongWords('--why is kept with a measure: add --until')
        const what = Object.hasOwn(VARIABLES, window) ? VARIABLES[window] : undefined
        if (what === undefined) {
          throw new WrongWords(`--window ${window}: expected ${WINDOWS.join(', ')}, or --until`)
        }
        return setVariable(host, values.json, accountVariable(host, account, what), threshold)
      }
      return order(host, values.json, {
        ...{ kind: 'limit', account, window, threshold, until: ends, why: values.why },
      })
    }),
})
