/** Encrypted connections to SQL servers: with sslmode, as PostgreSQL's library knows it, and mysql_ssl. */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sqlConnection } from '../../daemon/remote/dsn.ts'
import { missingPrograms } from '../../scripts/servers/server.ts'
import { SQL_LOGIN } from '../../scripts/servers/sql-login.ts'
import { startServer } from '../../scripts/test-servers.ts'
import { failure, SQL_SERVERS, sqlDsn, sqlMissing } from '../support/sql-databases.ts'

const { user, password } = SQL_LOGIN

/** A certificate for localhost, which is its own authority. */
function makeCertificate(folder: string): { readonly certificate: string; readonly key: string } {
  const certificate = join(folder, 'certificate')
  const key = join(folder, 'key')
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
      .concat(['-addext', 'subjectAltName=DNS:localhost'])
      .concat(['-keyout', key, '-out', certificate]),
    { stdio: 'ignore' },
  )
  return { certificate, key }
}

const IS_ENCRYPTED = {
  postgresql: 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
  mariadb:
    "SELECT VARIABLE_VALUE <> '' FROM information_schema.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'",
}

const noOpenssl = !process.env.CI && missingPrograms(['openssl']).length > 0 && 'needs openssl'

for (const name of SQL_SERVERS) {
  t.test(`TLS to ${name}`, { skip: sqlMissing(name) || noOpenssl }, async t => {
    const { certificate, key } = makeCertificate(t.testdir())
    const server = await startServer(name, {
      files: { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') },
      args:
        name === 'postgresql'
          ? ['-c', 'ssl=on', '-c', 'ssl_cert_file=../certificate', '-c', 'ssl_key_file=../key']
          : ['--ssl-cert=../certificate', '--ssl-key=../key'],
    })
    t.teardown(() => server.remove())

    const isEncrypted = async (options: string, host = '127.0.0.1'): Promise<unknown> => {
      const dsn = sqlDsn(name, server).replace('127.0.0.1', host) + options
      const db = sqlConnection({ dsn, user, password })
      t.teardown(() => db.close())
      return (await db.query(IS_ENCRYPTED[name], [], 1))[0]?.[0]
    }

    if (name === 'postgresql') {
      t.equal(await isEncrypted(''), 1, 'where the server can')
      t.equal(await isEncrypted(';sslmode=disable'), 0)
      t.equal(await isEncrypted(';sslmode=require'), 1)
      t.equal(await isEncrypted(`;sslmode=verify-ca;sslrootcert=${certificate}`), 1)
      t.equal(await isEncrypted(`;sslmode=verify-full;sslrootcert=${certificate}`, 'localhost'), 1)
      for (const options of [
        ';sslmode=verify-full',
        `;sslmode=verify-full;sslrootcert=${certificate}`,
        ';sslmode=verify-ca;sslrootcert=/no/such/file',
      ]) {
        const { message } = await failure(() => isEncrypted(options))
        t.match(message, /certificate|does not match|ENOENT/i, options)
      }
    } else {
      t.equal(await isEncrypted(''), 0)
      t.equal(await isEncrypted(';mysql_ssl=1'), 1)
      t.equal(await isEncrypted(`;mysql_ssl=1;mysql_ssl_ca_file=${certificate}`), 1)
      const checked = ';mysql_ssl=1;mysql_ssl_verify_server_cert=1'
      const { message } = await failure(() => isEncrypted(checked))
      t.match(message, /certificate/i, 'nobody we trust has signed it')
    }
  })
}

t.test('a server without TLS', { skip: sqlMissing('postgresql') }, async t => {
  const server = await startServer('postgresql')
  t.teardown(() => server.remove())
  const dsn = `${sqlDsn('postgresql', server)};sslmode=require`
  const db = sqlConnection({ dsn, user, password })
  t.teardown(() => db.close())
  t.match((await failure(() => db.query('SELECT 1', [], 1))).message, /does not support SSL/)
})
