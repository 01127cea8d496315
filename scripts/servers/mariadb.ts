/** MariaDB with one user, who needs the password and owns one database. */

import { accepts, type ServerKind } from './server.ts'
import { SQL_LOGIN } from './sql-login.ts'

export const mariadb: ServerKind = {
  package: 'mariadb-server',
  programs: ['mariadbd', 'mariadb-install-db'],
  user: 'mysql',

  async prepare({ folder, program, run, write }) {
    const { user, password, database } = SQL_LOGIN
    write(
      'login.sql',
      `CREATE DATABASE IF NOT EXISTS ${database};
       CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${password.replaceAll('\\', '\\\\')}';
       GRANT ALL ON ${database}.* TO '${user}'@'%';
       DROP USER IF EXISTS ''@'localhost';\n`,
    )
    await run(
      program('mariadb-install-db'),
      ...['--no-defaults', `--datadir=${folder}/data`, '--skip-test-db', '--skip-name-resolve'],
      // Not in /tmp, where another server may be running at the same time.
      ...['--auth-root-authentication-method=normal', `--tmpdir=${folder}`],
    )
  },

  command: ({ folder, port, socket, program }) => [
    program('mariadbd'),
    ...['--no-defaults', `--datadir=${folder}/data`, `--port=${port}`, `--socket=${socket}`],
    ...['--bind-address=127.0.0.1', `--pid-file=${folder}/pid`, `--init-file=${folder}/login.sql`],
    ...['--skip-name-resolve', '--innodb-flush-log-at-trx-commit=0', '--innodb-doublewrite=0'],
  ],

  // A client that connects before the init file has been read has to wait for it.
  isReady: ({ port }) => accepts(port),
}
