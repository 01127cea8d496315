/** The built program with SQL servers: the libraries for them are chunks of the bundle of their own. */

import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { askPort, dist, freePort } from '../support/daemon.ts'
import { SQL_SERVERS, sqlMissing, startSqlServer } from '../support/sql-databases.ts'
import { chain, plugin } from '../support/world.ts'

for (const name of SQL_SERVERS) {
  t.test(`counts in ${name}`, { skip: sqlMissing(name) }, async t => {
    const { server, ...database } = await startSqlServer(t, name)
    const port = await freePort()
    const folder = t.testdir()
    const conf = join(folder, 'mtpolicyd.conf')
    const plugins =
      plugin('Quota', 'field = sender\nmetric = count\nthreshold = 2') +
      plugin('Accounting', 'fields = sender')
    const text = chain(plugins, `port = "127.0.0.1:${port}"\nlog_level = 4\n${database.block}`)
    writeFileSync(conf, text.replace(/<VirtualHost \d+>/, `<VirtualHost ${port}>`))

    const daemon = execFile(join(dist, 'mtpolicyd'), ['--root', folder, '-f', '-c', conf])
    const ended = new Promise<number | null>(resolve => daemon.once('exit', resolve))
    t.teardown(() => void daemon.kill('SIGKILL'))
    let log = ''
    daemon.stdout?.on('data', chunk => (log += chunk))
    daemon.stderr?.on('data', chunk => (log += chunk))
    for (let tries = 0; tries < 500 && !log.includes('ready'); tries++) await sleep(20)

    const ask = () => askPort(port, { request: 'smtpd_access_policy', sender: 'a@example.org' })
    for (let i = 0; i < 2; i++) t.equal(await ask(), 'action=dunno')
    t.match(await ask(), /^action=defer/)
    await server.stop()
    t.equal(await ask(), 'action=dunno', 'the server is away')
    await server.start()
    await sleep(1000)
    t.match(await ask(), /^action=defer/, 'it is back')

    daemon.kill('SIGTERM')
    t.equal(await ended, 0, 'it ends, connections or not')
    t.match(
      log,
      /error: plugin quota failed: (PostgreSQL|MySQL) at 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
    )
    t.notMatch(log, 'pa55-word', 'no password in the log')
  })
}
