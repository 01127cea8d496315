/** The names of an account in the configuration in force: mail without its domain is its mail, too. */

import { accountName, accountSpellings } from '../../policy/account.ts'
import type { Generation } from '../generation.ts'

/** `name`: as in sasl_username. `spellings`: as the history may have it. */
export function namesOf(
  generation: Generation,
  name: string,
): { readonly account: string; readonly spellings: readonly string[] } {
  const domains = generation.assembly.loaded.limits.map(({ defaultDomain }) => defaultDomain)
  const spellings = ['', ...domains].flatMap(domain => accountSpellings(name, domain))
  return { account: accountName(name, domains[0] ?? ''), spellings: [...new Set(spellings)] }
}
