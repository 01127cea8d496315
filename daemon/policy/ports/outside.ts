/** Everything outside the daemon that a plugin may use. Each port has its own file. */

import type { CountryDatabase } from './countries.ts'
import type { Directory } from './directory.ts'
import type { Resolver } from './dns.ts'
import type { KeyValueStore } from './key-value.ts'
import type { HttpPost, Jailer, PolicyService, RecipientProbe } from './peers.ts'
import type { SpfChecker, SpfLimits } from './spf.ts'
import type { SqlConnection } from './sql.ts'
import type { FileTable, Table } from './table.ts'

/** What is reached by its <Connection NAME>; undefined if the file has none of that kind. */
export interface Connections {
  sql(name: string): SqlConnection | undefined
  /** Memcached or Redis. */
  keyValue(name: string): KeyValueStore | undefined
  directory(name: string): Directory | undefined
}

/** What needs no connection block. */
export interface Outside {
  /** The built-in or configured GeoIP database of the default policy. */
  readonly countries: CountryDatabase
  /** A database of the plugin's own. */
  openCountries(path: string): CountryDatabase
  /** The text of a file that the plugin needs at load, with LF line ends. Throws with a message for the operator. */
  readFile(path: string): string
  readonly dns: Resolver
  spf(limits: SpfLimits): SpfChecker
  /** `TYPE:NAME` as Postfix writes it; a path alone is a Berkeley DB file. Opens nothing yet. */
  openTable(name: string): Table
  /** A Berkeley DB file whose keys and values are plain, without Postfix's final NUL. */
  openPlainTable(path: string): FileTable
  /** `HOST:PORT`, or the path of a socket. Throws LookupError if it is neither. */
  policyService(
    endpoint: { readonly host: string } | { readonly socket: string },
    keepalive: boolean,
  ): PolicyService
  jailer(socket: string): Jailer
  readonly httpPost: HttpPost
  readonly probeRecipient: RecipientProbe
}
