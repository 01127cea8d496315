/**
 * How PostgreSQL is spoken to, with the library pg, which is loaded when a configuration needs it.
 *
 * Values come as SQLite would give them: whole numbers and floating ones as numbers, true and false
 * as 1 and 0, all else as PostgreSQL writes it. A statement has 1.8 s. Without `sslmode` the
 * connection is encrypted where the server can, as with PostgreSQL's own library.
 */

import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Client, CustomTypesConfig, Query } from 'pg'
import type { SqlValue } from '../policy/ports.ts'
import { numberPlaceholders } from './placeholders.ts'
import {
  type Answer,
  type Driver,
  type Link,
  type ServerAddress,
  STATEMENT_MILLISECONDS,
  type Tls,
} from './sql-server.ts'

/** Object identifiers of types, as in pg_type.dat. */
const BOOL = 16
const BYTEA = 17
const NUMBERS = new Set([20, 21, 23, 26, 700, 701])

/** Statements whose placeholders are numbered already. */
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
    stream: () => socket,
  })
  let isOpen = false
  const loseOpen = (error: unknown): void => {
    if (isOpen) lost(error)
  }
  // Listened to from the beginning: an error nobody listens to would end the daemon.
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
        // With a listener for them, rows beyond `most` are not kept.
        query.on('row', row => {
          if (rows.length < most) rows.push(row)
        })
        query.on('error', error => {
          // It says goodbye: restarted, or the administrator ended this connection.
          if ('severity' in error && error.severity === 'FATAL') lost(error)
          reject(error)
        })
        query.on('end', ({ rowCount }) => resolve({ rows, changed: rowCount ?? 0 }))
        client.query(query)
      }),
    end() {
      client.end().catch(() => undefined)
      // A server that does not answer the goodbye is not waited for.
      setTimeout(() => socket.destroy(), 1000).unref()
      socket.unref()
    },
    destroy: () => void socket.destroy(),
  }
}

const types: CustomTypesConfig = {
  // pg declares an overload for each type; ours is one function for all.
  getTypeParser: ((type: number) =>
    (text: string): SqlValue => {
      if (NUMBERS.has(type)) return asNumber(text)
      if (type === BOOL) return text === 't' ? 1 : 0
      if (type === BYTEA) return Buffer.from(text.slice(2), 'hex').toString()
      return text
    }) as CustomTypesConfig['getTypeParser'],
}

/** Whole numbers beyond 2^53 stay texts. */
function asNumber(text: string): SqlValue {
  const number = Number(text)
  return Number.isSafeInteger(number) || /[.e]/.test(text) ? number : text
}
