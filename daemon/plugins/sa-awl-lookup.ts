/**
 * SaAwlLookup - look up the sender's reputation in SpamAssassin's auto-whitelist.
 *
 *   <Plugin reputation>
 *     module  = "SaAwlLookup"
 *     db_file = "/var/lib/amavis/.spamassassin/auto-whitelist"
 *   </Plugin>
 *
 * `db_file` is the Berkeley DB file that SpamAssassin keeps (its plugin AWL, not TxRep). What is
 * found, how many mails of this sender from this network there were and their mean score, stays
 * with the mail for SaAwlAction blocks. The network is an IPv4 address's first half, or an IPv6
 * address's first 48 bits, as in SpamAssassin's own settings. The daemon's user must be allowed to
 * read the file: amavis keeps it for its own group.
 *
 * SpamAssassin writes senders in lower case, so they are looked for in lower case, and as written
 * only if that finds nothing; mtpolicyd looked for them as written. Its built-in path had a typing
 * error ("amamvis"); here it is the one of Debian's amavis. A file that is missing is an error at
 * the start and whenever it is needed, until it is there.
 */

import { canonicalAddress, parseIPv6 } from '../policy/address.ts'
import { definePlugin } from '../policy/plugin.ts'
import { leadingNumber } from '../policy/session.ts'
import { text } from '../policy/setting.ts'
import type { FileTable } from '../policy/table.ts'

type Reputation = readonly [count: number, mean: number]

export const saAwlLookup = definePlugin({
  name: 'SaAwlLookup',
  summary: 'Look up the sender’s reputation in SpamAssassin’s auto-whitelist.',
  settings: {
    db_file: text({
      doc: 'The auto-whitelist.',
      fallback: '/var/lib/amavis/.spamassassin/auto-whitelist',
    }),
  },
  create({ db_file }, { name, openPlainTable, fail, note }) {
    const table = openPlainTable(db_file)
    const problem = table.problem()
    if (problem !== undefined) fail(problem, 'db_file')

    return (request, { session }) => {
      const sender = request.text('sender')
      const address = canonicalAddress(request.text('client_address'))
      if (sender === '' || address === undefined) return undefined
      const found = reputationOf(table, sender, address)
      session.set(`sa-awl-${name}-result`, found ?? [])
      note(() =>
        found
          ? `${sender} from ${address}: ${found[0]} mails, mean score ${found[1]}`
          : `nothing is known about ${sender} from ${address}`,
      )
      return undefined
    }
  },
})

function reputationOf(table: FileTable, sender: string, address: string): Reputation | undefined {
  for (const name of new Set([spelling(sender), sender])) {
    for (const network of networksOf(address)) {
      const key = `${name}|ip=${network}`
      const count = leadingNumber(table.get(key) ?? '')
      const sum = table.get(`${key}|totscore`)
      if (count > 0 && sum !== undefined) return [count, leadingNumber(sum) / count]
    }
  }
  return undefined
}

/** As SpamAssassin spells a sender in its keys. */
function spelling(sender: string): string {
  return sender.toLowerCase().replace(/[\0;'"!|]/g, '_')
}

/** The first half of an IPv4 address; the first three groups of an IPv6 address, in both spellings. */
function networksOf(address: string): string[] {
  const groups = parseIPv6(address)
  if (!groups) return [address.split('.', 2).join('.')]
  const padded = groups.slice(0, 3).map(group => group.toString(16).toUpperCase().padStart(4, '0'))
  // SpamAssassin cuts off all groups of zeros at the end, not only those behind the network.
  const short = padded.join(':').replace(/(?::0000)+$/, '')
  return [...new Set([`${short}::`, `${padded.join(':')}::`])]
}
