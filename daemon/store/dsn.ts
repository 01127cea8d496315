/**
 * Data source names as files of the original write them: Perl's `dbi:SQLite:dbname=PATH`.
 */

import { LookupError } from '../policy/errors.ts'
import { type ClosableSqlConnection, sqliteConnection } from './sqlite-connection.ts'

export interface DataSource {
  readonly dsn: string
  readonly user: string
  readonly password: string
}

/** Opens nothing yet. Throws LookupError if the name cannot be understood. */
export function sqlConnection({ dsn }: DataSource): ClosableSqlConnection {
  const parts = /^dbi:(\w+)(?:\([^)]*\))?:(.*)$/is.exec(dsn)
  if (!parts) throw new LookupError(`expected dbi:SQLite:dbname=/PATH, found "${dsn}"`)
  const [, driver = '', rest = ''] = parts
  if (driver.toLowerCase() !== 'sqlite') {
    throw new LookupError(`databases of kind "${driver}" are not in this version; expected SQLite`)
  }
  const named = /(?:^|;)\s*(?:dbname|database|db)\s*=\s*([^;]*)/i.exec(rest)
  const path = named?.[1] ?? rest
  if (path === '') throw new LookupError(`the data source "${dsn}" names no file`)
  return sqliteConnection(path)
}
