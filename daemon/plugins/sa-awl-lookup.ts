/**
 * SaAwlLookup - look up the sender's reputation in SpamAssassin's auto-whitelist.
 *
 *   <Plugin reputation>
 *     module  = "SaAwlLookup"
 *     db_file = "/var/lib/amavis/.spamassassin/auto-whitelist"
 *   </Plugin>
 *
 * `db_file` is the Berkeley DB file that SpamAssassin's plugin AWL keeps (not TxRep). The number of
 * mails from this sender and network, and their mean score, are kept with the mail for SaAwlAction
 * blocks. The network is the first half of an IPv4 address or the first 48 bits of an IPv6 address,
 * which are SpamAssassin's defaults. The daemon's user needs read access to the file, which amavis
 * keeps for its own group.
 *
 * SpamAssassin writes senders in lower case, so they are looked up in lower case, then as sent. A
 * missing file is an error at start and whenever it is needed, until it exists.
 *
 * Differences from mtpolicyd
 *
 * - Senders were looked up only as sent.
 * - The built-in path had a typing error ("amamvis"); here it is that of Debian's amavis.
 */

import { canonicalAddress, parseIPv6 } from '../net/address.ts'
import { definePlugin } from '../policy/plugin.ts'
import type { FileTable } from '../policy/ports/table.ts'
import { leadingNumber } from '../policy/session.ts'
import { text } from '../policy/setting.ts'
import { spellings } from '../policy/spelling.ts'

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
          : `nothing known about ${sender} from ${address}`,
      )
      return undefined
    }
  },
})

function reputationOf(table: FileTable, sender: string, address: string): Reputation | undefined {
  const names = spellings('sender', sender)
  for (const name of new Set([...names.map(spelling), ...names])) {
    for (const network of networksOf(address)) {
      const key = `${name}|ip=${network}`
      const count = leadingNumber(table.get(key) ?? '')
      const sum = table.get(`${key}|totscore`)
      if (count > 0 && sum !== undefined) return [count, leadingNumber(sum) / count]
    }
  }
  return undefined
}

/** A sender as SpamAssassin writes it in its keys. */
function spelling(sender: string): string {
  return sender.toLowerCase().replace(/[\0;'"!|]/g, '_')
}

/** The first half of an IPv4 address; the first three groups of an IPv6 address, in both spellings. */
function networksOf(address: string): string[] {
  const groups = parseIPv6(address)
  if (!groups) return [address.split('.', 2).join('.')]
  const padded = groups.slice(0, 3).map(group => group.toString(16).toUpperCase().padStart(4, '0'))
  // SpamAssassin removes all trailing groups of zeros, not only those after the network.
  const short = padded.join(':').replace(/(?::0000)+$/, '')
  return [...new Set([`${short}::`, `${padded.join(':')}::`])]
}
