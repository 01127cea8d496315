/**
 * PostgreSQL with one superuser, who needs the password. Its socket is `folder`, in libpq's
 * notation.
 */

import type { ServerKind } from './server.ts'
import { SQL_LOGIN } from './sql-login.ts'

const PROGRAMS = '/usr/lib/postgresql/*/bin'

export const postgresql: ServerKind = {
  package: 'postgresql',
  programs: [`${PROGRAMS}/postgres`, `${PROGRAMS}/initdb`, `${PROGRAMS}/pg_isready`],
  user: 'postgres',
  // The "fast shutdown": connections are closed, not waited for.
  stopSignal: 'SIGINT',

  async prepare({ folder, program, run, write }) {
    const { user, password } = SQL_LOGIN
    const login = [`--username=${user}`, `--pwfile=${write('password', password)}`]
    await run(
      program(`${PROGRAMS}/initdb`),
      ...[`--pgdata=${folder}/data`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C'],
      ...['--no-sync', ...login],
    )
  },

  command: ({ folder, port, program }) => [
    program(`${PROGRAMS}/postgres`),
    ...['-D', `${folder}/data`, '-p', `${port}`, '-h', '127.0.0.1', '-k', folder, '-F'],
  ],

  isReady: ({ folder, port, program, run }) =>
    run(program(`${PROGRAMS}/pg_isready`), '-q', '-h', folder, '-p', `${port}`).then(
      () => true,
      () => false,
    ),
}
