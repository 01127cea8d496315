/**
 * How MariaDB and MySQL are spoken to, with the library mysql2, which is loaded when a configuration
 * needs it.
 *
 * Values are bound by the server, not put into the text. They come as SQLite would give them: whole
 * numbers and floating ones as numbers, all else, decimals and times too, as text. A statement has
 * 1.8 s (in MySQL this holds for SELECT) and waits 1 s for a table in use. A file of ours is never
 * sent, even if the server asks.
 */

import { existsSync, readFileSync } from 'node:fs'
import { connect as connectSocket, type Socket } from 'node:net'
import type { Connection, SslOptions } from 'mysql2'
import type { SqlRow, SqlValue } from '../policy/ports.ts'
import {
  type Answer,
  type Driver,
  type Link,
  type ServerAddress,
  STATEMENT_MILLISECONDS,
  type Tls,
} from './sql-server.ts'

/** The server's cache of prepared statements has room for 16,382 in all. */
const MOST_STATEMENTS = 100

/** What ends the connection: shutdown in progress, normal shutdown, connection killed. */
const GOODBYES = new Set([1053, 1079, 1927])

/** In the bundle, a CommonJS package has nothing but its default. */
const load = async () => (await import('mysql2')).default

export const mysqlDriver: Driver = {
  dialect: 'mysql',
  title: 'MySQL',
  load,
  async open(address, signal, lost) {
    const { createConnection } = await load()
    const { host, user, password, database, tls } = address
    const socket = openSocket(address)
    const giveUp = (): void => void socket.destroy(new Error('given up'))
    signal.addEventListener('abort', giveUp)
    try {
      signal.throwIfAborted()
      const connection = createConnection({
        stream: () => socket,
        host,
        user,
        password,
        ...(database ? { database } : {}),
        ...(tls ? { ssl: tlsOptions(tls) } : {}),
        charset: 'utf8mb4',
        // IGNORE_SPACE would make the names of functions reserved words.
        flags: ['-LOCAL_FILES', '-IGNORE_SPACE'],
        rowsAsArray: true,
        supportBigNumbers: true,
        dateStrings: true,
        jsonStrings: true,
        maxPreparedStatements: MOST_STATEMENTS,
        // Without code made from the names of columns.
        disableEval: true,
        // The socket has its own, for the whole way to the first statement.
        connectTimeout: 0,
      })
      // Listened to from the beginning: an error nobody listens to would end the daemon.
      return await new Promise<Link>((resolve, reject) => {
        const fail = (error: unknown): void => {
          reject(error)
          lost(error)
        }
        connection.on('error', fail)
        socket.once('close', () => fail(new Error('the server closed the connection')))
        const link = linkOf(connection, socket, lost)
        connection.once('connect', () => link.run(SETTINGS, [], 0).then(() => resolve(link), fail))
      })
    } catch (error) {
      socket.destroy()
      throw error
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  },
}

/** Each server reads what is marked as its own. */
const SETTINGS =
  `SET /*M!100101 max_statement_time = ${STATEMENT_MILLISECONDS / 1000}, */ ` +
  `/*!50708 max_execution_time = ${STATEMENT_MILLISECONDS}, */ ` +
  'lock_wait_timeout = 1, autocommit = 1'

function openSocket({ host, port, socket }: ServerAddress): Socket {
  // "localhost" is a socket to MySQL; where there is none, the name is meant.
  const path =
    socket !== undefined && (host !== 'localhost' || existsSync(socket)) ? socket : undefined
  const opened = path === undefined ? connectSocket({ host, port }) : connectSocket(path)
  return opened.setNoDelay(true).setKeepAlive(true, 30_000)
}

function tlsOptions({ checks, authority }: Tls): SslOptions {
  return {
    rejectUnauthorized: checks !== 'nothing',
    verifyIdentity: checks === 'name',
    ...(authority ? { ca: readFileSync(authority) } : {}),
  }
}

function linkOf(connection: Connection, socket: Socket, lost: (error: unknown) => void): Link {
  return {
    run: (sql, values, most) =>
      new Promise<Answer>((resolve, reject) => {
        // The server itself would pass over values that have no place.
        if (values.length > 0 && !sql.includes('?')) throw new Error('there is no ? for the value')
        const rows: SqlRow[] = []
        let changed = 0
        const query =
          values.length > 0 ? connection.execute(sql, [...values]) : connection.query(sql)
        // Without a callback rows come one by one, and those beyond `most` are not kept.
        query.on('result', (result: unknown) => {
          if (!Array.isArray(result)) changed += changedBy(result)
          else if (rows.length < most) rows.push(result.map(asSqlValue))
        })
        query.on('error', error => {
          if (error.fatal || GOODBYES.has(error.errno ?? 0)) lost(error)
          reject(error)
        })
        query.on('end', () => resolve({ rows, changed }))
      }),
    end() {
      connection.end()
      // A server that does not answer the goodbye is not waited for.
      setTimeout(() => socket.destroy(), 1000).unref()
      socket.unref()
    },
    destroy: () => void socket.destroy(),
  }
}

function changedBy(result: unknown): number {
  return typeof result === 'object' && result !== null && 'affectedRows' in result
    ? Number(result.affectedRows)
    : 0
}

function asSqlValue(value: unknown): SqlValue {
  return typeof value === 'string' || typeof value === 'number' || value === null
    ? value
    : String(value)
}
