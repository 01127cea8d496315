/** A lookup table of Postfix (DATABASE_README), or another file of keys and values. */

import type { MaybePromise } from '../../system/maybe-promise.ts'

export interface Table {
  /**
   * The value of exactly this key; undefined if it has none. Upper and lower case are the same in
   * a table of Postfix. Throws or rejects with LookupError if the table cannot be read.
   */
  get(key: string): MaybePromise<string | undefined>
  /** Why it cannot be read just now; undefined if it can, or if only asking would tell. */
  problem(): string | undefined
}

/** A local file, which always answers at once. */
export interface FileTable extends Table {
  get(key: string): string | undefined
}
