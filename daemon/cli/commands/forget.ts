/** Deletes what the history has of an account. */

import { oneLine } from '../../policy/verdict.ts'
import { defineCommand } from '../command.ts'
import { NOT_RUNNING } from '../daemon-client.ts'
import { json as jsonOption } from '../options.ts'

export const forget = defineCommand({
  name: 'forget',
  group: 'act',
  operands: 'NAME',
  offers: 'accounts',
  summary: 'delete what the history knows of an account',
  more: `
    Deletes everything that the history has of this account: how much it has sent and when, the
    countries, networks and names of its clients, its last messages and its refusals; also copies
    of the history that were set aside because they were damaged, and alerts about the account. It is
    then gone from the disk.
    NAME is a login name, in upper or lower case.

    What counts toward the limits is not deleted, or the account could send as much again; those
    counts have nothing but a number per account and window, and end with it. The log lines of the
    daemon and of Postfix are not changed either. What the account does from now on is noted again.

    The exit status is 0 if something was deleted; 1 if the account is not known, or no daemon runs.
  `,
  json: '{account, hours, messages, refusals}: how much of each was deleted; null: nothing is known.',
  options: { json: jsonOption },
  async run({ json, operands: [account = ''] }, { daemon, out, err }) {
    const reply = await daemon.forget({ account })
    if (!reply) throw new Error(`the daemon is ${NOT_RUNNING}`)
    if (!reply.ok) throw new Error(reply.message)
    const deleted = reply.result
    if (json) out(`${JSON.stringify(deleted ?? null, undefined, 2)}\n`)
    else if (!deleted) err(`mtpolicyctl: the history does not know ${oneLine(account)}\n`)
    else {
      const { hours, messages, refusals } = deleted
      out(`deleted of ${oneLine(deleted.account)}:\n`)
      out(
        `  hours with mail  ${hours}\n  last messages    ${messages}\n  refusals         ${refusals}\n`,
      )
    }
    return deleted ? 0 : 1
  },
})
