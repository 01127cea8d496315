/**
 * What policy needs from technology, and nothing more. Each is an interface that rooms outside
 * implement; the comments are the contract.
 */

/** Where a method says so, an answer that is at hand comes at once, without a promise. */
export type MaybePromise<T> = T | Promise<T>

/** Countries of client addresses. */
export interface CountryDatabase {
  /**
   * The code the database has for the address (upper case; pseudo codes such as EU or AP as they
   * are), or undefined if it has none or the text is no address. Throws LookupError if the
   * database cannot be read.
   */
  country(address: string): string | undefined
}

export type SqlValue = string | number | null
export type SqlRow = readonly SqlValue[]

/**
 * One SQL database. Every method throws, or rejects with, LookupError if the database does not
 * answer or refuses. SQLite answers at once, servers later.
 */
export interface SqlConnection {
  readonly dialect: 'sqlite' | 'mysql' | 'postgres'
  /** Rows of a query, at most `most`; values are bound in order to `?`. */
  query(sql: string, values: readonly SqlValue[], most: number): MaybePromise<readonly SqlRow[]>
  /** Runs a statement; the number of rows it changed. */
  execute(sql: string, values: readonly SqlValue[]): MaybePromise<number>
}
