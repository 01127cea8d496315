/**
 * The tables of Accounting and Quota: one per field, PREFIX + FIELD, as mtpolicyd makes them.
 *
 * Existing tables are used unchanged, even those mtpolicyd made in SQLite without a unique key. A
 * counter is updated in one statement, and inserted only if there was nothing to update; if another
 * process inserts it at that moment, it is updated after all. So nothing is lost or counted twice,
 * whatever the number of parallel requests. Tables created here have the key.
 */

import type { MaybePromise } from '../../policy/plugin.ts'
import type { SqlConnection, SqlValue } from '../../policy/ports/sql.ts'
import { LookupError } from '../../system/errors.ts'

export const METRICS = ['count', 'count_rcpt', 'size', 'size_rcpt'] as const
export type Metric = (typeof METRICS)[number]

/** Width of the columns `key` and `time` in mtpolicyd's tables. Longer values are cut. */
const MOST_CHARACTERS = 255

export interface Amounts {
  readonly recipients: number
  readonly bytes: number
}

export interface CounterTable {
  /** Creates the table if it is missing. */
  ready(): MaybePromise<void>
  add(key: string, time: string, amounts: Amounts): MaybePromise<void>
  /** The counter; 0 if there is none. */
  read(key: string, time: string, metric: Metric): MaybePromise<number>
}

/** Whether this can be part of a table's name. Anything else could be SQL. */
export function isTableWord(name: string): boolean {
  return /^[A-Za-z0-9_]{1,64}$/.test(name)
}

/** The table is looked for, and created if missing, when it is first used. */
export function counterTable(
  sql: SqlConnection,
  prefix: string,
  field: string,
  mysqlEngine: string,
): CounterTable {
  const { dialect } = sql
  const name = prefix + field
  const columns = namesIn(dialect, name)
  const { table, key, time, count } = columns
  // In its strict mode MySQL refuses values that mtpolicyd's narrower columns cannot hold.
  const ignore = dialect === 'mysql' ? 'IGNORE ' : ''
  const unlessThere = dialect === 'postgres' ? ' ON CONFLICT DO NOTHING' : ''

  const statements = {
    find: `SELECT ${count} FROM ${table} WHERE 1 = 0`,
    make: definition(dialect, columns, mysqlEngine),
    update:
      `UPDATE ${ignore}${table} SET ${count} = ${count} + ?, count_rcpt = count_rcpt + ?, ` +
      `size = size + ?, size_rcpt = size_rcpt + ? WHERE ${key} = ? AND ${time} = ?`,
    insert:
      `INSERT ${dialect === 'sqlite' ? 'OR IGNORE ' : ignore}INTO ${table} ` +
      `(${count}, count_rcpt, size, size_rcpt, ${key}, ${time}) ` +
      `VALUES (?, ?, ?, ?, ?, ?)${unlessThere}`,
  }
  let isReady = false
  let making: Promise<void> | undefined

  function ready(): MaybePromise<void> {
    if (isReady) return
    if (making) return making
    if (!isTableWord(name)) throw new LookupError(`"${name}" cannot be the name of a table`)
    const find = (): MaybePromise<unknown> => sql.query(statements.find, [], 1)
    const found = attempt(
      () => sql.execute(statements.make, []),
      // A user limited to rows may not create tables; or another process is creating it right now.
      refused => attempt(find, () => raise(refused)),
    )
    if (!(found instanceof Promise)) {
      isReady = true
      return
    }
    making = found
      .then(() => {
        isReady = true
      })
      .finally(() => {
        making = undefined
      })
    return making
  }

  function record(of: string, at: string, { recipients, bytes }: Amounts): MaybePromise<void> {
    const values: SqlValue[] = [1, recipients, bytes, bytes * recipients, of, at]
    const update = (): MaybePromise<number> => sql.execute(statements.update, values)
    const insert = (): MaybePromise<number> => sql.execute(statements.insert, values)
    const unlessDone = (next: () => MaybePromise<number>) => (changed: number) =>
      changed > 0 ? changed : next()
    const inserted = after(update(), unlessDone(insert))
    return after(after(inserted, unlessDone(update)), changed => {
      if (changed === 0) throw new LookupError(`${name}: the database counted nothing`)
    })
  }

  function select(of: string, at: string, metric: Metric): MaybePromise<number> {
    const column = metric === 'count' ? count : metric
    const text = `SELECT ${column} FROM ${table} WHERE ${key} = ? AND ${time} = ?`
    return after(sql.query(text, [of, at], 1), rows => {
      const number = Number(rows[0]?.[0] ?? 0)
      return Number.isInteger(number) ? number : 0
    })
  }

  return {
    ready,
    add: (of, at, amounts) =>
      after(ready(), () => record(asKey(dialect, of), asKey(dialect, at), amounts)),
    read: (of, at, metric) =>
      after(ready(), () => select(asKey(dialect, of), asKey(dialect, at), metric)),
  }
}

