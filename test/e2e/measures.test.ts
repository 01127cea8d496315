/** Measures of the real program: over kill -9, on a disk that is full or read-only, and in front of Postfix. */

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askPort, type InstalledDaemon, installDaemon } from '../support/daemon.ts'
import { createPostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'
import {
  fill,
  makeReadOnly,
  makeWritable,
  mountSmallDisk,
  smallDiskMissing,
} from '../support/small-disk.ts'
import { sendMail } from '../support/smtp-client.ts'

const GERMANY = '193.99.144.80'
const CHINA = '223.5.5.5'
const BLOCKED = /^action=reject 5\.7\.1 The account alice is blocked/

let sent = 0
function sender(daemon: InstalledDaemon) {
  return (user = 'alice', client_address = GERMANY, recipients = 1): Promise<string | undefined> =>
    askPort(daemon.port, {
      ...{ request: 'smtpd_access_policy', protocol_state: 'END-OF-MESSAGE', client_address },
      ...{ sasl_username: user, instance: `m${sent++}`, recipient_count: String(recipients) },
    })
}

async function done(t: Test, daemon: InstalledDaemon, ...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await daemon.ctl(...words)
  t.strictSame([status, stderr], [0, ''], words.join(' '))
  return stdout
}

t.test('what was ordered is in force right after kill -9', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '5' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const send = sender(daemon)
  t.equal(await send('carol', GERMANY, 5), 'action=dunno')
  await done(t, daemon, 'block', 'alice')
  await done(t, daemon, 'allow', 'bob', '--countries', 'CN', '--until', '+1d')
  await done(t, daemon, 'limit', 'bob', '7', '--until', '+1d')
  await done(t, daemon, 'reset', 'carol')
  await daemon.kill()
  await daemon.start()
  t.match(await send(), BLOCKED)
  t.equal(await send('bob', CHINA, 7), 'action=dunno')
  t.match(await send('bob', CHINA), /^action=reject/)
  t.equal(await send('carol', GERMANY, 5), 'action=dunno')
  const { measures } = JSON.parse(await done(t, daemon, 'measures', '--json'))
  t.match(measures, [{ kind: 'block' }, { kind: 'allow' }, { kind: 'limit' }])
  t.equal(Object.keys(measures[0]).join(), 'account,kind,value,until,by,why')
  t.match((await daemon.ctl('status')).stdout, /^ok +measures +3 in force for single accounts/m)

  await done(t, daemon, 'set', 'mtpolicyd/mode=observe')
  t.match(await send(), BLOCKED, 'also in observe mode, after a reload')
  await done(t, daemon, 'release', 'alice')
  await daemon.kill()
  await daemon.start()
  t.equal(await send(), 'action=dunno')
})

const missing = smallDiskMissing()
if (missing !== undefined && process.env.CI) throw new Error(missing)

t.test(
  'on a disk that takes nothing, an order fails in words, and what is in force stays',
  { skip: missing ?? false },
  async t => {
    const daemon = await installDaemon()
    t.teardown(() => daemon.remove())
    const state = join(daemon.root, 'var/lib/univention-mtpolicyd')
    mkdirSync(state, { recursive: true })
    mountSmallDisk({ state, later: undo => t.teardown(undo) }, '40m')
    await daemon.start()
    const send = sender(daemon)
    await done(t, daemon, 'block', 'alice')
    const refused = async (reason: RegExp): Promise<void> => {
      for (const words of [
        ['block', 'bob'],
        ['release', 'alice'],
        ['reset', 'bob'],
      ]) {
        const { status, stdout, stderr } = await daemon.ctl(...words)
        t.strictSame([status, stdout], [1, ''], words.join(' '))
        t.match(stderr, /^mtpolicyctl: nothing was changed: cannot write .*measures\.json: /)
        t.match(stderr, reason)
      }
      t.match(await send(), BLOCKED)
      t.equal(await send('bob'), 'action=dunno')
      t.notOk(readdirSync(state).includes('measures.json.new'))
    }
    const empty = fill(state)
    await refused(/ENOSPC/)
    empty()
    await daemon.kill()
    await makeReadOnly(state)
    await daemon.start()
    await refused(/EROFS/)
    makeWritable(state)
    await done(t, daemon, 'release', 'alice')
    t.equal(await send(), 'action=dunno')
  },
)

t.test(
  'a hacked account is blocked at Postfix, and released',
  { skip: postfixRigMissing() },
  async t => {
    const daemon = await installDaemon()
    const rig = await createPostfixRig()
    t.teardown(async () => {
      await rig.remove()
      await daemon.remove()
    })
    rig.set(
      `smtpd_end_of_data_restrictions = check_policy_service { inet:127.0.0.1:${daemon.port}, default_action=DUNNO, timeout=5s }`,
    )
    await daemon.start()
    await rig.start()
    const send = (user: string) =>
      sendMail({
        port: rig.ports.submission,
        xclient: { ADDR: GERMANY, NAME: 'client.example.net' },
        user: rig.login(user),
        password: rig.password,
        from: `${user}@example.org`,
        to: [`to${sent++}@example.net`],
      })
    t.ok((await send('alice')).accepted)
    await done(t, daemon, 'block', rig.login('alice'), '--why', 'hacked')
    const refused = await send('alice')
    t.notOk(refused.accepted)
    t.equal(refused.last.code, 554)
    t.match(refused.last.text, /^5\.7\.1 .*The account \S+ is blocked; please contact your admin/)
    t.ok((await send('bob')).accepted, 'nobody else')
    await done(t, daemon, 'release', rig.login('alice'))
    t.ok((await send('alice')).accepted)
  },
)
