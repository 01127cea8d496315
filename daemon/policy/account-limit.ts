/**
 * A limit as commands see it that show or change where an account stands, whatever it sends next. Nothing
 * is counted for them.
 */

import type { MaybePromise } from '../system/maybe-promise.ts'
import type { Claim } from './ports/ledger.ts'
import type { AccountMeasures } from './ports/measures.ts'

/** A limit of which whose count a mail belongs to is known from its account alone. */
export interface AccountLimit {
  /** The name of its <Plugin> block. */
  readonly name: string
  /** Its name in the ledger: blocks that have the same one are one limit. */
  readonly counter: string
  /** As a configuration writes them. */
  readonly per: string
  readonly unit: 'recipients' | 'messages' | 'megabytes'
  readonly window: string
  /** The domain that is removed from account names; empty: none is. */
  readonly defaultDomain: string
  /** The window of a claim at that moment, milliseconds since 1970. */
  windowAt(now: number): Claim['window']
  /**
   * Undefined: it does not apply to the account. `name`: as in sasl_username. `now`: milliseconds since
   * 1970. `measures`: what is ordered for it. Throws or rejects with LookupError where a table or the counts cannot be read.
   */
  standing(
    name: string,
    now: number,
    measures: AccountMeasures | undefined,
  ): MaybePromise<AccountStanding | undefined>
}

/** Amounts are in the unit of the configuration. */
export interface AccountStanding {
  /** Whose count it is: the account, its domain; empty for one that all share. */
  readonly subject: string
  readonly used: number
  /** Infinity: unlimited. */
  readonly limit: number
  /**
   * When a calendar window ends, or a rolling one has room for one more: milliseconds since 1970.
   * Undefined: it has room now, or never will have.
   */
  readonly again: number | undefined
  /** The verb of access(5) that one more would get, such as `reject` or `hold`; undefined: it passes. */
  readonly next: string | undefined
}
