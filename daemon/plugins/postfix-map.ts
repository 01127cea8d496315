/**
 * PostfixMap - react when a table of Postfix contains the client's address.
 *
 *   <Plugin known-clients>
 *     module       = "PostfixMap"
 *     db_file      = "hash:/etc/postfix/known-clients"
 *     match_action = "dunno"
 *   </Plugin>
 *
 * `db_file` is a table as in main.cf, TYPE:NAME; a path alone is a Berkeley DB file made by postmap.
 * hash, btree, cdb and texthash are read directly, and again when they change; every other type (lmdb,
 * cidr, ldap, ...) is queried through postmap, and an answer is kept for a minute.
 *
 * The whole address is looked up first, then without its last part, and so on, as in access(5):
 * 192.0.2.7, 192.0.2, 192.0, 192. An IPv6 address is looked up as Postfix writes it, and with all its
 * groups written out: 2001:db8::7 also as 2001:db8:0:0, for example. The first key that exists
 * decides: `OK` or a number is a match, any other value is not. On a match the score is added, once
 * per mail, and `match_action` is the answer; otherwise `not_match_action` is.
 *
 * The notation of an address does not matter: FE81::1 is fe81::1, and ::ffff:192.0.2.7 is 192.0.2.7.
 * Without an address (missing, empty, `unknown`) nothing happens. A missing file is an error at start
 * and whenever it is needed, until it exists.
 *
 * Differences from mtpolicyd
 *
 * - Addresses in upper case or IPv4-mapped, an empty address and `unknown` were failures.
 * - An address that ends in `::` made mtpolicyd search until the request timed out.
 * - The value 0 is a match; mtpolicyd ignored it for IPv6, though not for IPv4.
 * - mtpolicyd reported a missing file only with the first request, and did not notice when postmap
 *   rewrote the file.
 */

import { canonicalAddress, parseIPv6 } from '../net/address.ts'
import { definePlugin, type MaybePromise, type Outcome } from '../policy/plugin.ts'
import type { Table } from '../policy/ports/table.ts'
import { addScore } from '../policy/scoring.ts'
import { enabled, number, optional, text } from '../policy/setting.ts'
import { checkAction, scoreField } from './parts/reaction.ts'

export const postfixMap = definePlugin({
  name: 'PostfixMap',
  summary: 'React when a table of Postfix contains the client’s address.',
  settings: {
    db_file: text({ doc: 'The table, TYPE:NAME, or the path of a Berkeley DB file.' }),
    match_action: optional(text({ doc: 'What Postfix is told on a match.' })),
    not_match_action: optional(text({ doc: 'What Postfix is told otherwise.' })),
    score: optional(number({ doc: 'Points added on a match.' })),
    score_field: scoreField,
    enabled,
  },
  create(settings, surroundings) {
    const { db_file, match_action, not_match_action, score, enabled } = settings
    const { name, path, openTable, fail } = surroundings
    const table = openTable(db_file)
    const problem = table.problem()
    if (problem !== undefined) fail(problem, 'db_file')
    checkAction(surroundings, 'match_action')
    checkAction(surroundings, 'not_match_action')

    return (request, { session }) => {
      if (!enabled(session)) return undefined
      const address = canonicalAddress(request.text('client_address'))
      if (address === undefined) return undefined
      const react = (isMatch: boolean): Outcome => {
        if (!isMatch) return not_match_action
        if (score && session.once(`${path}-score`)) {
          addScore(session, settings.score_field, name, score)
        }
        return match_action
      }
      const result = `${path}-${address}-result`
      const known = session.get(result)
      if (typeof known === 'boolean') return react(known)
      const decide = (value: string | undefined): Outcome => {
        const isMatch = value !== undefined && /^(?:OK|\d+)$/.test(value)
        session.set(result, isMatch)
        return react(isMatch)
      }
      const value = firstValue(table, keysOf(address))
      return value instanceof Promise ? value.then(decide) : decide(value)
    }
  },
})

/** The value of the first key that exists. An asynchronous table is queried for all keys at once. */
function firstValue(table: Table, keys: readonly string[]): MaybePromise<string | undefined> {
  for (const [index, key] of keys.entries()) {
    const value = table.get(key)
    if (value instanceof Promise) {
      const others = keys.slice(index + 1).map(async other => table.get(other))
      return Promise.all([value, ...others]).then(values => values.find(one => one !== undefined))
    }
    if (value !== undefined) return value
  }
  return undefined
}

/** An address and its prefixes, the most specific first. */
function keysOf(address: string): string[] {
  const groups = parseIPv6(address)
  if (!groups) return prefixes(address, '.')
  const short = prefixes(address, ':')
  const afterGap = address.includes('::') ? address.indexOf('::') + 2 : 0
  /** How many of the eight groups a prefix of the short form covers. */
  const groupsSaid = (prefix: string, cuts: number): number =>
    cuts === 0 || prefix.length > afterGap
      ? 8 - cuts
      : prefix.split(':').filter(part => part !== '').length
  const full = prefixes(groups.map(group => group.toString(16)).join(':'), ':')
  return full.flatMap((key, cuts) => [
    ...short.filter((prefix, index) => prefix !== key && groupsSaid(prefix, index) === 8 - cuts),
    key,
  ])
}

function prefixes(text: string, separator: string): string[] {
  const found = [text]
  for (let end = text.lastIndexOf(separator); end > 0; end = text.lastIndexOf(separator, end - 1)) {
    found.push(text.slice(0, end))
  }
  return found
}
