/**
 * What an administrator, a program or a user is told: a condition that has just become true, or that
 * does not hold any more. Once each, not as long as it holds.
 */

import type { Severity } from '../policy/finding.ts'

/** French only of what users are told, too; English where it is missing. */
export interface AlertWords {
  readonly en: string
  readonly de: string
  readonly fr?: string
}

export type AlertLanguage = keyof AlertWords

/** raised: it has just become true. cleared: it was, and is not any more. */
export type AlertState = 'raised' | 'cleared'

/** Kinds about one account. All others are about the server: ids of findings, such as `geoip-old`. */
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

/** `mtpolicyctl alert test`; facts: by. Never paced, never cleared. */
export const TEST_KIND = 'test'

export interface Alert {
  /** Unique, also over restarts; in the order of their time: `1764575000123-1`. */
  readonly id: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly state: AlertState
  readonly kind: string
  /** Which condition of its kind: raised and cleared have the same. */
  readonly key: string
  readonly severity: Severity
  /** Whose mail it is about (policy/account.ts: folded, without the default domain); or empty. */
  readonly account: string
  /** Each a sentence without its period, on one line. */
  readonly what: AlertWords
  readonly why: AlertWords
  /** The command to run or what to do. May be empty for `cleared`. */
  readonly remedy: AlertWords
  /** `user`: as the client logged in, where known. Texts are of one line, 256 characters at most. */
  readonly facts: Readonly<Record<string, string | number>>
}

export function isAboutAccount({ account }: Pick<Alert, 'account'>): boolean {
  return account !== ''
}
