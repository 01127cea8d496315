/**
 * What an administrator, a program or a user is told: a condition that has just become true, or that
 * does not hold any more. Once each, not as long as it holds.
 */

import type { Alert } from '../policy/ports/alerts.ts'

export type {
  Alert,
  AlertLanguage,
  AlertState,
  AlertWords,
  Condition,
} from '../policy/ports/alerts.ts'

/** Kinds about one account. */
export const ACCOUNT_KINDS = [
  /** A limit's `warn_at` is reached. facts: limits (names), used, limit. */
  'account-near',
  /** Mail was refused, deferred or held by a limit. facts: rule, used, limit, action. */
  'account-at-limit',
  /** Mail was refused for its country. facts: country, client, rule, action. */
  'country-refused',
  /** An administrator has ordered a block (cleared: released, or ended). facts: by, why. */
  'account-blocked',
] as const

export type AccountKind = (typeof ACCOUNT_KINDS)[number]

/** The same about a limit that several accounts share; `account` is empty. facts: rule or limits, per, domain or client, used, limit. */
export const LIMIT_KINDS = ['limit-near', 'limit-reached'] as const

/** `mtpolicyctl alert test`; facts: by. Never paced, never cleared. */
export const TEST_KIND = 'test'

export function isAboutAccount({ account }: Pick<Alert, 'account'>): boolean {
  return account !== ''
}

/** Which condition it is about. */
export function conditionOf({ kind, key }: Pick<Alert, 'kind' | 'key'>): string {
  return `${kind}\n${key}`
}
