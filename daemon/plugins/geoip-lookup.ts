/**
 * GeoIPLookup - find the country of the client.
 *
 *   <Plugin geoip>
 *     module = "GeoIPLookup"
 *   </Plugin>
 *
 * Notes the country code for GeoIPAction, which names this block in `result_from`. It never
 * answers. `database` is an .mmdb file of any maker or a legacy GeoIP.dat; without one, or where
 * the original's default file is not there, the daemon's own database is used. Loopback and
 * private addresses have no country. A database that is missing is reported at start, where
 * mtpolicyd finds out with the first request.
 */

import { definePlugin } from '../policy/plugin.ts'
import { optional, text } from '../policy/setting.ts'

export const geoipLookup = definePlugin({
  name: 'GeoIPLookup',
  summary: 'Find the country of the client.',
  settings: {
    database: optional(text({ doc: 'An .mmdb file or a legacy GeoIP.dat.' })),
  },
  create({ database }, { name, countries, openCountries }) {
    const source = database === undefined ? countries : openCountries(database)
    const key = `geoip-${name}-result`
    return (request, { session, facts }) => {
      if (session.get(key) !== undefined) return undefined
      const country = source.country(request.text('client_address'))
      if (country !== undefined) facts.country = country
      session.set(key, country === undefined ? [] : [country])
      return undefined
    }
  },
})