function after<A, B>(first: MaybePromise<A>, next: (value: A) => MaybePromise<B>): MaybePromise<B> {
  return first instanceof Promise ? first.then(next) : next(first)
}

/** Runs `instead` if `first` fails because of the database. */
function attempt(
  first: () => MaybePromise<unknown>,
  instead: (error: LookupError) => MaybePromise<unknown>,
): MaybePromise<unknown> {
  const failed = (error: unknown): MaybePromise<unknown> =>
    error instanceof LookupError ? instead(error) : raise(error)
  try {
    const done = first()
    return done instanceof Promise ? done.catch(failed) : done
  } catch (error) {
    return failed(error)
  }
}

function raise(error: unknown): never {
  throw error
}

/**
 * The tables in MySQL are latin1. mtpolicyd wrote the bytes of UTF-8 into them unchanged, so each
 * byte became a character of Windows-1252, which MySQL calls latin1.
 */
function asKey(dialect: SqlConnection['dialect'], text: string): string {
  const key =
    dialect === 'mysql' && /[^\x20-\x7e]/.test(text)
      ? new TextDecoder('windows-1252').decode(Buffer.from(text))
      : text
  return key.length <= MOST_CHARACTERS ? key : [...key].slice(0, MOST_CHARACTERS).join('')
}

interface Names {
  readonly table: string
  readonly key: string
  readonly time: string
  readonly count: string
}

function namesIn(dialect: SqlConnection['dialect'], table: string): Names {
  // PostgreSQL folds unquoted names to lower case.
  const quoted = (name: string): string =>
    dialect === 'postgres' ? `"${name.toLowerCase()}"` : `\`${name}\``
  return {
    table: quoted(table),
    key: quoted('key'),
    time: quoted('time'),
    count: quoted('count'),
  }
}

function definition(
  dialect: SqlConnection['dialect'],
  { table, key, time, count }: Names,
  engine: string,
): string {
  const columns = (id: string, number: string): string =>
    `CREATE TABLE IF NOT EXISTS ${table} (id ${id}, ` +
    `${key} VARCHAR(${MOST_CHARACTERS}) NOT NULL, ${time} VARCHAR(${MOST_CHARACTERS}) NOT NULL, ` +
    [count, 'count_rcpt', 'size', 'size_rcpt'].map(name => `${name} ${number} NOT NULL`).join(', ')
  switch (dialect) {
    case 'sqlite':
      return `${columns('INTEGER PRIMARY KEY AUTOINCREMENT', 'INT UNSIGNED')}, UNIQUE (${key}, ${time}))`
    case 'mysql':
      return (
        `${columns('INT AUTO_INCREMENT PRIMARY KEY', 'BIGINT UNSIGNED')}, ` +
        `UNIQUE KEY time_key (${key}, ${time}), KEY (${key}), KEY (${time})) ` +
        `ENGINE=${isTableWord(engine) ? engine : 'InnoDB'} DEFAULT CHARSET=latin1`
      )
    case 'postgres':
      return `${columns('SERIAL PRIMARY KEY', 'BIGINT')}, UNIQUE (${key}, ${time}))`
  }
}
