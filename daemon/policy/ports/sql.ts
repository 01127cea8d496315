/** One SQL database, whichever it is. */

import type { MaybePromise } from '../../system/maybe-promise.ts'

export type SqlValue = string | number | null
export type SqlRow = readonly SqlValue[]

/**
 * Every method throws, or rejects with, LookupError if the database does not answer or refuses.
 * SQLite answers at once, servers later.
 */
export interface SqlConnection {
  readonly dialect: 'sqlite' | 'mysql' | 'postgres'
  /** Rows of a query, at most `most`; values are bound in order to `?`. */
  query(sql: string, values: readonly SqlValue[], most: number): MaybePromise<readonly SqlRow[]>
  /** Runs a statement; the number of rows it changed. */
  execute(sql: string, values: readonly SqlValue[]): MaybePromise<number>
}
