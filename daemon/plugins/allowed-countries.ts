/**
 * AllowedCountries - authenticated mail only from listed countries.
 *
 *   <Plugin countries>
 *     module    = "AllowedCountries"
 *     countries = "DE, AT, CH"
 *     <User alice>
 *       countries = "DE, US"
 *     </User>
 *   </Plugin>
 *
 * Judges mail with a sasl_username; all other mail is none of its business. The client's address
 * is looked up in the GeoIP database. Loopback and private addresses (webmail, re-injected mail)
 * have no country and pass. So does a public address that the database does not know, or knows by
 * a code that is no country (EU, AP), unless `unknown_country = refuse`. `countries = *` allows
 * all. A <User> block replaces the list for one account.
 */

import { isPublic } from '../policy/address.ts'
import { countryCodes } from '../policy/country-codes.ts'
import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { choice, custom, text } from '../policy/setting.ts'
import { reject } from '../policy/verdict.ts'
import { readUsers } from './user-blocks.ts'

/** Undefined stands for all countries. */
type Countries = ReadonlySet<string> | undefined

const EXPECTED = 'two-letter ISO 3166 country codes such as DE,AT, or *'

const countries = custom<{ readonly allowed: Countries }>(
  EXPECTED,
  value => {
    if (value.trim() === '*') return { allowed: undefined }
    const codes = value.split(',').map(code => code.trim().toUpperCase())
    return codes.every(code => countryCodes.has(code)) ? { allowed: new Set(codes) } : undefined
  },
  { doc: 'Countries mail may be sent from.' },
)

export const allowedCountries = definePlugin({
  name: 'AllowedCountries',
  summary: 'Authenticated mail only from listed countries.',
  blocks: ['User'],
  settings: {
    countries,
    unknown_country: choice(['pass', 'refuse'], {
      doc: 'What happens to a public address of no known country.',
      fallback: 'pass',
    }),
    default_domain: text({ doc: 'Domain cut from user names.', fallback: '' }),
    message: text({
      doc: 'Text of the refusal; %CC% is the country, %IP% the address.',
      fallback:
        '5.7.1 Mail from your account is not accepted from where you are (%CC%, %IP%); ' +
        'ask your mail administrator',
    }),
  },
  create(settings, { section, countries: database, observe, note, problems }) {
    const ofUser = readUsers(section, { countries }, settings.default_domain, problems)

    return (request, { facts }) => {
      const account = request.account(settings.default_domain)
      if (account === '') return undefined
      const allowed = (ofUser(account)?.countries ?? settings.countries).allowed
      const address = request.text('client_address')
      if (!isPublic(address)) return undefined

      const country = database.country(address)
      if (country !== undefined) facts.country = country
      if (allowed === undefined) return undefined
      if (country !== undefined && allowed.has(country)) return undefined
      if (country === undefined || !countryCodes.has(country)) {
        note(() => `${address} has no known country (${country ?? 'none'})`)
        if (settings.unknown_country === 'pass') return undefined
      }
      const refusal = reject(
        fillTemplate(settings.message, { CC: country ?? 'unknown', IP: address }),
      )
      if (!observe) return refusal
      facts.observed ??= refusal
      return undefined
    }
  },
})
