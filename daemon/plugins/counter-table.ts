/**
 * The tables of Accounting and Quota: one per field, PREFIX + FIELD, as the original makes them.
 *
 * Existing tables are used as they are, also those the original made in SQLite without a unique
 * key, so a counter is updated first and inserted only if there was nothing to update. Tables of
 * our own making have the key.
 */

import { LookupError } from '../policy/errors.ts'
import type { MaybePromise } from '../policy/plugin.ts'
import type { SqlConnection, SqlValue } from '../policy/ports.ts'

export const METRICS = ['count', 'count_rcpt', 'size', 'size_rcpt'] as const
export type Metric = (typeof METRICS)[number]

export interface Amounts {
  readonly recipients: number
  readonly bytes: number
}

export interface CounterTable {
  /** Makes the table if it is missing. */
  ready(): MaybePromise<void>
  add(key: string, time: string, amounts: Amounts): MaybePromise<void>
  /** The counter; 0 if there is none. */
  read(key: string, time: string, metric: Metric): MaybePromise<number>
}

/** Is this a name that can be part of a table's name? Everything else could be SQL. */
export function isTableWord(name: string): boolean {
  return /^[A-Za-z0-9_]{1,64}$/.test(name)
}

/** The table is looked for, and made if it is missing, when it is first used. */
export function counterTable(
  sql: SqlConnection,
  prefix: string,
  field: string,
  mysqlEngine: string,
): CounterTable {
  const table = prefix + field
  const key = sql.dialect === 'postgres' ? '"key"' : '`key`'
  const count = sql.dialect === 'postgres' ? '"count"' : '`count`'
  const time = sql.dialect === 'postgres' ? '"time"' : '`time`'
  let isReady = false

  function ready(): MaybePromise<void> {
    if (isReady) return
    const done = (): void => {
      isReady = true
    }
    const made = sql.execute(definition(sql.dialect, table, mysqlEngine), [])
    return made instanceof Promise ? made.then(done) : done()
  }

  function update(at: string, of: string, { recipients, bytes }: Amounts): MaybePromise<void> {
    const amounts: SqlValue[] = [1, recipients, bytes, bytes * recipients]
    const changed = sql.execute(
      `UPDATE ${table} SET ${count} = ${count} + ?, count_rcpt = count_rcpt + ?, size = size + ?,
       size_rcpt = size_rcpt + ? WHERE ${key} = ? AND ${time} = ?`,
      [...amounts, of, at],
    )
    const insert = (rows: number): MaybePromise<void> => {
      if (rows > 0) return
      const inserted = sql.execute(
        `INSERT INTO ${table} (${key}, ${time}, ${count}, count_rcpt, size, size_rcpt)
         VALUES (?, ?, ?, ?, ?, ?)`,
        [of, at, ...amounts],
      )
      if (inserted instanceof Promise) return inserted.then(() => undefined)
    }
    return changed instanceof Promise ? changed.then(insert) : insert(changed)
  }

  function select(of: string, at: string, metric: Metric): MaybePromise<number> {
    const column = metric === 'count' ? count : metric
    const rows = sql.query(
      `SELECT ${column} FROM ${table} WHERE ${key} = ? AND ${time} = ?`,
      [of, at],
      1,
    )
    const value = (found: readonly (readonly SqlValue[])[]): number => {
      const number = Number(found[0]?.[0] ?? 0)
      return Number.isInteger(number) ? number : 0
    }
    return rows instanceof Promise ? rows.then(value) : value(rows)
  }

  return {
    ready,
    add: (of, at, amounts) => afterwards(ready(), () => update(at, of, amounts)),
    read: (of, at, metric) => afterwards(ready(), () => select(of, at, metric)),
  }
}

function afterwards<T>(first: MaybePromise<void>, then: () => MaybePromise<T>): MaybePromise<T> {
  return first instanceof Promise ? first.then(then) : then()
}

function definition(dialect: SqlConnection['dialect'], table: string, engine: string): string {
  if (!isTableWord(table)) throw new LookupError(`"${table}" cannot be the name of a table`)
  const numbers = (type: string): string =>
    ['count_rcpt', 'size', 'size_rcpt'].map(name => `${name} ${type} NOT NULL`).join(', ')
  switch (dialect) {
    case 'sqlite':
      return (
        `CREATE TABLE IF NOT EXISTS ${table} (id INTEGER PRIMARY KEY AUTOINCREMENT, ` +
        '`key` VARCHAR(255) NOT NULL, `time` VARCHAR(255) NOT NULL, ' +
        `\`count\` INT UNSIGNED NOT NULL, ${numbers('INT UNSIGNED')}, UNIQUE (\`key\`, \`time\`))`
      )
    case 'mysql':
      return (
        `CREATE TABLE IF NOT EXISTS ${table} (id INT AUTO_INCREMENT PRIMARY KEY, ` +
        '`key` VARCHAR(255) NOT NULL, `time` VARCHAR(255) NOT NULL, ' +
        `\`count\` BIGINT UNSIGNED NOT NULL, ${numbers('BIGINT UNSIGNED')}, ` +
        'UNIQUE KEY time_key (`key`, `time`), KEY (`key`), KEY (`time`)) ' +
        `ENGINE=${isTableWord(engine) ? engine : 'InnoDB'} DEFAULT CHARSET=latin1`
      )
    case 'postgres':
      return (
        `CREATE TABLE IF NOT EXISTS ${table} (id SERIAL PRIMARY KEY, "key" VARCHAR(255) NOT NULL, ` +
        `"time" VARCHAR(255) NOT NULL, "count" BIGINT NOT NULL, ${numbers('BIGINT')}, ` +
        'UNIQUE ("key", "time"))'
      )
  }
}
