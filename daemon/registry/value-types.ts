/**
 * The types a host variable can have, UCR's own and ours, and the check of one value.
 *
 * UCR's types (str int uint pint portnumber bool ipv4address ipv6address ipaddress url_http
 * url_proxy json list cron) follow UCR 5.2, because description files of other packages may use them;
 * an unknown type is `str` there and here. Two habits are not copied: `1_000` is no number, and
 * regular expressions are JavaScript's. A good value comes back in its normal form; a bad one with
 * one line that says what was expected. Whether a bad value is stored is not decided here.
 */

import { isIP, isIPv4, isIPv6 } from 'node:net'
import { countryCodes } from '../policy/country-codes.ts'
import { countryMeantBy } from './countries.ts'

/** The part of a variable's declaration that its type looks at. */
export interface TypeSpec {
  readonly type: string
  readonly min?: string
  readonly max?: string
  readonly regex?: string
  readonly elementType?: string
  readonly separator?: string
  readonly choices?: readonly string[]
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

/** One value, one line: what a rendered file could take for the start of another line. */
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
])

export const typeNames: readonly string[] = [...checkers.keys()]

export function checkValue(spec: TypeSpec, value: string): Check {
  const checker = checkers.get(spec.type.toLowerCase()) ?? checkText
  return checker(value, spec)
}

const TRUE_WORDS = ['yes', 'true', '1', 'enable', 'enabled', 'on']
const FALSE_WORDS = ['no', 'false', '0', 'disable', 'disabled', 'off']

/** UCR's truth: true, false, or undefined for anything else. */
export function truth(value: string | undefined): boolean | undefined {
  const word = value?.trim().toLowerCase() ?? ''
  if (TRUE_WORDS.includes(word)) return true
  return FALSE_WORDS.includes(word) ? false : undefined
}

function compile(source: string): RegExp | undefined {
  try {
    // UCR matches from the start and leaves the end open.
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

/** Whole numbers as Python reads them: surrounding blanks and a plus sign are fine. */
function wholeNumber(text: string | undefined): bigint | undefined {
  const digits = /^\s*([+-]?)(\d+)\s*$/.exec(text ?? '')
  if (digits === null) return undefined
  const magnitude = BigInt(digits[2] ?? '')
  return digits[1] === '-' ? -magnitude : magnitude
}

function integer(least: bigint | undefined, greatest: bigint | undefined): Checker {
  return (value, { min, max }) => {
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
  // As in UCR, Regex is for the type str only and is not applied to the elements.
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

function checkLimit(value: string): Check {
  if (value.trim().toLowerCase() === 'unlimited') return good('unlimited')
  const number = wholeNumber(value)
  return number !== undefined && number >= 0n && number <= GREATEST_LIMIT
    ? good(String(number))
    : bad(`expected a whole number from 0 to ${GREATEST_LIMIT}, or unlimited`)
}

const NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i

function checkHost(value: string): Check {
  const bare = value
    .trim()
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase()
  // 1.2.3 and 300.1.1.1 look like names to a pattern, but nobody means one.
  const isName = NAME.test(bare) && !/^[\d.]+$/.test(bare)
  return isIPv4(bare) || (isIPv6(bare) && !bare.includes('%')) || isName
    ? good(bare)
    : bad('expected a host name or an address, such as localhost, 0.0.0.0 or 2001:db8::1')
}

function checkChoice(value: string, { choices = [] }: TypeSpec): Check {
  const word = value.trim().toLowerCase()
  return choices.includes(word) ? good(word) : bad(`expected one of: ${choices.join(', ')}`)
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
  const expected = 'expected addresses or networks such as 192.0.2.1,2001:db8::/32'
  const networks: string[] = []
  for (const entry of value.split(',').map(text => text.trim())) {
    if (entry === '') continue
    const [address = '', length, ...rest] = entry.split('/')
    const bits = isIPv4(address) ? 32 : 128
    const isLength = length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= bits)
    if (!isIP(address) || address.includes('%') || !isLength || rest.length > 0) {
      return bad(`"${printable(entry)}" is neither; ${expected}`)
    }
    networks.push(entry.toLowerCase())
  }
  return good(networks.join(','))
}

function checkDomain(value: string): Check {
  const domain = value.trim().replace(/^@/, '').toLowerCase()
  return domain === '' || NAME.test(domain)
    ? good(domain)
    : bad('expected a domain such as example.org')
}

function checkPath(value: string): Check {
  const path = value.trim()
  if (path === '') return good('')
  if (!path.startsWith('/') || LINE_BREAKER.test(path)) return bad('expected an absolute path')
  // The configuration's grammar cuts C comments out of a line, even out of quotes.
  if (/\/\*|\*\//.test(path)) return bad('expected a path without /* and */')
  return good(path)
}

/** What somebody typed, fit for one line on a terminal. */
export function printable(text: string): string {
  return text.replace(new RegExp(LINE_BREAKER, 'gu'), char => {
    return `\\x${(char.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`
  })
}
