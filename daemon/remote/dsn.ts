/**
 * Data source names, as files of mtpolicyd write them for Perl's DBI, and as URLs.
 *
 *   dbi:SQLite:dbname=/var/lib/mtpolicyd/mtpolicyd.sqlite
 *   dbi:Pg:dbname=mail;host=db.example.org;port=5432;sslmode=require
 *   dbi:mysql:database=mail;host=db.example.org;port=3306
 *   DBI:mysql:mail                 dbi:MariaDB:mail;mariadb_socket=/run/mysqld/mysqld.sock
 *   postgres://user:password@db.example.org/mail        mysql://db.example.org/mail
 *
 * Options files are refused; other attributes for the driver that are not known here are ignored. A
 * data source name may contain a password, so no message shows more of it than the kind of database.
 */

import { type Clock, systemClock } from '../system/clock.ts'
import { LookupError } from '../system/errors.ts'
import { mysqlDriver } from './mysql-connection.ts'
import { postgresDriver } from './postgres-connection.ts'
import type { Tls } from './sql-driver.ts'
import { serverConnection } from './sql-server.ts'
import { type ClosableSqlConnection, sqliteConnection } from './sqlite-connection.ts'

export interface DataSource {
  readonly dsn: string
  readonly user: string
  readonly password: string
}

const EXPECTED =
  'expected dbi:SQLite:dbname=/PATH, dbi:Pg:dbname=NAME;host=HOST, ' +
  'dbi:mysql:database=NAME;host=HOST, dbi:MariaDB:..., postgres://HOST/NAME or mysql://HOST/NAME'

/** The sockets of Debian's servers. */
const POSTGRES_SOCKETS = '/var/run/postgresql'
const MYSQL_SOCKET = '/run/mysqld/mysqld.sock'

/** Opens nothing yet. Throws LookupError if the name cannot be understood. */
export function sqlConnection(
  source: DataSource,
  clock: Clock = systemClock,
): ClosableSqlConnection {
  const { kind, parts } = split(source.dsn)
  const get = (...names: readonly string[]): string | undefined =>
    names.map(name => parts.get(name)).find(value => value !== undefined && value !== '')
  const login = {
    user: source.user || get('user', 'username') || '',
    password: source.password || get('password') || '',
  }
  const database = get('dbname', 'database', 'db') ?? ''
  refuseOptionsFiles(parts)

  switch (kind) {
    case 'sqlite':
      if (database === '')
        throw new LookupError('the data source has no file name; expected dbname=/PATH')
      return sqliteConnection(database)
    case 'pg': {
      const host = get('host', 'hostaddr') ?? POSTGRES_SOCKETS
      const isSocket = host.startsWith('/')
      const address = {
        ...login,
        database: database || login.user,
        host,
        port: portOf(get('port'), 5432),
        socket: isSocket ? host : undefined,
        tls: isSocket ? undefined : postgresTls(get('sslmode') ?? 'prefer', get('sslrootcert')),
      }
      return serverConnection(postgresDriver, address, clock)
    }
    case 'mysql': {
      // As in MySQL's own client, "localhost" is the socket.
      const host = get('host', 'hostname') ?? 'localhost'
      const socket = get('mysql_socket', 'mariadb_socket', 'socket')
      const address = {
        ...login,
        database,
        host,
        port: portOf(get('port'), 3306),
        socket: socket ?? (host === 'localhost' ? MYSQL_SOCKET : undefined),
        tls: mysqlTls(get),
      }
      return serverConnection(mysqlDriver, address, clock)
    }
  }
}

/**
 * Perl's drivers take host, user and password from such a file. Without it the login would be a
 * different one, and the failure would first show with a mail.
 */
const OPTIONS_FILES =
  /^(?:(?:mysql|mariadb)_read_default_(?:file|group)|service|servicefile|passfile)$/

function refuseOptionsFiles(parts: ReadonlyMap<string, string>): void {
  const name = [...parts.keys()].find(one => OPTIONS_FILES.test(one))
  if (name === undefined) return
  throw new LookupError(
    `the data source has "${name}", and options files are not read here: write host and database into "dsn", and "user" and "password" beside it`,
  )
}

interface Split {
  readonly kind: 'sqlite' | 'pg' | 'mysql'
  readonly parts: ReadonlyMap<string, string>
}

