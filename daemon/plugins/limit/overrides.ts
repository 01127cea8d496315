/**
 * <User>, <Group> and <Domain> blocks of a limit: which rule holds for a subject.
 *
 * The most specific block counts, and only that: the user's, else that of the first group the user is
 * in, else the domain's, else the limit's own rule.
 */

import { accountName } from '../../policy/account.ts'
import { asciiDomain } from '../../policy/mail-address.ts'
import type { Surroundings } from '../../policy/plugin.ts'
import { error, warning } from '../../policy/problem.ts'
import type { Section, Settings } from '../../policy/setting.ts'
import { type MaybePromise, whenReady } from '../../system/maybe-promise.ts'
import { readNamed } from '../parts/user-blocks.ts'
import { type Members, members, membersOf } from './group-members.ts'
import { type Changes, changes } from './rule.ts'
import { accountDomains, SUBJECTS, type SubjectKind } from './subject.ts'

/** Blocks that a limit may have. */
export const OVERRIDES = ['User', 'Domain', 'Group'] as const
type Override = (typeof OVERRIDES)[number]

/** By what the limit counts per. */
const EFFECTIVE: Readonly<Record<SubjectKind, readonly Override[]>> = {
  user: OVERRIDES,
  domain: ['Domain'],
  client: [],
  network: [],
  sender: [],
  server: [],
}

interface Group<T> {
  readonly members: Members
  readonly value: T
}

/** What is meant for a subject; undefined: no block is. Throws or rejects with LookupError. */
export type OverrideOf<T> = (subject: string) => MaybePromise<T | undefined>

/** @param make from what a block says to what is wanted for its subjects */
export function readOverrides<T>(
  kind: SubjectKind,
  defaultDomain: string,
  surroundings: Pick<Surroundings, 'section' | 'problems' | 'openTable'>,
  make: (changes: Changes) => T,
): OverrideOf<T> | undefined {
  const { section, problems, openTable } = surroundings
  warnOfOthers(kind, surroundings)
  const made = (values: Changes, block: Section): T => {
    warnOfContents(values, block, surroundings)
    return make(values)
  }
  const read = <S extends Settings, R>(
    type: Override,
    fold: (name: string) => string,
    declared: S,
    each: Parameters<typeof readNamed<S, R>>[3],
  ): ReadonlyMap<string, R> => {
    if (!EFFECTIVE[kind].includes(type)) return new Map()
    return readNamed({ section, type, fold }, declared, problems, each)
  }

  const users = read('User', name => accountName(name, defaultDomain), changes, made)
  const domains = read('Domain', asciiDomain, changes, made)
  const grouped = read(
    'Group',
    name => name,
    { members, ...changes },
    (values, block) => {
      const inIt = membersOf(values.members, defaultDomain, openTable)
      const problem = inIt.problem()
      const place = block.options.find(({ name }) => name === 'members')?.valuePlace ?? block.place
      if (problem !== undefined) {
        problems.push(error(place, `"members" in <Group ${block.name}>: ${problem}`))
      }
      return { members: inIt, value: made(values, block) }
    },
  )
  const groups = [...grouped.values()]
  if (users.size + domains.size + groups.length === 0) return undefined
  if (kind === 'domain') return rememberingLast(domain => domains.get(domain))
  const domainOfAccount = accountDomains(defaultDomain)
  return account => {
    const ofUser = users.get(account)
    if (ofUser !== undefined || groups.length + domains.size === 0) return ofUser
    const ofDomain = (): T | undefined => domains.get(domainOfAccount(account))
    return whenReady(firstWith(groups, account, 0), ofGroup => ofGroup ?? ofDomain())
  }
}

/** Most mail is of the domain that the mail before was of. */
function rememberingLast<T>(find: (domain: string) => T): (domain: string) => T {
  let last = ''
  let found = find(last)
  return domain => {
    if (domain !== last) {
      last = domain
      found = find(domain)
    }
    return found
  }
}

function firstWith<T>(
  groups: readonly Group<T>[],
  account: string,
  from: number,
): MaybePromise<T | undefined> {
  const group = groups[from]
  if (!group) return undefined
  return whenReady(group.members.has(account), isIn =>
    isIn ? group.value : firstWith(groups, account, from + 1),
  )
}

function warnOfOthers(
  kind: SubjectKind,
  { section, problems }: Pick<Surroundings, 'section' | 'problems'>,
): void {
  for (const { type, name, place } of section.blocks) {
    const override = OVERRIDES.find(one => one === type)
    if (!override || EFFECTIVE[kind].includes(override)) continue
    const kinds = SUBJECTS.filter(one => EFFECTIVE[one].includes(override)).join(' or ')
    const message = `<${type} ${name}> has no effect with per = ${kind}; expected per = ${kinds}`
    problems.push(warning(place, message))
  }
}

function warnOfContents(
  { threshold, excess, most_recipients, most_megabytes }: Changes,
  { type, name, place }: Section,
  { problems }: Pick<Surroundings, 'problems'>,
): void {
  const heading = `<${type} ${name}>`
  if ([threshold, excess, most_recipients, most_megabytes].every(one => one === undefined)) {
    problems.push(
      warning(place, `${heading} changes nothing: expected ${Object.keys(changes).join(', ')}`),
    )
  }
  if (excess?.grades && threshold !== undefined) {
    problems.push(warning(place, `"threshold" in ${heading} has no effect: its excess has grades`))
  }
}
