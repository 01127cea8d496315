/**
 * <User NAME> blocks: what a plugin does differently for one account. Names are folded as login
 * names are, so "Alice" and "alice" are one; of two blocks for one account the last one counts.
 */

import { accountName } from '../policy/account.ts'
import { type Problem, warning } from '../policy/problem.ts'
import { readSettings, type Section, type Settings, type SettingValues } from '../policy/setting.ts'

/** What is set for an account, if anything is. */
export function readUsers<S extends Settings>(
  section: Section,
  declared: S,
  defaultDomain: string,
  problems: Problem[],
): (account: string) => SettingValues<S> | undefined {
  const users = new Map<string, SettingValues<S>>()
  for (const block of section.blocks.filter(({ type }) => type === 'User')) {
    const values = readSettings(declared, block, problems)
    if (block.name === undefined) {
      problems.push(warning(block.place, '<User> without a name is nobody: write <User NAME>'))
      continue
    }
    const account = accountName(block.name, defaultDomain)
    if (users.has(account)) {
      problems.push(
        warning(block.place, `<User ${block.name}>: an earlier block is for "${account}"`),
      )
    }
    if (values) users.set(account, values)
  }
  // A look-up hashes the name: not where there is nothing to find.
  return account => (users.size > 0 ? users.get(account) : undefined)
}
