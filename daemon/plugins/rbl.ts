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
 * If the list has an address (A record) for the client, the score is added (once per mail) and
 * `mode` decides: `reject` refuses with `reject_message` (%IP% the client, %INFO% the list's
 * explanation in parentheses, or nothing), `accept` ends the chain without objection, `passive`
 * goes on. RBLAction can react to what the list said; see there. Text records alone are no
 * listing.
 *
 * IPv6 clients are looked up as RFC 5782 says, which mtpolicyd does not do. A client_address that
 * is missing, empty or no address is not looked up; to mtpolicyd that is a failure of the plugin,
 * or a host name to be resolved first.
 *
 * A list that fails lists nobody. A question takes `dns_timeout` at most (2 s), the lists of a
 * chain are asked at the same time, and one that stays silent three times in a row is passed over
 * for a minute at a time, which the log and `mtpolicyctl status` say; in mtpolicyd one dead list
 * cost every mail its answer.
 *
 * Only an address in 127.0.0.0/8 is a listing, and none in 127.255.255.0/24: with that large lists
 * say that they do not answer this server, because it asks through a public resolver or too often.
 * The log says so once an hour. To mtpolicyd every address was a listing.
 *
 * %INFO% has the text as it is, all records, cut after 350 characters; mtpolicyd showed the first
 * record, with quotes and backslashes around what is special in zone files. Where there is none,
 * the text does not end with a blank. Each placeholder is filled in once, where it stands first, as
 * in mtpolicyd. `mode = dunno`, or any other word, is passive as in
 * mtpolicyd, and there is a warning.
 */

import { canonicalAddress, parseIPv4, parseIPv6 } from '../policy/address.ts'
import { definePlugin, type Outcome } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import type { Session, SessionValue } from '../policy/session.ts'
import { number, optional, text } from '../policy/setting.ts'
import { dunno, reject } from '../policy/verdict.ts'
import {
  checkMode,
  checkZone,
  enabled,
  type Listing,
  lookUp,
  mode,
  refusalText,
  unheard,
} from './listing.ts'
import { scoreField } from './reaction.ts'

/** What RBL and RBLAction do about a listing. */
export const rblReaction = {
  enabled,
  mode: mode('reject'),
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
  settings: {
    domain: text({ doc: 'The list.' }),
    ...rblReaction,
  },
  create(settings, surroundings) {
    const { name, path, dns, note, ahead } = surroundings
    checkMode(surroundings, 'mode')
    checkZone(surroundings, settings.domain)
    const zone = settings.domain.replace(/\.$/, '')
    const key = resultKey(name)

    ahead((request, { session }) => {
      if (!settings.enabled(session)) return
      const reversed = reverse(request.text('client_address'))
      if (reversed !== undefined) lookUp(dns, reversed, zone, unheard)
    })

    return (request, { session }) => {
      if (!settings.enabled(session)) return undefined
      const address = request.text('client_address')
      const reversed = reverse(address)
      if (reversed === undefined) {
        note(() => `client_address "${address}" is not looked up: it is no address`)
        return undefined
      }
      const react = (listing: Listing | undefined): Outcome => {
        if (listing === undefined) {
          session.delete(key)
          return undefined
        }
        session.set(key, { addresses: listing.addresses, info: listing.info })
        if (settings.score && session.once(`${path}-score`)) {
          addScore(session, settings.score_field, name, settings.score)
        }
        return actionOf(settings.mode(session), settings.reject_message, address, listing.info)
      }
      const found = lookUp(dns, reversed, zone, note)
      return found instanceof Promise ? found.then(react) : react(found)
    }
  },
})

/** The session's key of what a list said, by the name of the block that asked it. */
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

/** An address as lists want it: octets, or the 32 nibbles of IPv6, backwards (RFC 5782, 2.1, 2.4). */
function reverse(text: string): string | undefined {
  const ipv4 = parseIPv4(text)
  if (ipv4 !== undefined) return reverseIPv4(ipv4)
  const address = canonicalAddress(text)
  const groups = address === undefined ? undefined : parseIPv6(address)
  if (groups !== undefined) {
    const nibbles = groups.map(group => group.toString(16).padStart(4, '0')).join('')
    return [...nibbles].reverse().join('.')
  }
  // An IPv4 address that came as IPv6.
  const mapped = address === undefined ? undefined : parseIPv4(address)
  return mapped === undefined ? undefined : reverseIPv4(mapped)
}

function reverseIPv4(address: number): string {
  return `${address & 255}.${(address >>> 8) & 255}.${(address >>> 16) & 255}.${address >>> 24}`
}
