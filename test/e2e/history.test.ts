/** The history of the built program: after kill -9, switched off and on by a reload, and deleted by forget. */

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { askPort, type InstalledDaemon, installDaemon } from '../support/daemon.ts'

let messages = 0
const send = ({ port }: InstalledDaemon, user: string, recipients: number) =>
  askPort(port, {
    request: 'smtpd_access_policy',
    protocol_state: 'END-OF-MESSAGE',
    client_address: '127.0.0.1',
    sasl_username: user,
    instance: `e2e.${++messages}`,
    recipient_count: String(recipients),
  })

async function install(t: Test, variables: Record<string, string> = {}): Promise<InstalledDaemon> {
  const daemon = await installDaemon({ 'mtpolicyd/postfix/register': 'false', ...variables })
  t.teardown(() => daemon.remove())
  await daemon.start()
  return daemon
}

const stateOf = ({ root }: InstalledDaemon): string => join(root, 'var/lib/univention-mtpolicyd')

/** Names of the daemon's threads. */
const threadsOf = ({ pid }: InstalledDaemon): string[] =>
  readdirSync(`/proc/${pid}/task`).map(id =>
    readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim(),
  )

const openFiles = ({ pid }: InstalledDaemon): string[] =>
  readdirSync(`/proc/${pid}/fd`).map(fd => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`)
    } catch {
      return ''
    }
  })

t.test('what was answered is known after kill -9, and forget deletes it', async t => {
  const daemon = await install(t, { 'mtpolicyd/threshold': '5' })
  for (const recipients of [2, 9]) await send(daemon, 'Alice', recipients)
  // What was answered within the last 2 ms may be lost.
  await sleep(100)
  await daemon.kill()
  await daemon.start()
  const left = new Date(Date.now() + 92 * 86_400_000).toISOString().slice(0, 10)
  const forgotten = await daemon.ctl('forget', 'alice')
  t.equal(
    forgotten.stdout,
    'deleted of alice:\n  hours with mail  1\n  last messages    2\n  refusals         1\n' +
      `  ended measures   0\nleft of it:\n  its counts for limits, a number for each window, until ${left}\n` +
      '  lines in the logs of the daemon and of Postfix\n',
  )
  t.equal(forgotten.status, 0)
  t.match((await daemon.ctl('user', 'alice')).stdout, /2 of 5/, 'what counts still counts')
  const again = await daemon.ctl('forget', 'alice')
  t.strictSame([again.status, again.stderr], [1, 'mtpolicyctl: the history does not know alice\n'])
  t.strictSame(JSON.parse((await daemon.ctl('forget', 'alice', '--json')).stdout), null)
})

t.test('forget deletes measures that have ended, and says which stay', async t => {
  const daemon = await install(t)
  await daemon.ctl('block', 'Alice', '--why', 'hacked')
  await daemon.ctl('release', 'alice')
  await daemon.ctl('block', 'bob')
  await daemon.ctl('block', 'alice', '--why', 'again')
  await daemon.ctl('limit', 'alice', '7')
  const damaged = join(stateOf(daemon), 'measures.json.damaged-20261130T100000Z')
  writeFileSync(damaged, '{')
  const { stdout, status } = await daemon.ctl('forget', 'alice')
  t.equal(status, 0)
  t.match(stdout, /^ {2}ended measures {3}1$/m)
  t.match(stdout, /^ {2}1 measure in force; mtpolicyctl user lists them$/m)
  t.match(stdout, `\n  perhaps ${damaged}, a damaged file\n`)
  t.match(stdout, /^ {2}host variable mtpolicyd\/user\/alice\/threshold$/m)
  const file = readFileSync(join(stateOf(daemon), 'measures.json'), 'utf8')
  t.notMatch(file, 'hacked')
  t.match(file, 'again')
  await daemon.ctl('release', 'alice')
  t.match(JSON.parse((await daemon.ctl('forget', 'alice', '--json')).stdout), {
    ...{ account: 'alice', hours: 0, measures: 1, inForce: 0 },
  })
  t.notMatch(readFileSync(join(stateOf(daemon), 'measures.json'), 'utf8'), 'alice')
  t.match((await daemon.ctl('measures')).stdout, 'bob')
})

t.test('mtpolicyd/history/days switches it off and on again', async t => {
  const daemon = await install(t)
  await send(daemon, 'alice', 1)
  t.match((await daemon.ctl('status')).stdout, /^ok +history +90 days$/m)
  await daemon.ctl('set', 'mtpolicyd/history/days=0')
  while (openFiles(daemon).some(name => name.includes('history'))) await sleep(20)
  t.match((await daemon.ctl('status')).stdout, /^ok +history +off /m)
  const off = await daemon.ctl('forget', 'alice')
  t.equal(off.status, 1)
  t.match(off.stderr, /no history is kept/)
  await send(daemon, 'bob', 1)
  t.ok(
    readdirSync(stateOf(daemon)).some(name => name.startsWith('history.')),
    'the files are kept',
  )
  await daemon.ctl('set', 'mtpolicyd/history/days=7')
  t.match((await daemon.ctl('status')).stdout, /^ok +history +7 days$/m)
  t.equal((await daemon.ctl('forget', 'bob')).status, 1)
  t.equal((await daemon.ctl('forget', 'alice')).status, 0)
  t.equal(await daemon.stop(), 0)
})

t.test('where it is off there is neither a thread nor a file', async t => {
  const daemon = await install(t, { 'mtpolicyd/history/days': '0' })
  await send(daemon, 'alice', 1)
  await sleep(1500)
  t.strictSame(
    threadsOf(daemon).filter(name => name.includes('history')),
    [],
  )
  t.strictSame(
    readdirSync(stateOf(daemon)).filter(name => name.includes('history')),
    [],
  )
})
