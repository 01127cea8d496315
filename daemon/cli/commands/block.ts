/** block: mail of an account is refused. */

import { defineCommand } from '../command.ts'
import { order, readAccount, until, untilOf, why, withWords } from '../measure-options.ts'
import { json } from '../options.ts'

export const block = defineCommand({
  name: 'block',
  group: 'act',
  operands: 'NAME',
  offers: 'accounts',
  summary: 'refuse all mail of an account, such as one that was hacked',
  more: `
    From the next request on, all authenticated mail of the account is refused, whatever the
    configuration says, also in observe mode. The user is told to contact the administrator. It
    stays so over restarts, until mtpolicyctl release NAME, or until --until.

    NAME is the whole login name; case does not matter, nor does mtpolicyd/defaultdomain. A second
    block replaces the first. Mail that is in Postfix's queue already is sent all the same: look
    at it with postqueue -p.
  `,
  json: `
    {measure, replaced}: a measure has account, kind, value, until (null: until it is released),
    by and why; replaced lists the former block, if there was one.
  `,
  options: { until, why, json },
  run: (values, host) =>
    withWords(host, 'block', () =>
      order(host, values.json, {
        kind: 'block',
        account: readAccount(values.operands[0]),
        until: untilOf(values.until, host),
        why: values.why,
      }),
    ),
})
