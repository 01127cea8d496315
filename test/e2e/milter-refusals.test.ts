/**
 * A real Postfix with a real milter behind the daemon: what is refused after it was counted is given back,
 * by Postfix's log, and what Postfix accepts in any other way stays counted.
 */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { installDaemon } from '../support/daemon.ts'
import { bySubject, type Decide, startMilter } from '../support/milter.ts'
import { createPostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'
import { type MailResult, sendMail } from '../support/smtp-client.ts'

const GERMANY = '193.99.144.80'

const skip = postfixRigMissing()

t.test('mail that Postfix refuses after it was counted costs nothing', { skip }, async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '6' })
  const rig = await createPostfixRig({ users: ['alice', 'bob', 'carol', 'dave'] })
  /** Called while a message with the Subject `wait` is held up. */
  let whileWaiting: () => Promise<void> = async () => undefined
  const decide: Decide = async (message, stage) => {
    if (message.headers.subject?.trim() !== 'wait' || stage !== 'end of message') {
      return bySubject(message, stage)
    }
    await whileWaiting()
    return 'reject'
  }
  const milter = await startMilter(decide)
  t.teardown(async () => {
    await rig.remove()
    await milter.close()
    await daemon.remove()
  })
  const checks = join(rig.directory, 'checks')
  writeFileSync(checks, '/^Subject: forbidden/ REJECT 5.7.1 Not such a subject\n')
  const asked = `check_policy_service { inet:127.0.0.1:${daemon.port}, default_action=DUNNO, timeout=5s }`
  rig.set(
    `smtpd_milters = ${milter.address}`,
    `header_checks = regexp:${checks}`,
    `smtpd_end_of_data_restrictions = ${asked}, check_sender_access inline:{{dave@example.org=REJECT}}`,
  )
  // Where the daemon looks for Postfix's log.
  mkdirSync(join(daemon.root, 'var/log'), { recursive: true })
  symlinkSync(join(rig.directory, 'mail.log'), join(daemon.root, 'var/log/mail.log'))
  await daemon.start()
  await rig.start()

  let sent = 0
  function send(user: string, recipients: number, subject: string): Promise<MailResult> {
    return sendMail({
      port: rig.ports.submission,
      xclient: { ADDR: GERMANY, NAME: 'client.example.net' },
      user: rig.login(user),
      password: rig.password,
      from: `${user}@example.org`,
      to: Array.from({ length: recipients }, () => `to${sent++}@example.net`),
      message: `Subject: ${subject}\r\n\r\nhello\r\n`,
    })
  }
  /** Waits until this many messages have been given back since the daemon was installed. */
  const givenBack = (messages: number) =>
    daemon.logged(new RegExp(`(?:given back[^]*){${messages}}`))
  const OVER = /limit of 6|of your 6/

  await t.test('a milter rejects, defers or answers by itself: nothing is counted', async t => {
    const subjects = ['reject', 'tempfail', '550 5.7.1 Spam', '451 4.7.1 Greylisted']
    for (const [i, subject] of subjects.entries()) {
      const refused = await send('alice', 4, subject)
      t.notOk(refused.accepted, subject)
      t.notMatch(refused.last.text, OVER)
      t.ok(await givenBack(i + 1), `${subject} is given back`)
    }
    t.match(daemon.log(), /given back .*user="?alice.*milter-reject: END-OF-MESSAGE/)
  })

  await t.test('a content rule and a later restriction refuse: nothing is counted', async t => {
    t.notOk((await send('alice', 4, 'forbidden')).accepted)
    t.ok(await givenBack(5))
    t.notOk((await send('dave', 4, 'fine')).accepted, 'behind the daemon in the same list')
    t.ok(await givenBack(6))
    t.ok((await send('alice', 6, 'fine')).accepted, 'all six are still there')
    const over = await send('alice', 1, 'fine')
    t.match(over.last.text, OVER)
  })

  await t.test('what a milter discards or holds was accepted, and stays counted', async t => {
    t.ok((await send('bob', 2, 'discard')).accepted)
    t.ok((await send('bob', 2, 'quarantine')).accepted)
    t.ok((await send('bob', 2, 'fine')).accepted)
    await rig.logged(/milter-hold: /)
    t.match((await send('bob', 1, 'fine')).last.text, OVER)
  })

  await t.test('a refusal that the daemon did not live to see is given back later', async t => {
    whileWaiting = () => daemon.kill()
    const refused = await send('carol', 4, 'wait')
    t.notOk(refused.accepted)
    await daemon.start()
    t.ok(await givenBack(7))
    t.ok((await send('carol', 6, 'fine')).accepted)
    t.match((await send('carol', 1, 'fine')).last.text, OVER)
  })

  await t.test('status says where the log is, and how many messages it gave back', async t => {
    const { stdout } = await daemon.ctl('status')
    t.match(stdout, /^ok +mail log +\S*\/var\/log\/mail\.log, 1 message given/m, stdout)
  })
})
