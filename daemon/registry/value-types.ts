/**
 * The types a host variable can have, UCR's own and ours, and the check of one value.
 *
 * UCR's types (str int uint pint portnumber bool ipv4address ipv6address ipaddress url_http
 * url_proxy json list cron) follow UCR 5.2, because description files of other packages may use
 * them; an unknown type is treated as `str`, as in UCR. Two of its habits are not copied: `1_000`
 * is not a number, and regular expressions are JavaScript's. A good value is returned in its normal
 * form; for a bad one the result is one line that says what was expected. Whether a bad value is
 * stored is not decided here.
 */

import { isIP, isIPv4, isIPv6 } from 'node:net'
import { NETWORK_FORMS, parseNetwork } from '../net/network.ts'
import { isMailAddress, readAddresses, readWebAddress } from '../policy/alert-values.ts'
import { countryCodes } from '../policy/country-codes.ts'
import { countryMeantBy } from './countries.ts'
import { HOST_NAME } from './domain-name.ts'

/** The part of a variable's declaration that its type uses. */
export interface TypeSpec {
  readonly type: string
  readonly min?: string
  readonly max?: string
  readonly regex?: string
  readonly elementType?: string
  readonly separator?: string
  readonly choices?: readonly string[]
  /** A limit, a choice or a number may be empty, and then means this. */
  readonly emptyMeans?: string
}

export type Check =
  | { readonly kind: 'good'; readonly value: string }
  | { readonly kind: 'bad'; readonly expected: string }
  /** The declaration itself makes no sense (a broken Regex, Min above Max). */
  | { readonly kind: 'broken'; readonly reason: string }

type Checker = (value: string, spec: TypeSpec) => Check

const good = (value: string): Check => ({ kind: 'good', value })
const bad = (expected: string): Check => ({ kind: 'bad', expected })
const broken = (reason: string): Check => ({ kind: 'broken', reason })

export const GREATEST_LIMIT = 1_000_000_000n

/** One value, one line: characters that could start another line in a rendered file. */
export const LINE_BREAKER = /[\p{Cc}\u2028\u2029]/u

const checkers: ReadonlyMap<string, Checker> = new Map<string, Checker>([
  ['str', checkText],
  ['int', integer(undefined, undefined)],
  ['uint', integer(0n, undefined)],
  ['pint', integer(1n, undefined)],
  ['portnumber', integer(0n, 65_535n)],
  ['bool', checkTruth],
  ['ipv4address', value => (isIPv4(value) ? good(value) : bad('expected an IPv4 address'))],
  ['ipv6address', value => (isIPv6(value) ? good(value) : bad('expected an IPv6 address'))],
  ['ipaddress', value => (isIP(value) ? good(value) : bad('expected an IPv4 or IPv6 address'))],
  ['url_http', checkUrl],
  ['url_proxy', checkUrl],
  ['json', checkJson],
  ['list', checkList],
  ['cron', checkCron],
  // Ours:
  ['countries', checkCountries],
  ['limit', checkLimit],
  ['host', checkHost],
  ['choice', checkChoice],
  ['timezone', checkTimezone],
  ['networks', checkNetworks],
  ['domain', checkDomain],
  ['path', checkPath],
  ['maillog', checkMailLog],
  ['addresses', checkAddresses],
  ['mailaddress', checkMailAddress],
  ['webaddress', checkWebAddress],
  ['hostorpath', checkHostOrPath],
  ['webpath', checkWebPath],
  ['hostnames', checkHostNames],
])

/** Is there a check for values of that type? Others are taken for `str`. */
export function isKnownType(type: string): boolean {
  return checkers.has(type.toLowerCase())
}

export function checkValue(spec: TypeSpec, value: string): Check {
  const checker = checkers.get(spec.type.toLowerCase()) ?? checkText
  return checker(value, spec)
}

const TRUE_WORDS = ['yes', 'true', '1', 'enable', 'enabled', 'on']
const FALSE_WORDS = ['no', 'false', '0', 'disable', 'disabled', 'off']

/** UCR's booleans: true, false, or undefined for anything else. */
export function truth(value: string | undefined): boolean | undefined {
  const word = value?.trim().toLowerCase() ?? ''
  if (TRUE_WORDS.includes(word)) return true
  return FALSE_WORDS.includes(word) ? false : undefined
}

function compile(source: string): RegExp | undefined {
  try {
    // UCR anchors the start only.
    return new RegExp(`^(?:${source})`)
  } catch {
    return undefined
  }
}

/** Why a declaration cannot be used, in UCR's words; undefined if it can. */
export function definitionError(spec: TypeSpec): string | undefined {
  if (spec.regex !== undefined && compile(spec.regex) === undefined) {
    return `error compiling regex: ${spec.regex}`
  }
  return undefined
}

