/**
 * RBLAction - react to what a DNS block list said about the client.
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
 * `result_from` is the name of an RBL block that runs before. Lists say by the address they answer
 * with what a client is listed for; if `re_match` fits one of these addresses, score, `mode` and
 * `reject_message` mean what they mean in RBL. Nothing found means nothing happens.
 *
 * A list may answer with several addresses, in any order. All are looked at; mtpolicyd looked at
 * the first, so that what it did was up to the name server. Where the list gives no explanation,
 * the default text does not end with a blank. `mode = dunno` is passive, with a warning, as in RBL.
 */

import { describeError, LookupError } from '../policy/errors.ts'
import { compilePattern, type Pattern } from '../policy/pattern.ts'
import { definePlugin, type Surroundings } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import { text } from '../policy/setting.ts'
import { checkMode } from './listing.ts'
import { actionOf, foundListing, rblReaction, resultKey } from './rbl.ts'

export const rblAction = definePlugin({
  name: 'RBLAction',
  summary: 'React to what a DNS block list said about the client.',
  settings: {
    result_from: text({ doc: 'Name of the RBL block.' }),
    re_match: text({ doc: 'A regular expression for the address the list answers with.' }),
    ...rblReaction,
  },
  create(settings, surroundings) {
    const { name, path } = surroundings
    checkMode(surroundings, 'mode')
    const pattern = readPattern(settings.re_match, surroundings)
    const key = resultKey(settings.result_from)

    return (request, { session }) => {
      if (!settings.enabled(session)) return undefined
      const listing = foundListing(session, key)
      if (!listing) return undefined
      if (!pattern) throw new LookupError('re_match cannot be read')
      if (!listing.addresses.some(address => pattern.test(address))) return undefined
      if (settings.score && session.once(`${path}-score`)) {
        addScore(session, settings.score_field, name, settings.score)
      }
      const address = request.text('client_address')
      return actionOf(settings.mode(session), settings.reject_message, address, listing.info)
    }
  },
})

/** Undefined if it is none, which is said at load. */
function readPattern(source: string, { fail }: Surroundings): Pattern | undefined {
  try {
    return compilePattern(source)
  } catch (error) {
    fail(describeError(error), 're_match')
    return undefined
  }
}
