/**
 * Metrics of the real program: after a known load over real sockets they are what the ledger has, also after
 * a reload; and none names a user.
 */

import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { dist, type InstalledDaemon, installDaemon, runProgram } from '../support/daemon.ts'
import { freePort } from '../support/free-port.ts'
import { ledgerSums } from '../support/ledger-sums.ts'
import { type ReadFamily, readOpenMetrics, valueIn } from '../support/open-metrics.ts'
import { policyClient, requestText, until } from '../support/policy-client.ts'
import { promtool, promtoolMissing } from '../support/promtool.ts'

const GERMANY = '193.99.144.80'
const CHINA = '223.5.5.5'

async function read(t: Test, daemon: InstalledDaemon): Promise<ReadonlyMap<string, ReadFamily>> {
  const { status, stdout, stderr } = await daemon.ctl('metrics', '--openmetrics')
  t.strictSame([status, stderr], [0, ''])
  return readOpenMetrics(stdout)
}

let messages = 0

/** A message of an account, asked about at each of these stages; the last answer. */
async function send(
  daemon: InstalledDaemon,
  user: string,
  recipients: number,
  { stages = ['END-OF-MESSAGE'], client = GERMANY }: { stages?: string[]; client?: string } = {},
): Promise<string> {
  const postfix = await policyClient({ port: daemon.port })
  const instance = `m${messages++}.0`
  let answer = ''
  for (const protocol_state of stages) {
    const times = protocol_state === 'RCPT' ? recipients : 1
    for (let i = 0; i < times; i++) {
      postfix.send(
        requestText({
          ...{ request: 'smtpd_access_policy', protocol_state, instance, sasl_username: user },
          ...{ client_address: client, sender: `${user}@example.org`, size: 1000 },
          recipient: protocol_state === 'RCPT' ? `to${i}@example.net` : '',
          recipient_count: protocol_state === 'RCPT' ? 0 : recipients,
        }),
      )
      answer = await postfix.answer()
    }
  }
  postfix.close()
  return answer
}

t.test('after a known load, metrics are what was asked and what the ledger has', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '20' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const whole = { stages: ['RCPT', 'DATA', 'END-OF-MESSAGE'] }
  for (let i = 0; i < 30; i++) await send(daemon, `user${i}`, 1 + (i % 7))
  t.equal(await send(daemon, 'alice', 5, whole), 'action=dunno')
  // Two of its recipients come after DATA was answered.
  const postfix = await policyClient({ port: daemon.port })
  for (const [protocol_state, recipient_count] of [
    ['DATA', 3],
    ['END-OF-MESSAGE', 5],
    ['END-OF-MESSAGE', 5],
  ] as const) {
    const mail = { request: 'smtpd_access_policy', instance: 'grows.0', sasl_username: 'bob' }
    postfix.send(requestText({ ...mail, protocol_state, recipient_count, client_address: GERMANY }))
    t.equal(await postfix.answer(), 'action=dunno')
  }
  postfix.close()
  t.match(await send(daemon, 'bob', 16), /^action=reject/)
  t.match(await send(daemon, 'carol', 1, { client: CHINA }), /^action=reject/)
  const [single, asked] = [30, 30 + 5 + 1 + 1 + 3 + 1 + 1]
  const recipients = Array.from({ length: 30 }, (_, i) => 1 + (i % 7)).reduce((a, b) => a + b) + 10

  const check = (found: ReadonlyMap<string, ReadFamily>): void => {
    t.equal(valueIn(found, 'mtpolicyd_requests_total'), asked)
    t.equal(valueIn(found, 'mtpolicyd_requests_refused_total'), 2)
    t.equal(valueIn(found, 'mtpolicyd_answer_seconds_count'), asked)
    t.equal(valueIn(found, 'mtpolicyd_verdicts_total'), asked)
    const verdicts = (labels: Readonly<Record<string, string>>): number =>
      valueIn(found, 'mtpolicyd_verdicts_total', labels)
    t.equal(verdicts({ action: 'accept', stage: 'RCPT', plugin: 'none' }), 5)
    t.equal(verdicts({ action: 'accept', stage: 'DATA' }), 2)
    t.equal(verdicts({ action: 'accept', stage: 'END-OF-MESSAGE' }), single + 1 + 2)
    t.equal(verdicts({ action: 'refuse', plugin: 'limit' }), 1)
    t.equal(verdicts({ action: 'refuse', plugin: 'countries' }), 1)
    t.equal(valueIn(found, 'mtpolicyd_ledger_messages_total'), single + 2)
    t.equal(valueIn(found, 'mtpolicyd_ledger_messages_refused_total'), 1)
    t.equal(valueIn(found, 'mtpolicyd_ledger_recipients_total'), recipients)
    t.equal(valueIn(found, 'mtpolicyd_ledger_durable'), 1)
    t.equal(valueIn(found, 'mtpolicyd_ledger_state', { state: 'file' }), 1)
    t.equal(valueIn(found, 'mtpolicyd_ledger_subjects'), 32)
  }
  check(await read(t, daemon))

  t.equal((await daemon.ctl('reload')).status, 0)
  const reloaded = await read(t, daemon)
  check(reloaded)
  t.equal(valueIn(reloaded, 'mtpolicyd_reloads_total', { result: 'ok' }), 1)

  t.equal(await send(daemon, 'dave', 4), 'action=dunno')
  const last = await read(t, daemon)
  t.equal(valueIn(last, 'mtpolicyd_requests_total'), asked + 1)
  const counted = valueIn(last, 'mtpolicyd_ledger_recipients_total')
  t.equal(counted, recipients + 4)
  await daemon.stop()
  const ledger = ledgerSums(join(daemon.root, 'var/lib/univention-mtpolicyd/ledger.sqlite'))
  t.equal(
    [...ledger.values()].reduce((sum, used) => sum + used, 0),
    counted,
    'the ledger has as many',
  )
})

