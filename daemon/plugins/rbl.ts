/**
 * RBL - react when the client's address is in a DNS block list.
 *
 *   <Plugin zen>
 *     module = "RBL"
 *     domain = "zen.spamhaus.org"
 *     mode   = "passive"
 *     score  = 5
 *   </Plugin>
 *
 * If the list has an address (A record) for the client, the score is added, once per mail, and `mode`
 * decides: `reject` refuses with `reject_message` (%IP% is the client, %INFO% the list's explanation
 * in parentheses, or nothing), `accept` ends the chain without objection, `passive` continues. A
 * placeholder is filled in wherever it stands. RBLAction can react to what the list answered. Text
 * records alone are not a listing. Any other `mode` is treated as passive, with a warning.
 *
 * IPv6 clients are looked up as RFC 5782 describes, a client behind a NAT64 translator (64:ff9b::/96)
 * as its IPv4 address. A client_address that is missing, empty or not an address is not looked
 * up. Neither is this host, 127.0.0.1, ::1 or the server's own `server_address`, unless
 * `this_host = on`; the other addresses in 127.0.0.0/8 are looked up, because lists have entries there
 * for testing (RFC 5782, 5).
 *
 * A list that fails lists nobody. A query takes at most `dns_timeout` (2 s), and the lists of a chain
 * are queried at the same time. A list that does not respond three times in a row is skipped for a
 * minute at a time, which the log and `mtpolicyctl status` report.
 *
 * Only an address in 127.0.0.0/8 is a listing, and only if it is not one of the `error_codes`. With
 * these, lists say that they do not answer this server, because it uses a public resolver or sends too
 * many queries: 127.255.255.0/24 (Spamhaus and many others), 127.0.0.255 and 127.0.10.3 (DNSWL); or
 * that they list domains and not addresses, 127.0.1.255 and 127.0.2.255. A list that answers with an
 * error code is logged once an hour and shown by `mtpolicyctl status`. If a list uses one of the codes
 * for a listing, write the others: `error_codes = "127.255.255.0/24"`. A list that has been shut down
 * may list everything: after three listings in a row the name `invalid` is looked up as well, and a
 * list that has it lists nobody.
 *
 * %INFO% is the text of all records, cut after 350 characters. If there is none, the message does not
 * end with a space.
 *
 * Differences from mtpolicyd
 *
 * - IPv6 clients were not looked up, and every address in the answer was a listing.
 * - A client_address that is not an address was a failure, or a host name to be resolved first.
 * - A placeholder was filled in only once; the others reached the sender as %IP%.
 * - %INFO% was the first record only, with quotes and backslashes around what is special in zone
 *   files.
 * - `mode = dunno`, or any other word, is passive as in mtpolicyd, but with a warning.
 * - A list that did not respond cost every mail its answer.
 */

import { canonicalAddress, parseIPv6, untranslatedAddress } from '../net/address.ts'
import { ERROR_CODES } from '../policy/block-list.ts'
import { definePlugin, type Outcome } from '../policy/plugin.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { addScore } from '../policy/scoring.ts'
import type { Session, SessionValue } from '../policy/session.ts'
import { choice, enabled, number, optional, perMail, text } from '../policy/setting.ts'
import { isTestEntry, isThisHost, thisHostSetting } from '../policy/this-host.ts'
import { dunno, reject } from '../policy/verdict.ts'
import { DnsList, type Listing } from './parts/dns-list.ts'
import { blockList, errorCodes } from './parts/error-codes.ts'
import { checkZone, listingFacts, listingText, refusalText, unheard } from './parts/listing.ts'
import { scoreField } from './parts/reaction.ts'

/** How RBL and RBLAction react to a listing. */
export const rblReaction = {
  enabled,
  mode: perMail(
    choice(['reject', 'accept', 'passive'], {
      doc: 'What a listing means.',
      fallback: 'reject',
      otherwise: 'passive',
    }),
  ),
  reject_message: text({
    doc: 'Text of the refusal.',
    fallback: 'delivery from %IP% rejected %INFO%',
  }),
  score: optional(number({ doc: 'Points added.' })),
  score_field: scoreField,
}

export const rbl = definePlugin({
  name: 'RBL',
  summary: 'React when the client’s address is in a DNS block list.',
  facts: listingFacts,
  settings: {
    domain: text({ doc: 'The list.' }),
    error_codes: errorCodes(ERROR_CODES),
    this_host: thisHostSetting,
    ...rblReaction,
  },
  create(settings, surroundings) {
    const { name, path, dns, note, ahead } = surroundings
    checkZone(surroundings, settings.domain)
    const list = new DnsList(dns, blockList(settings.domain, settings.error_codes))
    const key = resultKey(name)
    const isSpared = (request: PolicyRequest): boolean =>
      !settings.this_host && isThisHost(request) && !isTestEntry(request.text('client_address'))

    ahead((request, { session }) => {
      if (!settings.enabled(session) || isSpared(request)) return
      const reversed = reverse(request.text('client_address'))
      if (reversed !== undefined) void list.lookUp(reversed, unheard)
    })

    return (request, { session, facts }) => {
      if (!settings.enabled(session) || isSpared(request)) return undefined
      const address = request.text('client_address')
      const reversed = reverse(address)
      if (reversed === undefined) {
        note(() => `client_address "${address}" is not looked up: it is not an address`)
        return undefined
      }
      const react = (listing: Listing | undefined): Outcome => {
        if (listing === undefined) {
          session.delete(key)
          return undefined
        }
        facts.listed = listingText(settings.domain, listing.addresses)
        session.set(key, { addresses: listing.addresses, info: listing.info })
        if (settings.score && session.once(`${path}-score`)) {
          addScore(session, settings.score_field, name, settings.score)
        }
        return actionOf(settings.mode(session), settings.reject_message, address, listing.info)
      }
      const found = list.lookUp(reversed, note)
      return found instanceof Promise ? found.then(react) : react(found)
    }
  },
})

/** Session key for a list's answer, by the name of the RBL block. */
export function resultKey(name: string): string {
  return `rbl-${name}-result`
}

/** What an RBL block of this mail found. */
export function foundListing(session: Session, key: string): Listing | undefined {
  const result: SessionValue | undefined = session.get(key)
  if (typeof result !== 'object' || result === null || !('addresses' in result)) return undefined
  const { addresses, info } = result
  if (!Array.isArray(addresses) || typeof info !== 'string') return undefined
  return { addresses: addresses.filter(address => typeof address === 'string'), info }
}

export function actionOf(
  reaction: string,
  message: string,
  address: string,
  info: string,
): Outcome {
  switch (reaction) {
    case 'reject': {
      const values = { IP: address, INFO: info === '' ? '' : `(${info})` }
      return reject(refusalText(message, values))
    }
    case 'accept':
      return dunno
    default:
      return undefined
  }
}

/** The address in query form: octets, or the 32 nibbles of IPv6, reversed (RFC 5782, 2.1, 2.4). */
function reverse(text: string): string | undefined {
  const address = canonicalAddress(untranslatedAddress(text))
  if (address === undefined) return undefined
  const groups = parseIPv6(address)
  if (groups === undefined) return address.split('.').reverse().join('.')
  const nibbles = groups.map(group => group.toString(16).padStart(4, '0')).join('')
  return [...nibbles].reverse().join('.')
}
