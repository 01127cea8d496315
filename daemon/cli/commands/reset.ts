/** reset: the counts of an account begin again. */

import { defineCommand } from '../command.ts'
import { resultOf } from '../daemon-client.ts'
import { jsonText } from '../json-text.ts'
import { readAccount, why, withWords } from '../measure-options.ts'
import { lineOf } from '../measure-text.ts'
import { json as jsonOption } from '../options.ts'
import { orderedBy } from '../ordered-by.ts'
import { unknownAccountText } from '../unknown-account.ts'

export const reset = defineCommand({
  name: 'reset',
  group: 'act',
  operands: 'NAME',
  offers: 'accounts',
  summary: 'let the counts of an account begin again at 0',
  more: `
    What the account has sent until now does not count any more, for its limits per user. Mail
    that Postfix reports as refused later gives nothing back of it. Limits of a domain or of the
    server are not changed. The records have it: mtpolicyctl measures --ended.
  `,
  json: `
    {account, counts}: a count has name (of the limit), window, unit (recipients, messages or
    megabytes) and used, what was counted until now.
  `,
  options: {
    window: {
      type: 'string',
      argument: 'WINDOW',
      offers: ['day', 'hour', 'minute', 'rolling'],
      doc: `Only this count: day, hour, minute, rolling, what a configuration has as window, or the
        name of a limit. Default: all of them.`,
    },
    why,
    json: jsonOption,
  },
  run: ({ window, why, json, operands }, host) =>
    withWords(host, 'reset', async () => {
      const account = readAccount(operands[0])
      const by = orderedBy(host.env)
      const counts = resultOf(await host.daemon.reset({ account, by, window, why }))
      if (json) host.out(jsonText({ account, counts }))
      else {
        for (const { name, window, unit, used } of counts) {
          const was = `${used} ${unit}`
          host.out(lineOf(`${account}: ${name} (${window}) begins again at 0; it was ${was}.`))
        }
        host.out(lineOf(await unknownAccountText(host, account)))
      }
      return 0
    }),
})
