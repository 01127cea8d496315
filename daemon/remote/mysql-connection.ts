/**
 * The driver for MariaDB and MySQL, with the library mysql2, which is loaded when a configuration needs
 * it.
 *
 * Values are bound by the server, not put into the text. Results come as SQLite would return them:
 * integers and floating-point numbers as numbers, everything else, decimals and times included, as text.
 * A statement may take 1.8 s (in MySQL this holds for SELECT) and waits 1 s for a locked table. No local
 * file is ever sent, even if the server requests it.
 */

import { existsSync, readFileSync } from 'node:fs'
import { connect as connectSocket, type Socket } from 'node:net'
import type { Connection, SslOptions } from 'mysql2'
import { KEEP_ALIVE_MILLISECONDS } from '../net/server-access.ts'
import type { SqlRow, SqlValue } from '../policy/ports/sql.ts'
import {
  type Answer,
  type Driver,
  type Link,
  NotDone,
  type ServerAddress,
  STATEMENT_MILLISECONDS,
  type Tls,
} from './sql-driver.ts'

/** Per connection; the server allows 16,382 prepared statements in total. */
const MOST_STATEMENTS = 100

/**
 * What ends the connection: shutdown in progress, normal shutdown, connection killed, closed because it
 * was idle.
 */
const GOODBYES = new Set([1053, 1079, 1927, 4031])
/** The server only reads (an option, a transaction, a mode of it), or is not part of its Galera cluster. */
const ELSEWHERE = new Set([1290, 1792, 1836, 1047])

/** In the bundle, a CommonJS package has only a default export. */
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
        // No code is generated from column names.
        disableEval: true,
        // The pool limits the whole way to the first statement.
        connectTimeout: 0,
      })
      // From the beginning: an error event without a listener would end the daemon.
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

/** Each kind of server executes only the comments marked for it. */
const SETTINGS =
  `SET /*M!100101 max_statement_time = ${STATEMENT_MILLISECONDS / 1000}, */ ` +
  `/*!50708 max_execution_time = ${STATEMENT_MILLISECONDS}, */ ` +
  'lock_wait_timeout = 1, autocommit = 1'

function openSocket({ host, port, socket }: ServerAddress): Socket {
  // To MySQL, "localhost" means its socket; where there is none, the host name is used.
  const path =
    socket !== undefined && (host !== 'localhost' || existsSync(socket)) ? socket : undefined
  const opened = path === undefined ? connectSocket({ host, port }) : connectSocket(path)
  return opened.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MILLISECONDS)
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
        // The server would ignore values without a placeholder.
        if (values.length > 0 && !sql.includes('?')) throw new Error('there is no ? for the value')
        const rows: SqlRow[] = []
        let changed = 0
        const query =
          values.length > 0 ? connection.execute(sql, [...values]) : connection.query(sql)
        // Without a callback rows arrive one by one, and those beyond `most` are dropped.
        query.on('result', (result: unknown) => {
          if (!Array.isArray(result)) changed += changedBy(result)
          else if (rows.length < most) rows.push(result.map(asSqlValue))
        })
        query.on('error', error => {
          const number = error.errno ?? 0
          if (error.fatal || GOODBYES.has(number)) lost(error)
          // After a failover the same name or address leads to another server.
          else if (ELSEWHERE.has(number) && /read.only|wsrep/i.test(error.message)) {
            lost(new NotDone(error.message))
          }
          reject(error)
        })
        query.on('end', () => resolve({ rows, changed }))
      }),
    end() {
      connection.end()
      // Does not wait for a server that does not close its end.
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
