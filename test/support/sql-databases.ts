/**
 * The databases a configuration can name, each real: a SQLite file, PostgreSQL, MariaDB.
 *
 *   for (const name of SQL_DATABASES) t.test(name, { skip: sqlMissing(name) }, async t => {
 *     const database = await startSqlDatabase(t, name)
 */

import { join } from 'node:path'
import type { Test } from 'tap'
import { LookupError } from '../../daemon/system/errors.ts'
import type { TestServer } from '../../scripts/servers/server.ts'
import { SQL_LOGIN } from '../../scripts/servers/sql-login.ts'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'

export const SQL_SERVERS = ['postgresql', 'mariadb'] as const
export const SQL_DATABASES = ['sqlite', ...SQL_SERVERS] as const

export type SqlServerName = (typeof SQL_SERVERS)[number]
export type SqlDatabaseName = (typeof SQL_DATABASES)[number]

export interface SqlDatabase {
  readonly dsn: string
  readonly user: string
  readonly password: string
  /** As it stands in a configuration. */
  readonly block: string
}

export function sqlMissing(name: SqlDatabaseName): string | false {
  return name === 'sqlite' ? false : serverMissing(name)
}

export function sqlDsn(name: SqlServerName, { port }: TestServer): string {
  const { database } = SQL_LOGIN
  return name === 'postgresql'
    ? `dbi:Pg:dbname=${database};host=127.0.0.1;port=${port}`
    : `dbi:mysql:database=${database};host=127.0.0.1;port=${port}`
}

/** With a server that the test may stop and start. */
export async function startSqlServer(
  t: Test,
  name: SqlServerName,
  args: readonly string[] = [],
): Promise<SqlDatabase & { readonly server: TestServer }> {
  const server = await startServer(name, { args })
  t.teardown(() => server.remove())
  const { user, password } = SQL_LOGIN
  return { ...described(sqlDsn(name, server), user, password), server }
}

export function startSqlDatabase(t: Test, name: SqlDatabaseName): Promise<SqlDatabase> {
  if (name !== 'sqlite') return startSqlServer(t, name)
  const file = join(t.testdir(), 'test.sqlite')
  return Promise.resolve(described(`dbi:SQLite:dbname=${file}`, '', ''))
}

function described(dsn: string, user: string, password: string): SqlDatabase {
  const login = user === '' ? '' : `user = ${user}\npassword = ${password}\n`
  const block = `<Connection db>\nmodule = Sql\ndsn = "${dsn}"\n${login}</Connection>`
  return { dsn, user, password, block }
}

/** The message of the LookupError that the work ends with. */
export async function failure(work: () => unknown): Promise<{ message: string }> {
  try {
    await work()
  } catch (error) {
    if (error instanceof LookupError) return { message: error.message }
    throw error
  }
  throw new Error('it did not fail')
}
