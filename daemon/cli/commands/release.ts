/** release: ends everything that was ordered for an account. */

import { defineCommand } from '../command.ts'
import { resultOf } from '../daemon-client.ts'
import type { Host } from '../host.ts'
import { jsonText } from '../json-text.ts'
import { readAccount, withWords } from '../measure-options.ts'
import { lineOf, measureJson, releasedText } from '../measure-text.ts'
import { json as jsonOption } from '../options.ts'
import { orderedBy } from '../ordered-by.ts'
import { unknownAccountText } from '../unknown-account.ts'

export const release = defineCommand({
  name: 'release',
  group: 'act',
  operands: 'NAME',
  offers: 'accounts',
  summary: 'end all measures of an account, such as its block',
  more: `
    Ends what block, allow and limit have ordered for the account, from the next request on, and
    shows it. An account that has reached a limit, or sends from a country that is not allowed, is
    not released by this: mtpolicyctl user NAME shows what stops it, and mtpolicyctl why CODE the
    command that lets its mail pass, such as reset, limit or allow. Host variables stay as they are.
    The exit status is 1 if there was nothing to end.
  `,
  json: '{ended}: a list of measures with account, kind, value, until, by and why.',
  options: { json: jsonOption },
  run: ({ json, operands }, host) =>
    withWords(host, 'release', async () => {
      const account = readAccount(operands[0])
      const ended = resultOf(await host.daemon.release({ account, by: orderedBy(host.env) }))
      if (json) host.out(jsonText({ ended: ended.map(measureJson) }))
      else {
        for (const one of ended) host.out(lineOf(releasedText(one)))
        if (ended.length === 0) host.err(await nothingText(host, account))
      }
      return ended.length === 0 ? 1 : 0
    }),
})

async function nothingText(host: Host, account: string): Promise<string> {
  const unknown = await unknownAccountText(host, account)
  return (
    lineOf(`There is no measure for ${account}.`) +
    lineOf(unknown || `What stops it, if anything does: mtpolicyctl user ${account}`)
  )
}
