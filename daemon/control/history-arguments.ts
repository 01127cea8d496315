/** Arguments of the commands that look into the history for the console: what came is read once, here. */

import type { RefusalQuery } from '../policy/ports/history.ts'

export interface CountriesArguments {
  /** Milliseconds since 1970; the hours that they are in count as a whole. */
  readonly since: number
  readonly until: number
}

export interface SeriesArguments extends CountriesArguments {
  /** As in sasl_username; undefined: all accounts together. */
  readonly account?: string | undefined
}

export interface RefusalListArguments extends Omit<RefusalQuery, 'accounts'> {
  /** As in sasl_username. */
  readonly account?: string | undefined
}

/** Refusals of a page. */
export const MOST_REFUSALS = 200
/** The letters in front of the hyphen of a code. */
const BEFORE_HYPHEN = 3

type Fields = Readonly<Record<string, unknown>>

export function readSeries(given: unknown): SeriesArguments {
  const fields = fieldsOf(given, ['since', 'until', 'account'])
  return { ...timesOf(fields), account: textOf(fields, 'account') }
}

export function readCountries(given: unknown): CountriesArguments {
  return timesOf(fieldsOf(given, ['since', 'until']))
}

const OF_LIST = ['account', 'code', 'country', 'rule', 'since', 'until', 'before', 'most']

export function readRefusalList(given: unknown): RefusalListArguments {
  const fields = fieldsOf(given, OF_LIST)
  const code = textOf(fields, 'code')
  const { most } = fields
  if (typeof most !== 'number' || !Number.isInteger(most) || most < 1 || most > MOST_REFUSALS) {
    throw new TypeError(`argument "most" must be a whole number from 1 to ${MOST_REFUSALS}`)
  }
  return {
    account: textOf(fields, 'account'),
    code: code === undefined ? undefined : beginningOf(code),
    country: textOf(fields, 'country'),
    rule: textOf(fields, 'rule'),
    since: fields.since === undefined ? undefined : timeOf(fields, 'since'),
    until: fields.until === undefined ? undefined : timeOf(fields, 'until'),
    before: textOf(fields, 'before'),
    most,
  }
}

/** As people type the beginning of a code, in any case, with or without hyphen and parentheses. */
function beginningOf(text: string): string {
  const bare = text.toUpperCase().replace(/[^0-9A-Z]/g, '')
  if (bare.length <= BEFORE_HYPHEN) return bare
  return `${bare.slice(0, BEFORE_HYPHEN)}-${bare.slice(BEFORE_HYPHEN)}`
}

/** Another name is an error: the caller would believe that it has an effect. */
function fieldsOf(given: unknown, names: readonly string[]): Fields {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError('"arguments" must be an object')
  }
  const unknown = Object.keys(given).find(name => !names.includes(name))
  if (unknown !== undefined) throw new TypeError(`unknown argument "${unknown}"`)
  return { ...given }
}

function timesOf(fields: Fields): CountriesArguments {
  const [since, until] = [timeOf(fields, 'since'), timeOf(fields, 'until')]
  if (since <= until) return { since, until }
  throw new TypeError('"until" must not be before "since"')
}

function timeOf(fields: Fields, name: string): number {
  const { [name]: time } = fields
  if (typeof time === 'number' && Number.isFinite(time) && time >= 0) return time
  throw new TypeError(`argument "${name}" must be milliseconds since 1970`)
}

function textOf(fields: Fields, name: string): string | undefined {
  const { [name]: text } = fields
  if (text === undefined || typeof text === 'string') return text
  throw new TypeError(`argument "${name}" must be a string`)
}
