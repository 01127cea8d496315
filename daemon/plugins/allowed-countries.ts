/**
 * AllowedCountries - accept authenticated mail only from listed countries.
 *
 *   <Plugin countries>
 *     module    = "AllowedCountries"
 *     countries = "DE, AT, CH"
 *     networks  = "192.0.2.0/24, 2001:db8:40::/44"
 *     <User alice>
 *       countries = "DE, US"
 *     </User>
 *     <User bob>
 *       networks = "198.51.100.7"
 *     </User>
 *   </Plugin>
 *
 * Applies to mail with a sasl_username and ignores all other mail. The client's address is looked up
 * in the GeoIP database. Loopback and private addresses (webmail, re-injected mail) and this host's
 * own address (`server_address`) have no country and pass. So does a public address that is not in the
 * database, or has a code there that is not a country (EU, AP), unless `unknown_country = refuse`.
 * `countries = *` allows all countries. An IPv6 address that carries an IPv4 address (6to4, Teredo,
 * NAT64) is in the country of that address.
 *
 * `networks` are addresses and networks from which mail passes whatever their country, also if it is
 * not known: the VPN of your company, or the relays of a provider through which your users send. In a
 * <User> block, `countries` replaces the list for one account; `networks` are added to those that
 * everybody has.
 *
 * `mtpolicyctl allow` accepts an account from other countries for a time.
 *
 * The text for the mail user is in the `language` en, de or fr; `message` replaces it. Replies of SMTP
 * are ASCII, so the German text has no umlauts and the French one no accents.
 *
 * Users who send through a provider connect from its relays, which may be in another country than the
 * user: in the shipped data, Google's IPv6 relays are in Ireland. This lists the addresses from which
 * mail was refused, if the block has the name `countries`, the most frequent ones first:
 *
 *   grep 'mtpolicyd.* by=countries' /var/log/mail.log |
 *     grep -oE 'client=[^ ]*( country=[^ ]*)?' |
 *     sort | uniq -c | sort -rn
 */

import { isPublic } from '../net/address.ts'
import {
  addressGroups,
  formatNetwork,
  isWithin,
  NETWORK_FORMS,
  type Network,
  parseNetwork,
  withoutHostBits,
} from '../net/network.ts'
import { countryCodes } from '../policy/country-codes.ts'
import { fact } from '../policy/facts.ts'
import { fillTemplate } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { fatal, type Problem, warning } from '../policy/problem.ts'
import { choice, custom, optional, type Section, type Setting, text } from '../policy/setting.ts'
import { isServerAddress } from '../policy/this-host.ts'
import { reject } from '../policy/verdict.ts'
import { LANGUAGES } from './limit/texts.ts'
import { readUsers } from './parts/user-blocks.ts'

/** Undefined stands for all countries. */
type Countries = ReadonlySet<string> | undefined

/** In ASCII, like the texts of the limits. */
const MESSAGES: Readonly<Record<(typeof LANGUAGES)[number], string>> = {
  en:
    '5.7.1 Your account may not send mail from your current location (%CC%, %IP%); ' +
    'contact your mail administrator',
  de:
    '5.7.1 Von Ihrem derzeitigen Standort (%CC%, %IP%) aus darf Ihr Konto keine Mail senden; ' +
    'bitte wenden Sie sich an Ihren Mail-Administrator',
  fr:
    "5.7.1 Votre compte ne peut pas envoyer de courrier depuis l'endroit ou vous etes (%CC%, %IP%) ; " +
    'contactez votre administrateur de messagerie',
}

const UNKNOWN = { en: 'unknown', de: 'unbekannt', fr: 'inconnu' } as const

const EXPECTED = 'two-letter ISO 3166 country codes such as DE,AT, or *'

const countries = custom<{ readonly allowed: Countries }>(
  EXPECTED,
  value => {
    if (value.trim() === '*') return { allowed: undefined }
    const codes = value.split(',').map(code => code.trim().toUpperCase())
    return codes.every(code => countryCodes.has(code)) ? { allowed: new Set(codes) } : undefined
  },
  { doc: 'Countries from which mail may be sent.' },
)

/** In a <User> block, what is not written is that of everybody. */
const countriesOfUser: Setting<{ readonly allowed: Countries } | undefined> = {
  ...countries,
  required: false,
  fallback: undefined,
}