t.test(
  'what was given up is counted by its recipients only where Postfix asks no more',
  async t => {
    const daemon = await installDaemon({ 'mtpolicyd/threshold': '100' })
    t.teardown(() => daemon.remove())
    await daemon.start()
    await send(daemon, 'alice', 2, { stages: ['RCPT', 'END-OF-MESSAGE'] })
    await send(daemon, 'alice', 7, { stages: ['RCPT'] })
    const found = await read(t, daemon)
    t.equal(valueIn(found, 'mtpolicyd_ledger_recipients_total'), 2)
    t.equal(valueIn(found, 'mtpolicyd_ledger_open_messages'), 0)
  },
)

t.test('metrics name no user, no domain and no address', async t => {
  const daemon = await installDaemon({
    'mtpolicyd/threshold': '3',
    'mtpolicyd/user/vip-person/threshold': '50',
    'mtpolicyd/domain/customer.example/threshold': '90',
    'mtpolicyd/domain/customer.example/user/threshold': '9',
  })
  t.teardown(() => daemon.remove())
  await daemon.start()
  for (const user of ['eve-person', 'vip-person', 'joe@customer.example']) {
    await send(daemon, user, 2)
    await send(daemon, user, 99)
    await daemon.ctl('block', user)
    await send(daemon, user, 1)
    await daemon.ctl('limit', user, '5', '--until', '+1d')
  }
  const { stdout } = await daemon.ctl('metrics')
  t.match(stdout, 'mtpolicyd_measures{kind="block"} 3\n')
  t.match(
    stdout,
    'mtpolicyd_verdicts_total{plugin="block",stage="END-OF-MESSAGE",action="refuse"} 3\n',
  )
  t.notMatch(stdout, /person|joe|customer|193\.99|example\.(?:org|net)/)
})

t.test('promtool has nothing to say about the real metrics', { skip: promtoolMissing }, async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  await daemon.start()
  await send(daemon, 'alice', 2)
  const { stdout } = await daemon.ctl('metrics')
  t.strictSame(promtool(['check', 'metrics'], stdout), { status: 0, said: '' })
})

