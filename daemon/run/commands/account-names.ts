/** The names of an account in the configuration in force: mail without its domain is its mail, too. */

import type { Loaded } from '../../config/load.ts'
import { accountName, accountSpellings } from '../../policy/account.ts'

/** `name`: as in sasl_username. `spellings`: as the history may have it. */
export function namesOf(
  { limits }: Pick<Loaded, 'limits'>,
  name: string,
): { readonly account: string; readonly spellings: readonly string[] } {
  const domains = limits.map(({ defaultDomain }) => defaultDomain)
  const spellings = ['', ...domains].flatMap(domain => accountSpellings(name, domain))
  return { account: accountName(name, domains[0] ?? ''), spellings: [...new Set(spellings)] }
}
