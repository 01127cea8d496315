/** What a driver for a kind of SQL server offers: connections that run one statement at a time. */

import type { SqlRow, SqlValue } from '../policy/ports/sql.ts'

export interface Tls {
  /** False: without it where the server does not offer it. */
  readonly isRequired: boolean
  readonly checks: 'nothing' | 'certificate' | 'name'
  /** File with the certificates of trusted authorities; undefined: the system's. */
  readonly authority: string | undefined
}

export interface ServerAddress {
  readonly host: string
  readonly port: number
  /** Instead of host and port: the path of a socket; for PostgreSQL, its folder. */
  readonly socket: string | undefined
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls: Tls | undefined
}

export interface Answer {
  /** At most as many as were asked for. */
  readonly rows: readonly SqlRow[]
  readonly changed: number
}

/** One connection to a server. */
export interface Link {
  run(sql: string, values: readonly SqlValue[], most: number): Promise<Answer>
  /** Ends it in good order. */
  end(): void
  /** Ends it at once. */
  destroy(): void
}

export interface Driver {
  readonly dialect: 'mysql' | 'postgres'
  /** As messages call it. */
  readonly title: string
  /** Reads the library's code. */
  load(): Promise<unknown>
  /**
   * Resolves when statements can be run; gives up when the signal is aborted. `lost` is called when
   * the link turns out to be dead, or of no more use, later; a statement on it then need not settle.
   */
  open(address: ServerAddress, signal: AbortSignal, lost: (error: unknown) => void): Promise<Link>
}

/** The statement was certainly not executed; another link may be able to. */
export class NotDone extends Error {}

/** What the server is told to spend on a statement at most. */
export const STATEMENT_MILLISECONDS = 1800
