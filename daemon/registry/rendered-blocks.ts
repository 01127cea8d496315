/**
 * The <Plugin> blocks of the shipped template, by their names, and the host variable each of them is
 * rendered from: what an administrator sets to change the rule. test/registry/rendered-blocks.test.ts
 * compares this with the template.
 */

import { accountSpellings } from '../policy/account.ts'
import { domainOf } from '../policy/mail-address.ts'
import { domainName } from './domain-name.ts'
import type { Values } from './layers.ts'
import { canonicalKey, nameKey, userNameProblem } from './name-key.ts'
import { declarations } from './variables.ts'

const BLOCKS: ReadonlyMap<string, string> = new Map([
  ['countries', 'mtpolicyd/allowedcountries'],
  ['limit', 'mtpolicyd/threshold'],
  ['rolling', 'mtpolicyd/threshold/rolling'],
  ['hour', 'mtpolicyd/threshold/hour'],
  ['minute', 'mtpolicyd/threshold/minute'],
  ['domain', 'mtpolicyd/domain/.*/threshold'],
  ['domain-hour', 'mtpolicyd/domain/.*/threshold/hour'],
  ['server', 'mtpolicyd/server/threshold'],
  ['server-hour', 'mtpolicyd/server/threshold/hour'],
])

/** The variable or pattern that the block of this name is rendered from; undefined: it is not of the template. */
export function variableOfBlock(name: string): string | undefined {
  return BLOCKS.get(name)
}

/** The variable that is for one account alone; undefined: there is none. */
export function variableOfUser(variable: string, account: string): string | undefined {
  const pattern = variable.replace(/^mtpolicyd\//, 'mtpolicyd/user/.*/')
  const part = nameKey(account)
  return isDeclared(pattern) && userNameProblem(part) === undefined
    ? pattern.replace('.*', () => part)
    : undefined
}

/**
 * The variables that may say what a rule is for an account, the one that counts first. `variable`: as
 * `variableOfBlock` gives it.
 */
export function variablesFor(variable: string, account: string, defaultDomain: string): string[] {
  const domain = domainName(domainOf(account) || defaultDomain)
  const ofDomain = (pattern: string): string[] =>
    isDeclared(pattern) && domain !== undefined ? [pattern.replace('.*', () => domain)] : []
  if (variable.includes('.*')) return ofDomain(variable)
  return [
    ...variablesOfUser(variable, account, defaultDomain),
    ...ofDomain(variable.replace(/^mtpolicyd\//, 'mtpolicyd/domain/.*/user/')),
    variable,
  ]
}

/** The variables of one account, with the default domain and without: if both are set, the first one counts. */
function variablesOfUser(variable: string, account: string, defaultDomain: string): string[] {
  return accountSpellings(account, defaultDomain)
    .toReversed()
    .flatMap(name => variableOfUser(variable, name) ?? [])
}

/** The variable to set for one account: the one that counts already, or one of its name as it is given. */
export function variableToSet(
  variable: string,
  account: string,
  values: Values,
): string | undefined {
  const set = setIn(values)
  const names = variablesOfUser(variable, account, values.get('mtpolicyd/defaultdomain') ?? '')
  return names.find(name => set.has(name)) ?? variableOfUser(variable, account)
}

/** The variables that have a value, by their canonical names. */
export function setIn(values: Values): ReadonlySet<string> {
  return new Set([...values].flatMap(([key, value]) => (value === '' ? [] : canonicalKey(key))))
}

function isDeclared(pattern: string): boolean {
  return declarations.some(({ name }) => name === pattern)
}
