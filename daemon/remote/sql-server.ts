/**
 * An SQL connection to a server, for the plugins that name one in `db`: a pool of a few links, opened
 * when they are needed. What the servers have in common; their drivers have files of their own.
 *
 * Nothing waits for long: a request that finds no free link within 1.6 s fails, and so does a statement
 * without an answer after 2 s; a dead server costs one request less than its deadline of 4 s, and is then
 * left alone for a while (system/patience.ts). A link that is lost is replaced. What ran on it fails,
 * because nobody knows whether it was done, except for a query on a link that had worked before: that is
 * sent again, once. No message contains the password.
 */

import type { SqlValue } from '../policy/ports/sql.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { LookupError, withoutSecret } from '../system/errors.ts'
import { refusal } from '../system/refused.ts'
import { type Answer, type Driver, NotDone, type ServerAddress } from './sql-driver.ts'
import { FoundDead, SqlPool } from './sql-pool.ts'
import type { ClosableSqlConnection } from './sqlite-connection.ts'

/** Opens nothing yet. */
export function serverConnection(
  driver: Driver,
  address: ServerAddress,
  clock: Clock = systemClock,
): ClosableSqlConnection {
  const where = address.socket ?? `${address.host}:${address.port}`
  const title = `${driver.title} at ${where}`
  const reasonOf = (error: unknown): string => withoutSecret(firstReason(error), address.password)
  const pool = new SqlPool({
    clock,
    open: (signal, lost) => driver.open(address, signal, lost),
    reasonOf,
  })

  // Its code is large; the first mail need not wait for it. Whether it can be loaded is seen later.
  driver.load().catch(() => undefined)

  /** @param isAgain whether to send it again after this error */
  async function run(
    sql: string,
    values: readonly SqlValue[],
    most: number,
    isAgain: (error: unknown) => boolean,
  ): Promise<Answer> {
    for (let isFirst = true; ; isFirst = false) {
      const refused = await pool.admit()
      if (refused) throw refusal(title, refused)
      try {
        return await pool.run(link => link.run(sql, values, most))
      } catch (error) {
        if (!isFirst || !isAgain(error)) throw new LookupError(`${title}: ${reasonOf(error)}`)
      }
    }
  }

  return {
    dialect: driver.dialect,

    async query(sql, values, most) {
      const isAgain = (error: unknown): boolean =>
        error instanceof NotDone || error instanceof FoundDead
      return (await run(sql, values, most, isAgain)).rows
    },

    async execute(sql, values) {
      return (await run(sql, values, 0, error => error instanceof NotDone)).changed
    },

    close: () => pool.close(),
  }
}

/** The first reason if several addresses of one name were tried. */
function firstReason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return firstReason(error.errors[0])
  }
  if (!(error instanceof Error)) return String(error)
  return error.message || error.name
}