function split(dsn: string): Split {
  const url = /^(postgres|postgresql|mysql|mariadb):\/\//i.exec(dsn)
  if (url?.[1]) return { kind: url[1][0] === 'p' ? 'pg' : 'mysql', parts: urlParts(dsn) }
  const [, driver, rest = ''] = /^dbi:(\w+)(?:\([^)]*\))?:(.*)$/is.exec(dsn) ?? []
  switch (driver?.toLowerCase()) {
    case 'sqlite':
      return { kind: 'sqlite', parts: rest.includes('=') ? named(rest, /;/) : named(`db=${rest}`) }
    case 'pg':
      return { kind: 'pg', parts: named(rest, /[;\s]+/) }
    case 'mysql':
    case 'mariadb':
      return { kind: 'mysql', parts: mysqlParts(rest) }
    case undefined:
      throw new LookupError(`not a data source name; ${EXPECTED}`)
    default:
      throw new LookupError(`unknown kind of database "${driver}"; ${EXPECTED}`)
  }
}

/** `name=value` pairs; a value may be in single quotes. */
function named(text: string, separator = /$/): Map<string, string> {
  const parts = new Map<string, string>()
  for (const part of text.split(separator)) {
    const [, name, value] = /^\s*(\w+)\s*=\s*(.*?)\s*$/s.exec(part) ?? []
    if (name === undefined || value === undefined) continue
    parts.set(name.toLowerCase(), /^'.*'$/s.test(value) ? value.slice(1, -1) : value)
  }
  return parts
}

/** Values without a name are, in this order, database, host and port; `:` separates like `;`. */
function mysqlParts(text: string): Map<string, string> {
  const parts = new Map<string, string>()
  const nameless = ['database', 'host', 'port'].values()
  for (const [part] of text.matchAll(/(?:\[[^\]]*\]|[^;:])+/g)) {
    const [, name = nameless.next().value ?? '', value = ''] =
      /^(?:([^=]*)=)?(.*)$/s.exec(part) ?? []
    parts.set(name.trim().toLowerCase(), value.trim().replace(/^\[(.*)\]$/, '$1'))
  }
  return parts
}

function urlParts(text: string): Map<string, string> {
  try {
    const { searchParams, hostname, port, pathname, username, password } = new URL(text)
    return new Map([
      ['host', decodeURIComponent(hostname).replace(/^\[(.*)\]$/, '$1')],
      ['port', port],
      ['dbname', decodeURIComponent(pathname.slice(1))],
      ['user', decodeURIComponent(username)],
      ['password', decodeURIComponent(password)],
      ...searchParams,
    ])
  } catch {
    throw new LookupError(
      'the data source is not a valid URL; write %, @, / and : as %25, %40, %2F and %3A',
    )
  }
}

function portOf(text: string | undefined, usual: number): number {
  if (text === undefined) return usual
  const port = Number(text)
  if (/^\d+$/.test(text) && port > 0 && port < 65_536) return port
  throw new LookupError('the port of the data source is not valid; expected a number up to 65535')
}

/** The modes of libpq. */
function postgresTls(mode: string, authority: string | undefined): Tls | undefined {
  switch (mode) {
    case 'disable':
    case 'allow':
      return undefined
    case 'prefer':
      return { isRequired: false, checks: 'nothing', authority }
    case 'require':
      return { isRequired: true, checks: authority ? 'certificate' : 'nothing', authority }
    case 'verify-ca':
      return { isRequired: true, checks: 'certificate', authority }
    case 'verify-full':
      return { isRequired: true, checks: 'name', authority }
    default:
      throw new LookupError(
        'sslmode: expected one of: disable, allow, prefer, require, verify-ca, verify-full',
      )
  }
}

function mysqlTls(get: (...names: string[]) => string | undefined): Tls | undefined {
  const isOn = (value: string | undefined): boolean => value !== undefined && value !== '0'
  if (!isOn(get('mysql_ssl', 'mariadb_ssl', 'ssl'))) return undefined
  const authority = get('mysql_ssl_ca_file', 'mariadb_ssl_ca_file')
  const checksName = isOn(get('mysql_ssl_verify_server_cert', 'mariadb_ssl_verify_server_cert'))
  const checks = checksName ? 'name' : authority ? 'certificate' : 'nothing'
  return { isRequired: true, checks, authority }
}
