/**
 * GeoIPAction - react to the country of the client.
 *
 *   <Plugin far>
 *     module        = "GeoIPAction"
 *     result_from   = "geoip"
 *     country_codes = "CN, KP"
 *     mode          = "reject"
 *   </Plugin>
 *
 * `result_from` is the name of a GeoIPLookup block that runs before. If the country is in the
 * list, the score is added (once per mail) and `mode` decides: `reject` refuses with
 * `reject_message` (%CC% the code, %IP% the address), `accept` and `dunno` end the chain without
 * objection, `passive` goes on. No country found means nothing happens.
 *
 * Other than in mtpolicyd, a blank at the end of the list does not spoil the last code.
 *
 * To allow a list of countries and refuse all others, see AllowedCountries.
 */

import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import { list, number, optional, perMail, text, toggle } from '../policy/setting.ts'
import { dunno, reject } from '../policy/verdict.ts'
import { scoreField } from './reaction.ts'

export const geoipAction = definePlugin({
  name: 'GeoIPAction',
  summary: 'React to the country of the client.',
  settings: {
    result_from: text({ doc: 'Name of the GeoIPLookup block.' }),
    country_codes: list({ doc: 'Two-letter codes, upper case.' }),
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
    mode: perMail(text({ doc: 'reject, accept, dunno or passive.', fallback: 'reject' })),
    reject_message: text({
      doc: 'Text of the refusal.',
      fallback: 'delivery from %CC% (%IP%) rejected',
    }),
    score: optional(number({ doc: 'Points added.' })),
    score_field: scoreField,
  },
  create(settings, { name }) {
    const { country_codes, enabled, mode, reject_message, score, score_field } = settings
    const codes = new Set(country_codes.map(code => code.trim()))
    const found = `geoip-${settings.result_from}-result`
    return (request, { session }) => {
      if (!enabled(session)) return undefined
      const result = session.get(found)
      const country = Array.isArray(result) ? result[0] : undefined
      if (typeof country !== 'string' || !codes.has(country)) return undefined
      if (score && session.once(`geoip-${name}-score`)) {
        addScore(session, score_field, name, score)
      }
      switch (mode(session)) {
        case 'reject':
          return reject(
            fillTemplate(reject_message, { IP: request.text('client_address'), CC: country }),
          )
        case 'accept':
        case 'dunno':
          return dunno
        default:
          return undefined
      }
    }
  },
})
