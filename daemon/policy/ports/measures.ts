/**
 * Measures: what an administrator has ordered for one account, for a time or until it is released. They
 * come before the configuration, with the next request; `measures/` keeps them. All times are milliseconds since 1970.
 */

interface Ordered {
  /** Whom it is for, folded as for counting; the configuration's default domain may be part of it. */
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
  /** As SendingLimit's `window`, `day` or `1h`, for limits of recipients; or the name of a limit's block. */
  readonly window: string
  /** In the limit's unit; Infinity: unlimited. */
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
  /** True, and so for nearly all mail: there is nothing to ask `of`. */
  readonly isEmpty: boolean
  /**
   * What is in force for an account, folded as for counting, with or without its default domain; undefined:
   * nothing is.
   */
  of(account: string, now: number): AccountMeasures | undefined
}

/** Where none can be ordered: a check of a file, a test. */
export const noMeasures: Measures = { isEmpty: true, of: () => undefined }
