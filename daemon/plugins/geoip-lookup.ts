/**
 * GeoIPLookup - find the country of the client.
 *
 *   <Plugin geoip>
 *     module = "GeoIPLookup"
 *   </Plugin>
 *
 * Stores the country code for a GeoIPAction block, which names this block in `result_from`. The plugin
 * never answers. `database` is an .mmdb file of any vendor or a legacy GeoIP.dat; without it, or if
 * mtpolicyd's default file does not exist, the daemon's own database is used. Loopback and private
 * addresses have no country, and neither has this host's own address (`server_address`) unless
 * `this_host = on`. An IPv6 address that carries an IPv4 address (6to4, Teredo, NAT64) is in the country
 * of that address. A missing database is reported at start.
 *
 * Differences from mtpolicyd
 *
 * - mtpolicyd notices a missing database only with the first request.
 */

import { fact } from '../policy/facts.ts'
import { definePlugin } from '../policy/plugin.ts'
import type { CountryDatabase } from '../policy/ports/countries.ts'
import { optional, text } from '../policy/setting.ts'
import { isThisHost, thisHostSetting } from '../policy/this-host.ts'
import { LookupError } from '../system/errors.ts'

/** mtpolicyd's default, which Debian's package geoip-database provides. */
const ORIGINAL_DEFAULT = '/usr/share/GeoIP/GeoIP.dat'

export const geoipLookup = definePlugin({
  name: 'GeoIPLookup',
  summary: 'Find the country of the client.',
  facts: { country: fact<string>('client', 'Country of the client’s address.') },
  settings: {
    database: optional(text({ doc: 'An .mmdb file or a legacy GeoIP.dat.' })),
    this_host: thisHostSetting,
  },
  create({ database, this_host }, { name, countries, openCountries, warn, fail }) {
    const named = database === undefined ? undefined : openCountries(database)
    const mistake = named && whyUnreadable(named)
    const usesOwn = named === undefined || (mistake !== undefined && database === ORIGINAL_DEFAULT)
    const source = usesOwn ? countries : named
    if (mistake !== undefined && usesOwn) warn(`${mistake}: using the built-in one`, 'database')
    else if (mistake !== undefined) fail(mistake, 'database')
    const key = `geoip-${name}-result`
    return (request, { session, facts }) => {
      if (session.get(key) !== undefined) return undefined
      const isStranger = this_host || !isThisHost(request)
      const country = isStranger ? source.country(request.text('client_address')) : undefined
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