function checkText(value: string, { regex }: TypeSpec): Check {
  if (regex === undefined) return good(value)
  const pattern = compile(regex)
  if (pattern === undefined) return broken(`error compiling regex: ${regex}`)
  return pattern.test(value) ? good(value) : bad(`expected text that matches ${regex}`)
}

/** Whole numbers as Python reads them: surrounding spaces and a plus sign are allowed. */
function wholeNumber(text: string | undefined): bigint | undefined {
  const digits = /^\s*([+-]?)(\d+)\s*$/.exec(text ?? '')
  if (digits === null) return undefined
  const magnitude = BigInt(digits[2] ?? '')
  return digits[1] === '-' ? -magnitude : magnitude
}

function integer(least: bigint | undefined, greatest: bigint | undefined): Checker {
  return (value, { min, max, emptyMeans }) => {
    if (value.trim() === '' && emptyMeans !== undefined) return good('')
    const lower = wholeNumber(min)
    const upper = wholeNumber(max)
    if ((min !== undefined && lower === undefined) || (max !== undefined && upper === undefined)) {
      return broken('Min or Max is not a whole number')
    }
    if (lower !== undefined && upper !== undefined && lower > upper) {
      return broken('Min is greater than Max')
    }
    const low = lower ?? least
    const high = upper ?? greatest
    const number = wholeNumber(value)
    const inRange =
      number !== undefined &&
      [least, lower].every(bound => bound === undefined || number >= bound) &&
      [greatest, upper].every(bound => bound === undefined || number <= bound)
    return inRange ? good(String(number)) : bad(`expected a whole number${rangeText(low, high)}`)
  }
}

function rangeText(low: bigint | undefined, high: bigint | undefined): string {
  if (low !== undefined && high !== undefined) return ` from ${low} to ${high}`
  if (low !== undefined) return `, ${low} or more`
  return high === undefined ? '' : `, ${high} or less`
}

function checkTruth(value: string): Check {
  return truth(value) === undefined
    ? bad('expected yes or no (or true/false, on/off, 1/0)')
    : good(value)
}

function checkUrl(value: string): Check {
  const isHttp = /^https?:\/\/[^\s/]+/i.test(value) && URL.canParse(value)
  return isHttp ? good(value) : bad('expected a URL such as http://192.0.2.1:3128/')
}

function checkJson(value: string): Check {
  try {
    JSON.parse(value)
    return good(value)
  } catch {
    return bad('expected JSON')
  }
}

function checkList(value: string, spec: TypeSpec): Check {
  const separator = spec.separator ?? ','
  let elements: string[]
  try {
    elements = value.split(new RegExp(separator)).map(element => element.trim())
  } catch {
    return broken(`error compiling separator: ${separator}`)
  }
  // As in UCR, Regex applies to the type str only, not to the elements of a list.
  const element: TypeSpec = { type: spec.elementType ?? 'str' }
  for (const text of elements) {
    const check = checkValue(element, text)
    if (check.kind === 'bad') return bad(`"${text}": ${check.expected}`)
    if (check.kind === 'broken') return check
  }
  return good(value)
}

function checkCron(value: string): Check {
  const nickname = /^@(reboot|yearly|annually|monthly|weekly|daily|midnight|hourly)$/
  const fields = /^([\d*/,-]+|[a-z]{3}(-[a-z]{3})?)(\s+([\d*/,-]+|[a-z]{3}(-[a-z]{3})?)){4}$/i
  return nickname.test(value) || fields.test(value)
    ? good(value)
    : bad('expected five cron fields such as "5 4 * * *", or @daily')
}

const COUNTRIES_EXPECTED = 'expected two-letter ISO 3166 codes such as DE,AT or *'

function checkCountries(value: string): Check {
  if (value.trim() === '*') return good('*')
  const codes = new Set<string>()
  if (value.replaceAll(',', '').trim() === '')
    return bad(`the list is empty; ${COUNTRIES_EXPECTED}`)
  for (const entry of value.split(',')) {
    const code = entry.trim().toUpperCase()
    if (code === '') return bad(`the list has an empty entry; ${COUNTRIES_EXPECTED}`)
    if (!countryCodes.has(code)) {
      const meant = countryMeantBy(entry)
      const hint = meant === undefined ? '' : `; did you mean ${meant}?`
      return bad(`"${printable(entry.trim())}" is not a country code; ${COUNTRIES_EXPECTED}${hint}`)
    }
    codes.add(code)
  }
  return good([...codes].join(','))
}

