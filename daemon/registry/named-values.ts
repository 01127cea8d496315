/** The values of variables that are for one user or one domain, as a template needs them. */

import { accountName } from '../policy/account.ts'
import { domainOf } from '../policy/mail-address.ts'
import { domainName } from './domain-name.ts'
import type { Values } from './layers.ts'
import { canonicalKey, nameInKey } from './name-key.ts'
import { isPattern } from './variables.ts'

export const UNLIMITED = 'unlimited'

/** Is one of these variables, or one of these patterns' variables, set to a number? */
export function isLimited(names: readonly string[], values: Values): boolean {
  return names.some(name => {
    const set = isPattern(name) ? valuesOf(name, values).values() : [values.get(name) ?? '']
    return [...set].some(value => value !== '' && value !== UNLIMITED)
  })
}

export interface Question {
  /** By the name that the template uses, the pattern. */
  readonly fields: Readonly<Record<string, string>>
  /** A pattern: who has `unlimited` there has it in all fields that are not set. */
  readonly lifted: string | undefined
  /** By field, a pattern of domains: their users have this value, unless they have their own. */
  readonly inherited: Readonly<Record<string, string>>
}

/** `name` and a value for each field, empty where none is set. */
export type Row = Readonly<Record<string, string>>

/** One row for each user or domain that has a value, in the order of their names. */
export function valuesByName({ fields, lifted, inherited }: Question, values: Values): Row[] {
  const columns = Object.entries(fields).map(
    ([field, pattern]) => [field, valuesOf(pattern, values)] as const,
  )
  const unlimited = lifted === undefined ? new Set<string>() : unlimitedOf(lifted, values)
  const names = new Set([...unlimited, ...columns.flatMap(([, column]) => [...column.keys()])])
  const rows = [...names].sort().map((name): Row => {
    const fallback = unlimited.has(name) ? UNLIMITED : ''
    const row = columns.map(([field, column]) => [field, column.get(name) ?? fallback] as const)
    return { name, ...Object.fromEntries(row) }
  })
  return Object.entries(inherited).reduce(
    (rows, [field, pattern]) => inheriting(field, pattern, rows, values),
    oneForEach(rows, values),
  )
}

/**
 * A name with and without the default domain is one account, and one block: of two, the last one would
 * count alone, and the first one's other values be lost. What is set with the domain comes first.
 */
function oneForEach(rows: readonly Row[], values: Values): Row[] {
  const defaultDomain = values.get('mtpolicyd/defaultdomain') ?? ''
  if (defaultDomain === '') return [...rows]
  const byAccount = new Map<string, Row>()
  for (const row of rows) {
    const account = accountName(row.name ?? '', defaultDomain)
    const set = Object.entries(row).filter(([, value]) => value !== '')
    byAccount.set(account, { ...row, ...byAccount.get(account), ...Object.fromEntries(set) })
  }
  return [...byAccount.values()]
}

function unlimitedOf(pattern: string, values: Values): Set<string> {
  const all = [...valuesOf(pattern, values)]
  return new Set(all.flatMap(([name, value]) => (value === UNLIMITED ? name : [])))
}

/** The same, with the domain's value for users without one. A name without a domain has the default one. */
function inheriting(field: string, pattern: string, rows: readonly Row[], values: Values): Row[] {
  const ofDomain = valuesOf(pattern, values)
  const defaultDomain = values.get('mtpolicyd/defaultdomain') ?? ''
  return rows.map(row => {
    if (row[field] !== '') return row
    const domain = domainName(domainOf(row.name ?? '') || defaultDomain) ?? ''
    return { ...row, [field]: ofDomain.get(domain) ?? '' }
  })
}

/**
 * The values of one pattern, one per user or domain; of several spellings of a name the canonical one
 * counts. An empty value is as good as none.
 */
function valuesOf(pattern: string, values: Values): Map<string, string> {
  const byName = new Map<string, string>()
  for (const [key, value] of values) {
    const name = nameInKey(pattern, key)
    if (name === undefined || value === '') continue
    if (!byName.has(name) || canonicalKey(key) === key) byName.set(name, value)
  }
  return byName
}