const networks = custom<readonly Network[]>(
  `${NETWORK_FORMS}; several with commas`,
  value => {
    const words = value
      .split(',')
      .map(word => word.trim())
      .filter(word => word !== '')
    const parsed = words.flatMap(word => parseNetwork(word) ?? [])
    return parsed.length === words.length ? parsed : undefined
  },
  { doc: 'Networks from which mail may be sent whatever their country.', fallback: [] },
)

export const allowedCountries = definePlugin({
  name: 'AllowedCountries',
  summary: 'Accept authenticated mail only from listed countries.',
  blocks: ['User'],
  facts: {
    country: fact<string>('client', 'Country of the client’s address.'),
    measure: fact<string>('decision', 'The measure of an administrator’s that was applied.'),
  },
  settings: {
    countries,
    networks,
    unknown_country: choice(['pass', 'refuse'], {
      doc: 'Whether a public address without a known country passes.',
      fallback: 'pass',
    }),
    default_domain: text({ doc: 'Domain that is removed from user names.', fallback: '' }),
    language: choice(LANGUAGES, { doc: 'Language of our text.', fallback: 'en' }),
    message: optional(
      text({
        doc: 'Text of the refusal instead of ours; %CC% is the country, %IP% the address.',
      }),
    ),
  },
  create(settings, { section, countries: database, note, problems }) {
    const declared = { countries: countriesOfUser, networks }
    for (const block of [section, ...section.blocks]) problems.push(...widerThanMeant(block))
    const ofUser = readUsers(section, declared, settings.default_domain, problems)
    reportEmpty(section, problems)
    const message = settings.message ?? MESSAGES[settings.language]

    return (request, { facts, measures }) => {
      const account = request.account(settings.default_domain)
      if (account === '') return undefined
      const own = ofUser(account)
      const allowed = (own?.countries ?? settings.countries).allowed
      const address = request.text('client_address')
      if (!isPublic(address) || isServerAddress(address, request)) return undefined

      const country = database.country(address)
      if (country !== undefined) facts.country = country
      if (allowed === undefined) return undefined
      if (country !== undefined && allowed.has(country)) return undefined
      if (isListed(address, settings.networks, own?.networks)) return undefined
      if (country !== undefined && measures?.allow?.countries.includes(country)) {
        facts.measure = 'allow'
        return undefined
      }
      if (country === undefined || !countryCodes.has(country)) {
        note(() => `${address} has no known country (${country ?? 'none'})`)
        if (settings.unknown_country === 'pass') return undefined
      }
      return reject(
        fillTemplate(message, { CC: country ?? UNKNOWN[settings.language], IP: address }),
      )
    }
  },
})

/** Networks that are more than what somebody may have meant: an address within one, or all addresses. */
function widerThanMeant({ options }: Section): Problem[] {
  return options
    .filter(({ name }) => name === 'networks')
    .flatMap(({ value = '', valuePlace }) =>
      value.split(',').flatMap(text => {
        const network = parseNetwork(text.trim())
        if (!network) return []
        const whole = withoutHostBits(network)
        const name = formatNetwork(whole)
        if (whole.bits === 0) return warning(valuePlace, `${name} is every address of its kind`)
        if (whole.groups.join() === network.groups.join()) return []
        return warning(valuePlace, `${text.trim()} is in ${name}, and all of that is accepted`)
      }),
    )
}

function isListed(
  address: string,
  ofAll: readonly Network[],
  ofUser: readonly Network[] = [],
): boolean {
  if (ofAll.length === 0 && ofUser.length === 0) return false
  const groups = addressGroups(address)
  if (groups === undefined) return false
  const hasIt = (network: Network): boolean => isWithin(groups, network)
  return ofAll.some(hasIt) || ofUser.some(hasIt)
}

/** A <User> block that says nothing is a slip of the keyboard. */
function reportEmpty(section: Section, problems: Problem[]): void {
  for (const { type, name = '', place, options } of section.blocks) {
    if (type !== 'User') continue
    if (options.some(option => option.name === 'countries' || option.name === 'networks')) continue
    problems.push(fatal(place, `<User ${name}> needs "countries" or "networks"`))
  }
}
