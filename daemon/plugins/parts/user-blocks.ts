/**
 * <User NAME> blocks: settings of a plugin that differ for one account. Names are folded like login
 * names, so "Alice" and "alice" are the same; of two blocks for one account the last one counts.
 */

import { accountName } from '../../policy/account.ts'
import { type Problem, warning } from '../../policy/problem.ts'
import { readSettings } from '../../policy/read-settings.ts'
import type { Section, Settings, SettingValues } from '../../policy/setting.ts'

/** Returns a lookup for the settings of an account. */
export function readUsers<S extends Settings>(
  section: Section,
  declared: S,
  defaultDomain: string,
  problems: Problem[],
): (account: string) => SettingValues<S> | undefined {
  const fold = (name: string): string => accountName(name, defaultDomain)
  const users = readNamed({ section, type: 'User', fold }, declared, problems, values => values)
  // A lookup hashes the name, which is wasted if the map is empty.
  return account => (users.size > 0 ? users.get(account) : undefined)
}

export interface NamedBlocks {
  readonly section: Section
  /** That of the blocks inside which are meant. */
  readonly type: string
  /** The one spelling of their names. */
  fold(name: string): string
}

/** What `make` makes of each block that can be used, by its name. */
export function readNamed<S extends Settings, T>(
  { section, type, fold }: NamedBlocks,
  declared: S,
  problems: Problem[],
  make: (values: SettingValues<S>, block: Section) => T,
): ReadonlyMap<string, T> {
  const made = new Map<string, T>()
  for (const block of section.blocks.filter(one => one.type === type)) {
    const values = readSettings(declared, block, problems)
    if (block.name === undefined) {
      const message = `<${type}> without a name matches nobody: write <${type} NAME>`
      problems.push(warning(block.place, message))
      continue
    }
    const name = fold(block.name)
    if (made.has(name)) {
      problems.push(
        warning(block.place, `<${type} ${block.name}> replaces an earlier block for "${name}"`),
      )
    }
    if (values) made.set(name, make(values, block))
  }
  return made
}
