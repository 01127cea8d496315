/** Deletes what the history has of an account. */

import type { Forgotten } from '../../control/protocol.ts'
import { accountName } from '../../policy/account.ts'
import { oneLine } from '../../policy/verdict.ts'
import { printable } from '../../text/columns.ts'
import { defineCommand } from '../command.ts'
import { NOT_RUNNING } from '../daemon-client.ts'
import type { Host } from '../host.ts'
import { counted } from '../number-text.ts'
import { json as jsonOption } from '../options.ts'

/** Names of host variables for the account, with or without the default domain. */
function variablesOf({ registry }: Host, account: string): string[] {
  const values = registry.open().values()
  const domain = values.get('mtpolicyd/defaultdomain') ?? ''
  const folded = accountName(account, domain)
  return [...values.keys()].filter(name => {
    const [, kind = '', user = ''] = name.split('/')
    return kind === 'user' && user !== '' && accountName(user, domain) === folded
  })
}

function forgottenText(deleted: Forgotten, variables: readonly string[]): string {
  const { hours, messages, refusals, measures, countsUntil, inForce, setAside } = deleted
  const account = oneLine(deleted.account)
  const until = countsUntil.slice(0, 10)
  return [
    `deleted of ${account}:`,
    `  hours with mail  ${hours}`,
    `  last messages    ${messages}`,
    `  refusals         ${refusals}`,
    `  ended measures   ${measures}`,
    'left of it:',
    `  its counts for limits, a number for each window, until ${until}`,
    ...(inForce === 0
      ? []
      : [`  ${counted(inForce, 'measure')} in force; mtpolicyctl user lists them`]),
    ...variables.map(name => `  host variable ${printable(name)}`),
    ...setAside.map(file => `  perhaps ${printable(file)}, a damaged file`),
    '  lines in the logs of the daemon and of Postfix',
    '',
  ].join('\n')
}

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
    then gone from the disk. Measures that have ended are deleted as well.
    NAME is a login name, in upper or lower case.

    What counts toward the limits is not deleted, or the account could send as much again: the
    ledger has its name, with nothing but a number for each window in which it has sent mail. What
    is older than 92 days is deleted there by itself, also from the backup, which is replaced every
    hour. Measures in force stay until they end; release ends them. So do host variables for the
    account, until they are unset, and other files than the history's that were set aside because
    they were damaged (*.damaged-*), until somebody deletes them. The log lines of the daemon and
    of Postfix are not changed either. What the account does from now on is noted again.

    Shows what was deleted, and what is left and until when. The exit status is 0 if something was
    deleted; 1 if the account is not known, or no daemon runs.
  `,
  json: `
    {account, hours, messages, refusals, measures, countsUntil, inForce, setAside}: how much of each was
    deleted; when the last of its counts is deleted at the latest; how many measures are in force,
    which stay; and damaged files that were set aside and may have it as well. null: nothing is known.
  `,
  options: { json: jsonOption },
  async run({ json, operands: [account = ''] }, host) {
    const { daemon, out, err } = host
    const reply = await daemon.forget({ account })
    if (!reply) throw new Error(`the daemon is ${NOT_RUNNING}`)
    if (!reply.ok) throw new Error(reply.message)
    const deleted = reply.result
    if (json) out(`${JSON.stringify(deleted ?? null, undefined, 2)}\n`)
    else if (!deleted) err(`mtpolicyctl: the history does not know ${oneLine(account)}\n`)
    else {
      out(forgottenText(deleted, variablesOf(host, deleted.account)))
    }
    return deleted ? 0 : 1
  },
})
