/**
 * RBLAction - react to what a DNS block list answered about the client.
 *
 *   <Plugin zen>
 *     module = "RBL"
 *     domain = "zen.spamhaus.org"
 *     mode   = "passive"
 *   </Plugin>
 *   <Plugin zen-dialup>
 *     module      = "RBLAction"
 *     result_from = "zen"
 *     re_match    = "^127\.0\.0\.1[01]$"
 *     score       = 3
 *     mode        = "passive"
 *   </Plugin>
 *
 * `result_from` is the name of an RBL block that runs before. A list's answer is an address that says
 * why a client is listed; if `re_match` matches one of these addresses, score, `mode` and
 * `reject_message` work as in RBL. If the client is not listed, nothing happens. A list may answer
 * with several addresses, in any order; all of them are checked.
 *
 * Differences from mtpolicyd
 *
 * - mtpolicyd looked at the first address only, so its decision depended on the name server.
 * - If the list gives no explanation, the default text does not end with a space.
 * - `mode = dunno` is passive, with a warning, as in RBL.
 */

import { definePlugin } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import { naming, pattern, text } from '../policy/setting.ts'
import { listingFacts, listingText } from './parts/listing.ts'
import { actionOf, foundListing, rblReaction, resultKey } from './rbl.ts'

export const rblAction = definePlugin({
  name: 'RBLAction',
  summary: 'React to what a DNS block list answered about the client.',
  facts: listingFacts,
  settings: {
    result_from: naming({ kind: 'block', module: 'RBL' }, text({ doc: 'Name of the RBL block.' })),
    re_match: pattern({ doc: 'A regular expression for the address in the list’s answer.' }),
    ...rblReaction,
  },
  create(settings, { name, path }) {
    const key = resultKey(settings.result_from)

    return (request, { session, facts }) => {
      if (!settings.enabled(session)) return undefined
      const listing = foundListing(session, key)
      if (!listing) return undefined
      if (!listing.addresses.some(address => settings.re_match.test(address))) return undefined
      facts.listed = listingText(settings.result_from, listing.addresses)
      if (settings.score && session.once(`${path}-score`)) {
        addScore(session, settings.score_field, name, settings.score)
      }
      const address = request.text('client_address')
      return actionOf(settings.mode(session), settings.reject_message, address, listing.info)
    }
  },
})
