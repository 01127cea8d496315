/**
 * GeoIPAction - react to the country of the client.
 *
 *   <Plugin geoip>
 *     module = "GeoIPLookup"
 *   </Plugin>
 *   <Plugin far>
 *     module        = "GeoIPAction"
 *     result_from   = "geoip"
 *     country_codes = "CN, KP"
 *     mode          = "reject"
 *   </Plugin>
 *
 * `result_from` is the name of a GeoIPLookup block that runs before. If the country is in the list,
 * the score is added, once per mail, and `mode` decides: `reject` refuses with `reject_message` (%CC%
 * is the code, %IP% the address), `accept` and `dunno` end the chain without objection, `passive`
 * continues. Without a country nothing happens.
 *
 * To allow a list of countries and refuse all others, use AllowedCountries.
 *
 * Differences from mtpolicyd
 *
 * - A space at the end of the list invalidated the last code.
 */

import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { addScore } from '../policy/scoring.ts'
import {
  choice,
  countryCodeList,
  enabled,
  naming,
  number,
  optional,
  perMail,
  text,
} from '../policy/setting.ts'
import { dunno, reject } from '../policy/verdict.ts'
import { scoreField } from './parts/reaction.ts'

export const geoipAction = definePlugin({
  name: 'GeoIPAction',
  summary: 'React to the country of the client.',
  settings: {
    result_from: naming(
      { kind: 'block', module: 'GeoIPLookup' },
      text({ doc: 'Name of the GeoIPLookup block.' }),
    ),
    country_codes: countryCodeList({ doc: 'Two-letter codes, upper case.' }),
    enabled,
    mode: perMail(
      choice(['reject', 'accept', 'dunno', 'passive'], {
        doc: 'What a match means.',
        fallback: 'reject',
        otherwise: 'passive',
      }),
    ),
    reject_message: text({
      doc: 'Text of the refusal.',
      fallback: 'delivery from %CC% (%IP%) rejected',
    }),
    score: optional(number({ doc: 'Points added.' })),
    score_field: scoreField,
  },
  create(settings, { name }) {
    const { country_codes, enabled, mode, reject_message, score, score_field } = settings
    const codes = new Set(country_codes)
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
