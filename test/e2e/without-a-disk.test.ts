/** What is counted when the daemon's state cannot be written. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askPort, installDaemon } from '../support/daemon.ts'
import { ledgerSums } from '../support/ledger-sums.ts'
import {
  fill,
  makeReadOnly,
  makeWritable,
  mountSmallDisk,
  smallDiskMissing,
} from '../support/small-disk.ts'

const missing = smallDiskMissing()
if (missing !== undefined && process.env.CI) throw new Error(missing)
const options = { skip: missing ?? false }

/** With its state on a disk of its own. */
async function start(t: Test, { globals = '', threshold = 3 }) {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const state = join(daemon.root, 'var/lib/univention-mtpolicyd')
  mkdirSync(state, { recursive: true })
  mountSmallDisk({ state, later: undo => t.teardown(undo) }, '40m')
  writeFileSync(
    join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf'),
    `port = "127.0.0.1:${daemon.port}"\n${globals}
<VirtualHost ${daemon.port}>
  name = submission
  <Plugin limit>
    module = "SendingLimit"
    threshold = ${threshold}
  </Plugin>
</VirtualHost>\n`,
  )
  await daemon.start()
  const send = (
    instance: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<string | undefined> =>
    askPort(daemon.port, {
      request: 'smtpd_access_policy',
      protocol_state: 'END-OF-MESSAGE',
      instance,
      recipient_count: '1',
      sasl_username: 'alice',
      ...more,
    })
  const status = async (): Promise<string> => (await daemon.ctl('status')).stdout
  return { daemon, state, send, status }
}

t.test('on a full disk nobody pays for what was deferred', options, async t => {
  const { daemon, state, send } = await start(t, { globals: 'on_failure = "defer"', threshold: 60 })
  const passed = async (name: string): Promise<number> => {
    let sum = 0
    // Long names: the last block of the journal has room for a few of them.
    for (let i = 0; i < 50; i++) {
      const answer = await send(`${name}${i}`.padEnd(500, 'x'))
      if (answer === 'action=dunno') sum++
      else answers.add(answer)
    }
    return sum
  }
  const answers = new Set<string | undefined>()
  const before = await passed('before')
  t.equal(before, 50)
  const empty = fill(state)
  const during = await passed('during')
  t.same([...answers], ['action=defer the mail could not be counted, try again later'])
  t.ok(during < 10, `${during} could be written`)
  // The log says what Postfix was told, not what had been decided.
  t.ok(await daemon.logged(/instance=during49x/))
  const lines = daemon.log().match(/instance=during.*/g) ?? []
  const deferred = lines.filter(line => /verdict="defer .*" why=uncounted /.test(line))
  t.equal(lines.length, 50)
  t.equal(deferred.length, 50 - during)
  t.equal(lines.filter(line => line.includes('verdict=dunno')).length, during)
  empty()
  answers.clear()
  t.equal(await passed('after'), 60 - before - during)
  t.match([...answers], [/^action=reject 5\.7\.1 Daily limit of 60 recipients reached/])
  await daemon.stop()
  t.equal(ledgerSums(join(state, 'ledger.sqlite')).get('alice'), 60)
})

t.test(
  'a start on a read-only disk knows what was counted, and writes it later',
  options,
  async t => {
    const { daemon, state, send, status } = await start(t, {})
    t.equal(await send('a'), 'action=dunno')
    t.equal(await send('b'), 'action=dunno')
    await daemon.kill()
    await makeReadOnly(state)
    await daemon.start()
    t.match(await status(), /counting\s+continues\s+in\s+a\s+temporary\s+copy/)
    t.equal(await send('b'), 'action=dunno', 'asked again')
    t.equal(await send('c'), 'action=dunno')
    t.match(await send('d'), /^action=reject/)
    makeWritable(state)
    t.ok(await daemon.logged(/the ledger file is in use again/))
    await daemon.kill()
    await daemon.start()
    t.equal(await send('c'), 'action=dunno', 'asked once more')
    t.match(await send('d'), /^action=reject/)
    await daemon.stop()
    t.equal(ledgerSums(join(state, 'ledger.sqlite')).get('alice'), 3)
  },
)

t.test('whoever mends the disk and restarts at once loses nothing', options, async t => {
  const { daemon, state, send } = await start(t, {})
  t.equal(await send('a'), 'action=dunno')
  await daemon.stop()
  await makeReadOnly(state)
  await daemon.start()
  t.equal(await send('b'), 'action=dunno')
  makeWritable(state)
  await daemon.stop()
  t.equal(ledgerSums(join(state, 'ledger.sqlite')).get('alice'), 2)
})

t.test(
  'a service that is new on a full disk keeps nobody’s count off the disk',
  options,
  async t => {
    const { daemon, state, send } = await start(t, {
      globals: 'on_failure = "defer"\ndurability = "full"',
      threshold: 10,
    })
    t.equal(await send('a'), 'action=dunno')
    const empty = fill(state)
    t.teardown(empty)
    // The journal has its blocks, and needs no more.
    t.equal(await send('b'), 'action=dunno')
    t.equal(await send('c', { server_port: '465' }), 'action=dunno')
    t.equal(await send('d'), 'action=dunno')
    await daemon.kill()
    empty()
    t.equal(ledgerSums(join(state, 'ledger.sqlite')).get('alice'), 4)
  },
)

t.test(
  'what is killed while the disk is read-only has its counts all the same',
  options,
  async t => {
    const { daemon, state, send } = await start(t, {})
    t.equal(await send('a'), 'action=dunno')
    await daemon.stop()
    await makeReadOnly(state)
    await daemon.start()
    t.equal(await send('b'), 'action=dunno')
    await daemon.kill()
    await daemon.start()
    t.equal(await send('b'), 'action=dunno', 'asked again')
    t.equal(await send('c'), 'action=dunno')
    t.match(await send('d'), /^action=reject/)
    await daemon.kill()
    makeWritable(state)
    await daemon.start()
    t.equal(await send('c'), 'action=dunno', 'asked again')
    t.match(await send('e'), /^action=reject/)
    await daemon.stop()
    t.equal(ledgerSums(join(state, 'ledger.sqlite')).get('alice'), 3)
  },
)