t.test('connections, the process and the country data are seen', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  await daemon.start()
  const open = [connect(daemon.port, '127.0.0.1'), connect(daemon.port, '127.0.0.1')]
  let found = await read(t, daemon)
  await until(() => open.every(({ readyState }) => readyState === 'open'))
  while (valueIn(found, 'mtpolicyd_connections') < 2) found = await read(t, daemon)
  for (const socket of open) socket.destroy()
  t.ok(valueIn(found, 'mtpolicyd_process_resident_memory_bytes') > 2 ** 24)
  t.ok(valueIn(found, 'mtpolicyd_process_open_fds') > 10)
  t.ok(valueIn(found, 'mtpolicyd_process_cpu_seconds_total') > 0)
  const started = valueIn(found, 'mtpolicyd_process_start_time_seconds')
  t.ok(Math.abs(started - Date.now() / 1000) < 600)
  t.ok(valueIn(found, 'mtpolicyd_geoip_age_seconds') > 0)
  t.equal(valueIn(found, 'mtpolicyd_geoip_state', { state: 'current' }), 1)
})

t.test('counts that are in memory only are seen', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  // Nothing can be written where a folder is in the way.
  mkdirSync(join(daemon.root, 'var/lib/univention-mtpolicyd/ledger.sqlite'), { recursive: true })
  await daemon.start()
  t.equal(await send(daemon, 'alice', 2), 'action=dunno')
  const found = await read(t, daemon)
  t.equal(valueIn(found, 'mtpolicyd_ledger_state', { state: 'memory' }), 1)
  t.equal(valueIn(found, 'mtpolicyd_ledger_state', { state: 'file' }), 0)
  t.equal(valueIn(found, 'mtpolicyd_ledger_durable'), 0)
  t.equal(valueIn(found, 'mtpolicyd_ledger_recipients_total'), 2)
})

t.test('the console has the same metrics at /metrics, in the format that is asked for', async t => {
  const webPort = await freePort()
  const daemon = await installDaemon({ 'mtpolicyd/web/port': String(webPort) })
  t.teardown(() => daemon.remove())
  await daemon.start()
  await send(daemon, 'alice', 3)
  const ask = async (accept: string): Promise<Response> => {
    for (;;) {
      try {
        return await fetch(`http://localhost:${webPort}/metrics`, { headers: { accept } })
      } catch {
        // Its thread is still starting.
        await sleep(50)
      }
    }
  }
  const open = await ask('application/openmetrics-text;version=1.0.0,text/plain;q=0.5')
  t.match(open.headers.get('content-type'), /^application\/openmetrics-text; version=1\.0\.0/)
  const families = readOpenMetrics(await open.text())
  t.equal(valueIn(families, 'mtpolicyd_ledger_recipients_total'), 3)
  const plain = await ask('text/plain')
  t.match(plain.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const text = await plain.text()
  t.match(text, '\nmtpolicyd_ledger_recipients_total 3\n')
  if (!promtoolMissing) t.strictSame(promtool(['check', 'metrics'], text), { status: 0, said: '' })
})

t.test('the line of the README writes a file for node_exporter, and never half of one', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  await daemon.start()
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  const [, line = ''] = /^\* \* \* \* \* root (.*)$/m.exec(readme) ?? []
  t.notMatch(line, '%', 'cron takes it for the end of the line')
  const folder = join(daemon.root, 'collected')
  mkdirSync(folder)
  const here = line
    .replace('/var/lib/prometheus/node-exporter', folder)
    .replace('mtpolicyctl', `${join(dist, 'mtpolicyctl')} --root ${daemon.root}`)
  const cron = () => runProgram('sh', '-c', `umask 077; ${here}`)
  t.strictSame(await cron(), { status: 0, stdout: '', stderr: '' })
  const { mode } = statSync(join(folder, 'mtpolicyd.prom'))
  t.equal(mode & 0o777, 0o644, 'node_exporter is another user')
  const before = readFileSync(join(folder, 'mtpolicyd.prom'), 'utf8')
  t.match(before, /^mtpolicyd_requests_total 0$/m)
  await daemon.stop()
  t.strictSame(
    await cron(),
    { status: 1, stdout: '', stderr: '' },
    'cron would mail it every minute',
  )
  t.strictSame(readdirSync(folder), ['mtpolicyd.prom'])
  t.equal(readFileSync(join(folder, 'mtpolicyd.prom'), 'utf8'), before, 'the last one is kept')
})

t.test('without a daemon there are no metrics, and mtpolicyctl says why', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const { status, stdout, stderr } = await daemon.ctl('metrics')
  t.strictSame([status, stdout], [1, ''])
  t.match(stderr, /the daemon is not running/)
})
