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

import { LookupError } from '../policy/errors.ts'
import { definePlugin } from '../policy/plugin.ts'
import type { CountryDatabase } from '../policy/ports.ts'
import { optional, text } from '../policy/setting.ts'

/** What the original looks in when nothing is written; Debian's geoip-database brings it. */
const ORIGINAL_DEFAULT = '/usr/share/GeoIP/GeoIP.dat'

export const geoipLookup = definePlugin({
  name: 'GeoIPLookup',
  summary: 'Find the country of the client.',
  settings: {
    database: optional(text({ doc: 'An .mmdb file or a legacy GeoIP.dat.' })),
  },
  create({ database }, { name, countries, openCountries, warn, fail }) {
    const named = database === undefined ? undefined : openCountries(database)
    const mistake = named && whyUnreadable(named)
    const usesOwn = named === undefined || (mistake !== undefined && database === ORIGINAL_DEFAULT)
    const source = usesOwn ? countries : named
    if (mistake !== undefined && usesOwn) warn(`${mistake}: the built-in one is used`, 'database')
    else if (mistake !== undefined) fail(mistake, 'database')
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

function whyUnreadable(database: CountryDatabase): string | undefined {
  try {
    database.country('192.0.2.1')
    return undefined
  } catch (error) {
    if (error instanceof LookupError) return error.message
    throw error
  }
}
