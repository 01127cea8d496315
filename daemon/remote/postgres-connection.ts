/**
 * The driver for PostgreSQL, with the library pg, which is loaded when a configuration needs it.
 *
 * Results come as SQLite would return them: integers and floating-point numbers as numbers, true and
 * false as 1 and 0, everything else as PostgreSQL writes it. A statement may take 1.8 s. Without
 * `sslmode` the connection is encrypted if the server supports it, as with PostgreSQL's own library.
 */

import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Client, CustomTypesConfig, Query } from 'pg'
import { KEEP_ALIVE_MILLISECONDS } from '../net/server-access.ts'
import type { SqlValue } from '../policy/ports/sql.ts'
import { numberPlaceholders } from './placeholders.ts'
import {
  type Answer,
  type Driver,
  type Link,
  NotDone,
  type ServerAddress,
  STATEMENT_MILLISECONDS,
  type Tls,
} from './sql-driver.ts'

/** Object identifiers of types, as in pg_type.dat. */
const BOOL = 16
const BYTEA = 17
const NUMBERS = new Set([20, 21, 23, 26, 700, 701])

/** SQLSTATE of a change on a server that only reads, a standby for example. */
const READ_ONLY = '25006'

/** Statements whose numbered form is cached. */
const MOST_STATEMENTS = 200

const load = () => import('pg')

export const postgresDriver: Driver = {
  dialect: 'postgres',
  title: 'PostgreSQL',
  load,
  async open(address, signal, lost) {
    const pg = await load()
    const { tls } = address
    try {
      return await connect(pg, address, tls, signal, lost)
    } catch (error) {
      const isPlain = error instanceof Error && /does not support SSL/.test(error.message)
      if (!isPlain || !tls || tls.isRequired) throw error
      return connect(pg, address, undefined, signal, lost)
    }
  },
}

async function connect(
  pg: typeof import('pg'),
  { host, port, user, password, database, socket: folder }: ServerAddress,
  tls: Tls | undefined,
  signal: AbortSignal,
  lost: (error: unknown) => void,
): Promise<Link> {
  const socket = new Socket()
  const client = new pg.Client({
    host: folder ?? host,
    port,
    user,
    password,
    database,
    application_name: 'mtpolicyd',
    ssl: tls ? tlsOptions(tls) : false,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MILLISECONDS,
    stream: () => socket,
  })
  let isOpen = false
  const loseOpen = (error: unknown): void => {
    if (isOpen) lost(error)
  }
  // From the beginning: an error event without a listener would end the daemon.
  client.on('error', loseOpen)
  client.on('end', () => loseOpen(new Error('the server closed the connection')))
  const giveUp = (): void => void socket.destroy(new Error('given up'))
  signal.addEventListener('abort', giveUp)
  try {
    signal.throwIfAborted()
    await client.connect()
    isOpen = true
    const link = linkOf(pg.Query, client, socket, lost)
    await link.run(`SET statement_timeout = ${STATEMENT_MILLISECONDS}`, [], 0)
    return link
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

function tlsOptions({ checks, authority }: Tls): ConnectionOptions {
  return {
    rejectUnauthorized: checks !== 'nothing',
    ...(authority ? { ca: readFileSync(authority) } : {}),
    ...(checks === 'certificate' ? { checkServerIdentity: () => undefined } : {}),
  }
}

function linkOf(
  PgQuery: typeof Query,
  client: Client,
  socket: Socket,
  lost: (error: unknown) => void,
): Link {
  const numbered = new Map<string, string>()

  function textOf(sql: string): string {
    let text = numbered.get(sql)
    if (text === undefined) {
      if (numbered.size >= MOST_STATEMENTS) numbered.clear()
      text = numberPlaceholders(sql)
      numbered.set(sql, text)
    }
    return text
  }

  return {
    run: (sql, values, most) =>
      new Promise<Answer>((resolve, reject) => {
        const rows: SqlValue[][] = []
        const text = values.length > 0 ? textOf(sql) : sql
        const config = { text, values: [...values], rowMode: 'array', types }
        const query = new PgQuery<SqlValue[]>(config)
        // With a listener, rows are not collected; those beyond `most` are dropped.
        query.on('row', row => {
          if (rows.length < most) rows.push(row)
        })
        query.on('error', error => {
          // It is restarted, or the administrator has ended this connection.
          if ('severity' in error && error.severity === 'FATAL') lost(error)
          // After a failover the same name or address leads to another server.
          else if ('code' in error && error.code === READ_ONLY) lost(new NotDone(error.message))
          reject(error)
        })
        query.on('end', ({ rowCount }) => resolve({ rows, changed: rowCount ?? 0 }))
        client.query(query)
      }),
    end() {
      client.end().catch(() => undefined)
      // Does not wait for a server that does not close its end.
      setTimeout(() => socket.destroy(), 1000).unref()
      socket.unref()
    },
    destroy: () => void socket.destroy(),
  }
}

const types: CustomTypesConfig = {
  // pg declares an overload for each type; this is one function for all.
  getTypeParser: ((type: number) =>
    (text: string): SqlValue => {
      if (NUMBERS.has(type)) return asNumber(text)
      if (type === BOOL) return text === 't' ? 1 : 0
      if (type === BYTEA) return Buffer.from(text.slice(2), 'hex').toString()
      return text
    }) as CustomTypesConfig['getTypeParser'],
}

/** Integers beyond 2^53 stay text. */
function asNumber(text: string): SqlValue {
  const number = Number(text)
  return Number.isSafeInteger(number) || /[.e]/.test(text) ? number : text
}
