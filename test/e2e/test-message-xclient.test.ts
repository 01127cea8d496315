/** `test-message --xclient`: a real mail of any user from anywhere, through a real Postfix. */

import { execFileSync } from 'node:child_process'
import t from 'tap'
import { freePort } from '../support/daemon.ts'
import { postfixRigMissing } from '../support/postfix-rig.ts'
import { fits, startTestMessages as start } from '../support/test-messages.ts'

const skip = postfixRigMissing()
const CHINESE = '223.5.5.5'

t.test('mail of any user from anywhere, without a password', { skip }, async t => {
  const { rig, send, json } = await start(t)

  t.test('is refused because of its country', async t => {
    const shown = send('', '--user', 'carol', '--xclient', '--client', CHINESE)
    t.equal(shown.status, 1)
    fits(t, shown)
    t.match(shown.stdout, /^as user carol from 223\.5\.5\.5 by XCLIENT$/m)
    t.match(shown.stdout, /^REFUSED by the daemon/m)
    t.match(shown.stdout, /\(decided by countries, /)
    const german = json('', '--user', 'carol', '--xclient', '--client', '193.99.144.80')
    t.match(german, { outcome: 'accepted', client: '193.99.144.80' })
    t.match(json('', '--user', 'carol', '--xclient'), { outcome: 'accepted', client: '127.0.0.1' })
  })

  t.test('that the daemon never hears of is the most important finding', async t => {
    rig.unset('smtpd_end_of_data_restrictions')
    await rig.restart()
    const shown = send('secret', '--user', 'alice')
    t.equal(shown.status, 1)
    fits(t, shown)
    t.match(shown.stdout, /^ACCEPTED WITHOUT QUERYING THE DAEMON: /m)
    t.match(shown.stdout, 'mtpolicyctl doctor')
    t.match(json('secret', '--user', 'alice'), { outcome: 'unasked', requests: [] })
    const port = await freePort()
    rig.set(
      `smtpd_end_of_data_restrictions = check_policy_service { inet:127.0.0.1:${port}, default_action=DUNNO }`,
    )
    await rig.restart()
    const elsewhere = json('secret', '--user', 'alice')
    t.equal(elsewhere.outcome, 'unasked')
    t.match(
      elsewhere.log.lines.join('\n'),
      `warning: connect to 127.0.0.1:${port}: Connection refused`,
    )
    rig.unset('smtpd_end_of_data_restrictions')
  })

  t.test(
    'is not sent where Postfix does not allow it, and the way there and back is told',
    async t => {
      rig.set('smtpd_authorized_xclient_hosts = 192.0.2.1')
      await rig.restart()
      const shown = send('', '--user', 'carol', '--xclient', '--client', CHINESE)
      t.equal(shown.status, 1)
      t.match(shown.stdout, /^NOT SENT: Postfix does not let this host say XCLIENT\.$/m)
      const commands = shown.stdout.match(/^ {2}post.*$/gm) ?? []
      t.equal(commands.length, 4)
      const [allow = '', , takeBack = ''] = commands
      const before = rig.postconf('-h', 'smtpd_authorized_xclient_hosts')
      execFileSync('sh', ['-c', allow])
      await rig.restart()
      const allowed = json('', '--user', 'carol', '--xclient', '--client', CHINESE)
      t.equal(allowed.client, CHINESE)
      t.equal(allowed.outcome, 'unasked')
      execFileSync('sh', ['-c', takeBack])
      t.equal(rig.postconf('-h', 'smtpd_authorized_xclient_hosts'), before)
    },
  )
})
