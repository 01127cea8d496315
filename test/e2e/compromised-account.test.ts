/**
 * The main job on a real Postfix: a stolen password sends no more than the limit, from no other
 * country, and nobody else is touched.
 */

import t from 'tap'
import { type InstalledDaemon, installDaemon } from '../support/daemon.ts'
import { createPostfixRig, type PostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'
import { type MailResult, sendMail } from '../support/smtp-client.ts'

/** Addresses whose country is beyond doubt. */
const GERMANY = '193.99.144.80'
const CHINA = '223.5.5.5'

const skip = postfixRigMissing()

t.test('a compromised account is stopped', { skip }, async t => {
  const daemon: InstalledDaemon = await installDaemon({ 'mtpolicyd/threshold': '5' })
  const rig: PostfixRig = await createPostfixRig()
  t.teardown(async () => {
    await rig.remove()
    await daemon.remove()
  })
  rig.set(
    `smtpd_end_of_data_restrictions = check_policy_service { inet:127.0.0.1:${daemon.port}, default_action=DUNNO, timeout=5s }`,
  )
  await daemon.start()
  await rig.start()

  let sent = 0
  /** Sends as a user who logs in from `address`. */
  function send(user: string, recipients: number, address = GERMANY): Promise<MailResult> {
    return sendMail({
      port: rig.ports.submission,
      xclient: { ADDR: address, NAME: 'client.example.net' },
      user: rig.login(user),
      password: rig.password,
      from: `${user}@example.org`,
      to: Array.from({ length: recipients }, () => `to${sent++}@example.net`),
    })
  }
  const queued = (): number => rig.queueIds().length

  await t.test(
    'exactly five recipients pass, the next message is refused with our text',
    async t => {
      t.ok((await send('alice', 2)).accepted, 'two')
      t.ok((await send('alice', 3)).accepted, 'three more')
      await rig.logged(/to4@example\.net.*status=sent/)
      const before = queued()
      const refused = await send('alice', 1)
      t.notOk(refused.accepted)
      t.equal(refused.last.code, 554)
      t.match(refused.last.text, /^5\.7\.1 <END-OF-MESSAGE>: End-of-data rejected: /)
      t.match(refused.last.text, /Daily limit of 5 recipients reached; /)
      t.match(refused.last.text, /you can send again after \d{4}-\d\d-\d\d 00:00 \(/)
      t.equal(queued(), before, 'nothing of it is queued')
    },
  )

  await t.test(
    'a message that would overshoot is refused whole, and says what is left',
    async t => {
      t.ok((await send('bob', 3)).accepted)
      const refused = await send('bob', 3)
      t.notOk(refused.accepted)
      t.match(
        refused.last.text,
        /This message has 3 recipients, but only 2 of your 5 for today are left/,
      )
      t.ok((await send('bob', 2)).accepted, 'two still fit')
      t.notOk((await send('bob', 1)).accepted)
    },
  )

  await t.test(
    'a login from a country outside the list is refused, from inside it is not',
    async t => {
      const refused = await send('alice', 1, CHINA)
      t.notOk(refused.accepted)
      t.match(
        refused.last.text,
        /may not send mail from your current location \(CN, 223\.5\.5\.5\)/,
      )
      t.ok(await daemon.logged(/country=CN .*by=countries/))
    },
  )

  await t.test('inbound mail is untouched, from anywhere', async t => {
    const inbound = await sendMail({
      port: rig.ports.smtp,
      xclient: { ADDR: CHINA, NAME: 'mx.example.net' },
      from: 'stranger@example.net',
      to: ['one@example.org', 'two@example.org', 'three@example.org'],
    })
    t.ok(inbound.accepted)
  })

  await t.test('after kill -9 and a restart the count stands', async t => {
    await daemon.kill()
    await daemon.start()
    const refused = await send('alice', 1)
    t.notOk(refused.accepted)
    t.match(refused.last.text, /Daily limit of 5 recipients reached/)
  })

  await t.test('threshold=8 lets exactly three more pass, at once', async t => {
    const set = await daemon.ctl('set', 'mtpolicyd/threshold=8')
    t.equal(set.status, 0, set.stderr)
    t.ok((await send('alice', 3)).accepted)
    t.notOk((await send('alice', 1)).accepted)
  })

  await t.test(
    'with the daemon hanging mail passes after two timeouts, and Postfix says so',
    async t => {
      const { pid } = daemon
      if (pid === undefined) throw new Error('no process')
      const asked = Date.now()
      process.kill(pid, 'SIGSTOP')
      const passed = await send('alice', 1)
      process.kill(pid, 'SIGCONT')
      t.ok(passed.accepted)
      t.comment(
        `after ${Date.now() - asked} ms; two timeouts of 5 s and 1 s between them are allowed`,
      )
      await rig.logged(/warning: .*problem talking to server/)
      t.notOk((await send('alice', 1)).accepted, 'and it goes on where it was')
    },
  )

  await t.test('with the daemon gone mail passes, and Postfix says so', async t => {
    await daemon.stop()
    t.ok((await send('alice', 1)).accepted)
    await rig.logged(/warning: .*problem talking to server/)
    await daemon.start()
    t.notOk((await send('alice', 1)).accepted)
  })
})

t.test('however Postfix asks, a message is counted once', { skip }, async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '10' })
  const rig = await createPostfixRig()
  t.teardown(async () => {
    await rig.remove()
    await daemon.remove()
  })
  const service = `check_policy_service { inet:127.0.0.1:${daemon.port}, default_action=DUNNO, timeout=5s }`
  rig.set(
    `smtpd_recipient_restrictions = ${service}, permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination`,
    `smtpd_data_restrictions = ${service}`,
    `smtpd_end_of_data_restrictions = ${service}`,
  )
  await daemon.start()
  await rig.start()
  const send = (to: string[], via: 'DATA' | 'BDAT' = 'DATA') =>
    sendMail({
      port: rig.ports.submission,
      xclient: { ADDR: GERMANY, NAME: 'client.example.net' },
      user: rig.login('alice'),
      password: rig.password,
      from: 'alice@example.org',
      to,
      via,
    })

  t.ok((await send(['a@example.net', 'b@example.net', 'c@example.net'])).accepted)
  t.ok((await send(['a@example.net', 'b@example.net'], 'BDAT')).accepted)
  t.ok(await daemon.logged(/rcpt=2 .* used=5 limit=10/), 'five after five')

  // Ten recipients do not fit into the five that are left: the first five are taken, the rest refused.
  const many = await send(Array.from({ length: 10 }, (_, i) => `x${i}@example.net`))
  t.same(
    many.recipients.map(reply => reply.code),
    [250, 250, 250, 250, 250, 554, 554, 554, 554, 554],
  )
  t.ok(many.accepted, 'the message goes to those five')
  t.notOk((await send(['z@example.net'])).accepted, 'and then it is full')
})