function checkLimit(value: string, { emptyMeans }: TypeSpec): Check {
  const word = value.trim().toLowerCase()
  if (word === 'unlimited' || (word === '' && emptyMeans !== undefined)) return good(word)
  const number = wholeNumber(value)
  if (number !== undefined && number >= 0n && number <= GREATEST_LIMIT) return good(String(number))
  const range = `a whole number from 0 to ${GREATEST_LIMIT}`
  return emptyMeans === undefined
    ? bad(`expected ${range}, or unlimited`)
    : bad(`expected ${range}, unlimited, or nothing for ${emptyMeans}`)
}

function checkHost(value: string): Check {
  const bare = value
    .trim()
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  // 1.2.3 and 300.1.1.1 look like names to a pattern, but nobody means one.
  const isName = HOST_NAME.test(bare) && !/^[\d.]+$/.test(bare)
  return isIPv4(bare) || (isIPv6(bare) && !bare.includes('%')) || isName
    ? good(bare)
    : bad('expected a host name or an address, such as localhost, 0.0.0.0 or 2001:db8::1')
}

function checkChoice(value: string, { choices = [], emptyMeans }: TypeSpec): Check {
  const word = value.trim().toLowerCase()
  if (choices.includes(word) || (word === '' && emptyMeans !== undefined)) return good(word)
  const words = `expected one of: ${choices.join(', ')}`
  return bad(emptyMeans === undefined ? words : `${words}, or nothing for ${emptyMeans}`)
}

function checkTimezone(value: string): Check {
  const zone = value.trim()
  if (zone === '') return good('')
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return good(zone)
  } catch {
    return bad("expected a time zone such as Europe/Berlin, or nothing for the host's own")
  }
}

function checkNetworks(value: string): Check {
  const networks: string[] = []
  for (const entry of value.split(',').map(text => text.trim())) {
    if (entry === '') continue
    if (!parseNetwork(entry)) return bad(`"${printable(entry)}": expected ${NETWORK_FORMS}`)
    networks.push(entry.toLowerCase())
  }
  return good(networks.join(','))
}

function checkDomain(value: string): Check {
  const domain = value.trim().replace(/^@/, '').toLowerCase()
  return domain === '' || HOST_NAME.test(domain)
    ? good(domain)
    : bad('expected a domain such as example.org')
}

function checkPath(value: string): Check {
  const path = value.trim()
  if (path === '') return good('')
  if (!path.startsWith('/') || LINE_BREAKER.test(path)) return bad('expected an absolute path')
  // The configuration's grammar removes C comments from a line, even inside quotes.
  if (/\/\*|\*\//.test(path)) return bad('expected a path without /* and */')
  return good(path)
}

/** Where Postfix's log is found without a path. */
const MAIL_LOGS = ['auto', 'none', 'journal']

function checkMailLog(value: string): Check {
  const word = value.trim().toLowerCase()
  if (MAIL_LOGS.includes(word)) return good(word)
  const path = checkPath(value)
  return path.kind === 'good'
    ? path
    : bad(`expected ${MAIL_LOGS.join(', ')}, or an absolute path such as /var/log/mail.log`)
}

function checkAddresses(value: string): Check {
  const addresses = readAddresses(value)
  if (addresses === undefined) {
    return bad('expected mail addresses such as root,postmaster@example.org, or none')
  }
  return good(addresses === '' && value.trim() !== '' ? 'none' : addresses)
}

function checkMailAddress(value: string): Check {
  const address = value.trim()
  return address === '' || isMailAddress(address)
    ? good(address)
    : bad('expected a mail address such as mtpolicyd@example.org')
}

function checkWebAddress(value: string): Check {
  const address = readWebAddress(value)
  return address === undefined
    ? bad('expected a URL such as https://example.org/hook, without #, of which nothing is sent')
    : good(address)
}

/** Where a server listens. */
function checkHostOrPath(value: string): Check {
  const checked = value.trim().startsWith('/') ? checkPath(value) : checkHost(value)
  return checked.kind === 'good'
    ? checked
    : bad(
        'expected a host name, an address, or an absolute path such as /run/univention-mtpolicyd/web.sock',
      )
}

/** A prefix of URLs; without the slash at its end. */
function checkWebPath(value: string): Check {
  const path = value.trim().replace(/\/+$/, '')
  // Browsers resolve `.` and `..` before they ask.
  return /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)*$/.test(path)
    ? good(path)
    : bad('expected a path such as /mail: letters, digits and . _ ~ -')
}

function checkHostNames(value: string): Check {
  const names = value
    .split(',')
    .map(name => name.trim().toLowerCase())
    .filter(name => name !== '')
  const wrong = names.find(name => !HOST_NAME.test(name))
  return wrong === undefined
    ? good(names.join(','))
    : bad(`"${printable(wrong)}": expected host names, separated by commas`)
}

/** What somebody typed, made safe for one line on a terminal. */
export function printable(text: string): string {
  return text.replace(new RegExp(LINE_BREAKER, 'gu'), char => {
    return `\\x${(char.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`
  })
}
