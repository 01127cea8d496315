/** Names of data sources: what they mean, and what a wrong one is told. */

import t from 'tap'
import { sqlConnection } from '../../daemon/remote/dsn.ts'
import { numberPlaceholders } from '../../daemon/remote/placeholders.ts'
import { LookupError } from '../../daemon/system/errors.ts'

const SECRET = 'never-shown'

/** Where a connection of this name goes: nobody is there, and the message says where. */
async function goes(dsn: string): Promise<string> {
  const db = sqlConnection({ dsn, user: 'mail', password: SECRET })
  try {
    await db.query('SELECT 1', [], 1)
  } catch (error) {
    if (error instanceof LookupError) return error.message
    throw error
  } finally {
    db.close()
  }
  return 'somewhere'
}

t.test('a name says where the server is, as Perl’s drivers read it, or a URL', async t => {
  for (const [dsn, place] of [
    ['dbi:Pg:dbname=mail;host=127.0.0.1;port=1', 'PostgreSQL at 127.0.0.1:1: '],
    ['DBI:pg:host=127.0.0.1 port=1 dbname=mail', 'PostgreSQL at 127.0.0.1:1: '],
    ["dbi:Pg:dbname='mail';host='127.0.0.1';port='1'", 'PostgreSQL at 127.0.0.1:1: '],
    ['dbi:Pg(RaiseError=>1):database=mail;hostaddr=127.0.0.1;port=1', '127.0.0.1:1: '],
    ['dbi:Pg:dbname=mail;host=/no/such/folder', 'at /no/such/folder: .*/.s.PGSQL.5432'],
    ['dbi:Pg:dbname=mail;host=/no/such/folder;port=99', '/no/such/folder/.s.PGSQL.99'],
    ['postgres://mail:other@127.0.0.1:1/mail', 'PostgreSQL at 127.0.0.1:1: '],
    ['postgresql:///mail?host=/no/such/folder', 'PostgreSQL at /no/such/folder: '],
    ['dbi:mysql:database=mail;host=127.0.0.1;port=1', 'MySQL at 127.0.0.1:1: '],
    ['DBI:mysql:mail:127.0.0.1:1', 'MySQL at 127.0.0.1:1: '],
    ['dbi:mysql:mail;host=127.0.0.1;port=1', 'MySQL at 127.0.0.1:1: '],
    ['dbi:mysql:dbname=mail;hostname=[::1];port=1', 'MySQL at ::1:1: '],
    ['DBI:mysql:mail;mysql_socket=/no/such/socket', 'MySQL at /no/such/socket: .*(ENOENT|REFUSED)'],
    ['dbi:MariaDB:database=mail;host=127.0.0.1;port=1', 'MySQL at 127.0.0.1:1: '],
    ['dbi:MariaDB:mail;mariadb_socket=/no/such/socket', 'MySQL at /no/such/socket: '],
    ['mysql://mail:other@127.0.0.1:1/mail', 'MySQL at 127.0.0.1:1: '],
    ['mysql://[::1]:1/mail', 'MySQL at ::1:1: '],
  ] as const) {
    const message = await goes(dsn)
    t.match(message, new RegExp(place), dsn)
    t.notMatch(message, SECRET)
  }
})

t.test('a name that cannot be understood is told what was expected, and nothing is shown', t => {
  for (const [dsn, message] of [
    [
      'dbi:Oracle:password=never-shown',
      /unknown kind of database "Oracle"; expected dbi:SQLite:dbname=/,
    ],
    ['oracle://mail:never-shown@db/mail', /not a data source name; expected dbi:SQLite/],
    ['mail', /not a data source name; .*dbi:Pg:.*dbi:mysql:.*dbi:MariaDB.*postgres:.*mysql:/],
    ['', /not a data source name/],
    ['dbi:mysql:database=mail;mysql_read_default_file=/etc/my.cnf', /"mysql_read_default_file"/],
    ['DBI:mysql:mail;mysql_read_default_group=client', /"mysql_read_default_group"/],
    ['dbi:MariaDB:mail;mariadb_read_default_file=/etc/my.cnf', /"mariadb_read_default_file", and/],
    ['dbi:Pg:service=mail', /"service", and options files are not read here: write host/],
    ['postgres://db/mail?passfile=/etc/pgpass', /"passfile"/],
    ['dbi:SQLite:', /has no file name/],
    ['dbi:Pg:dbname=mail;port=none;password=never-shown', /port of the data source is not valid/],
    ['dbi:mysql:mail;port=70000;password=never-shown', /port of the data source is not valid/],
    ['dbi:Pg:host=db;sslmode=never-shown', /expected one of: disable, allow, prefer/],
    ['postgres://mail:never-shown%@db:x/mail', /not a valid URL/],
  ] as const) {
    try {
      sqlConnection({ dsn, user: '', password: SECRET }).close()
      t.fail(dsn)
    } catch (error) {
      t.ok(error instanceof LookupError, dsn)
      t.match(error, { message }, dsn)
      t.notMatch(String(error), SECRET, dsn)
    }
  }
  t.end()
})

t.test('PostgreSQL’s numbered placeholders', t => {
  for (const [sql, numbered] of [
    ['a = ? AND b=?', 'a = $1 AND b=$2'],
    ["a = '?' AND b = ?", "a = '?' AND b = $1"],
    ["a = 'it''s ?' AND b = ?", "a = 'it''s ?' AND b = $1"],
    ["a = 'x\\' AND b = ? OR c = '?'", "a = 'x\\' AND b = $1 OR c = '?'"],
    ["a = E'it\\'s ?' AND b = ?", "a = E'it\\'s ?' AND b = $1"],
    ['"wh""at?" = ?', '"wh""at?" = $1'],
    ['a = ? -- really?\nAND b = ?', 'a = $1 -- really?\nAND b = $2'],
    ['/* ? /* ? */ ? */ a = ? /* ? */', '/* ? /* ? */ ? */ a = $1 /* ? */'],
    ['/* never closed ?', '/* never closed ?'],
    ['a = $$?$$ AND b = $q$ ? $$ ? $q$ AND c = ?', 'a = $$?$$ AND b = $q$ ? $$ ? $q$ AND c = $1'],
    ["config::jsonb \\? 'key' AND a = ?", "config::jsonb ? 'key' AND a = $1"],
    ['a = $1', 'a = $1'],
    ["'never closed ?", "'never closed $1"],
    ['', ''],
  ] as const) {
    t.equal(numberPlaceholders(sql), numbered, sql)
  }
  t.end()
})
