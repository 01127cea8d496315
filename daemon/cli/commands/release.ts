/** release: ends everything that was ordered for an account. */

import { defineCommand } from '../command.ts'
import { resultOf } from '../daemon-client.ts'
import { jsonText } from '../json-text.ts'
import { readAccount, withWords } from '../measure-options.ts'
import { inForceText, lineOf, measureJson } from '../measure-text.ts'
import { json as jsonOption } from '../options.ts'
import { orderedBy } from '../ordered-by.ts'

export const release = defineCommand({
  name: 'release',
  group: 'act',
  operands: 'NAME',
  offers: 'accounts',
  summary: 'end all measures of an account, such as its block',
  more: `
    Ends what block, allow and limit have ordered for the account, from the next request on, and
    shows it. What it has sent stays counted: see mtpolicyctl reset. Host variables stay as they
    are. The exit status is 1 if there was nothing to end.
  `,
  json: '{ended}: a list of measures with account, kind, value, until, by and why.',
  options: { json: jsonOption },
  run: ({ json, operands }, host) =>
    withWords(host, 'release', async () => {
      const account = readAccount(operands[0])
      const ended = resultOf(await host.daemon.release({ account, by: orderedBy(host.env) }))
      if (json) host.out(jsonText({ ended: ended.map(measureJson) }))
      else if (ended.length === 0) host.err(lineOf(`There is no measure for ${account}.`))
      else for (const one of ended) host.out(lineOf(`Ended: ${inForceText(one)}.`))
      return ended.length === 0 ? 1 : 0
    }),
})
