/**
 * Measures: what an administrator has ordered for one account, for a time or until it is released. They
 * come before the configuration, with the next request; `measures/` keeps them. All times are milliseconds since 1970.
 */

interface Ordered {
  /** Whom it is for, folded as for counting. */
  readonly account: string
  /** When it ends by itself; undefined: when it is released. */
  readonly until: number | undefined
  /** When and by whom it was ordered, and why; empty: not told. */
  readonly at: number
  readonly by: string
  readonly why: string
}

/** Mail of the account is refused. */
export interface Block extends Ordered {
  readonly kind: 'block'
}

/** Mail of the account is accepted from these countries, too. */
export interface Allowance extends Ordered {
  readonly kind: 'allow'
  /** ISO 3166-1. */
  readonly countries: readonly string[]
}

/** Another number for the account's limits of that window. */
export interface OtherLimit extends Ordered {
  readonly kind: 'limit'
  /** As SendingLimit's `window`: `day`, `1h`. */
  readonly window: string
  /** Infinity: unlimited. */
  readonly threshold: number
}

export type Measure = Block | Allowance | OtherLimit

/** What is in force for one account. */
export interface AccountMeasures {
  readonly block: Block | undefined
  readonly allow: Allowance | undefined
  readonly limits: readonly OtherLimit[]
}

export interface Measures {
  /**
   * What is in force for an account, folded as for counting; undefined, and for nearly all mail at once:
   * nothing is.
   */
  of(account: string, now: number): AccountMeasures | undefined
}

/** Where none can be ordered: a check of a file, a test. */
export const noMeasures: Measures = { of: () => undefined }
