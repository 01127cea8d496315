/**
 * An SQL connection to a SQLite file, for the plugins that name one in `db`.
 *
 * The file is opened when it is first needed and again after an error, so a database that is created
 * later is found. The settings of an existing file are not changed. The wait for a locked file is half a
 * second: SQLite blocks the event loop, and a longer wait would delay all mail.
 */

import type { SqlConnection, SqlRow, SqlValue } from '../policy/ports/sql.ts'
import { asLookupError, openSqlite, type SqliteDatabase } from '../system/sqlite.ts'

const LOCK_MILLISECONDS = 500
const MOST_STATEMENTS = 200

export interface ClosableSqlConnection extends SqlConnection {
  close(): void
}

export function sqliteConnection(path: string): ClosableSqlConnection {
  let db: SqliteDatabase | undefined
  const statements = new Map<string, ReturnType<SqliteDatabase['prepare']>>()

  function prepare(sql: string): ReturnType<SqliteDatabase['prepare']> {
    db ??= openSqlite(path, LOCK_MILLISECONDS)
    let statement = statements.get(sql)
    if (!statement) {
      statement = db.prepare(sql)
      if (statements.size >= MOST_STATEMENTS) statements.clear()
      statements.set(sql, statement)
    }
    return statement
  }

  function guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw asLookupError(path, error)
    }
  }

  return {
    dialect: 'sqlite',
    query(sql, values, most) {
      return guarded(() => {
        const rows: SqlRow[] = []
        const statement = prepare(sql)
        if (!statement.reader) {
          statement.run([...values])
          return rows
        }
        for (const row of statement.raw(true).iterate([...values])) {
          // Raw rows are arrays of what SQLite stores; blobs and big integers become text.
          rows.push((row as unknown[]).map(asSqlValue))
          if (rows.length >= most) break
        }
        return rows
      })
    },
    execute: (sql, values) => guarded(() => prepare(sql).run([...values]).changes),
    close() {
      statements.clear()
      db?.close()
      db = undefined
    },
  }
}

function asSqlValue(value: unknown): SqlValue {
  return typeof value === 'string' || typeof value === 'number' || value === null
    ? value
    : String(value)
}
