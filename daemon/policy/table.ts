/** A lookup table of Postfix (DATABASE_README), or another file of keys and values. */

import type { MaybePromise } from './ports.ts'

export interface Table {
  /** The value of exactly this key; undefined if it has none. Throws or rejects with LookupError if the table cannot be read. */
  get(key: string): MaybePromise<string | undefined>
}
