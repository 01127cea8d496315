/**
 * A real Postfix that refuses mail by itself, or by a filter before its queue, after the daemon has counted
 * it: what is counted in the end is what it accepted, by recipients as the client named them.
 */

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { freePort, installDaemon } from '../support/daemon.ts'
import { createPostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'
import { connectSmtp, type MailResult, sendMail } from '../support/smtp-client.ts'
import { startSmtpProxy } from '../support/smtp-proxy.ts'

const GERMANY = '193.99.144.80'
const OVER = /limit of 6|of your 6/

const skip = postfixRigMissing()

t.test('mail that Postfix itself refuses after it was counted costs nothing', { skip }, async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '6' })
  const rig = await createPostfixRig({ users: ['alice', 'bob', 'carol', 'dave', 'erin'] })
  const proxy = await startSmtpProxy()
  t.teardown(async () => {
    await rig.remove()
    await proxy.close()
    await daemon.remove()
  })
  const asked = `check_policy_service { inet:127.0.0.1:${daemon.port}, default_action=DUNNO, timeout=5s }`
  const checks = join(rig.directory, 'checks')
  const map = join(rig.directory, 'map')
  writeFileSync(
    checks,
    '/^Subject: forbidden/ REJECT 5.7.1 Not such a subject\n' +
      '/^Subject: discard/ DISCARD unwanted\n' +
      '/^Subject:/ WARN seen\n',
  )
  writeFileSync(map, 'alice@example.org archive@example.org\n')
  // The submission services of Debian and others do not look recipients up, so cleanup is the first that does.
  rig.set(
    `smtpd_end_of_data_restrictions = ${asked}`,
    'smtpd_reject_unlisted_recipient = no',
    `header_checks = regexp:${checks}`,
    'virtual_alias_domains =',
  )
  mkdirSync(join(daemon.root, 'var/log'), { recursive: true })
  symlinkSync(join(rig.directory, 'mail.log'), join(daemon.root, 'var/log/mail.log'))
  await daemon.start()
  await rig.start()

  let sent = 0
  function send(user: string, recipients: number, message: string): Promise<MailResult> {
    return sendMail({
      port: rig.ports.submission,
      xclient: { ADDR: GERMANY, NAME: 'client.example.net' },
      user: rig.login(user),
      password: rig.password,
      from: `${user}@example.org`,
      to: Array.from({ length: recipients }, () => `to${sent++}@example.net`),
      message: message.includes('\r\n') ? message : `Subject: ${message}\r\n\r\nhello\r\n`,
    })
  }
  let given = 0
  /** Waits for one more. */
  const isGivenBack = () => daemon.logged(new RegExp(`(?:given back[^]*){${++given}}`))
  /** Sends a message to four, which Postfix refuses, and waits until it was given back. */
  async function refused(t: Test, user: string, message: string, words: RegExp): Promise<void> {
    const { accepted, last } = await send(user, 4, message)
    t.notOk(accepted, message.slice(0, 40))
    t.match(last.text, words)
    t.ok(await isGivenBack(), 'given back')
  }
  /** All six recipients are still there, and not one more. */
  async function hasSix(t: Test, user: string): Promise<void> {
    t.ok((await send(user, 6, 'fine')).accepted, `${user} has all six`)
    t.match((await send(user, 1, 'fine')).last.text, OVER)
  }
  async function withSettings(...assignments: string[]): Promise<void> {
    rig.set(...assignments)
    await rig.restart()
  }

  await t.test('a rule for headers, and a loop, are refused for good', async t => {
    await refused(t, 'alice', 'forbidden', /Not such a subject/)
    const hops = 'Received: from a by b; Mon, 30 Nov 2026 20:41:02 +0000\r\n'.repeat(60)
    await refused(t, 'alice', `${hops}Subject: loop\r\n\r\nhello\r\n`, /too many hops/)
  })

  await t.test('a header is refused while the message still comes in', async t => {
    const client = await connectSmtp({ port: rig.ports.submission })
    await client.xclient({ ADDR: GERMANY, NAME: 'client.example.net' })
    await client.ehlo()
    await client.authPlain(rig.login('alice'), rig.password)
    await client.mail('alice@example.org')
    for (const name of ['a', 'b', 'c', 'd']) await client.rcpt(`${name}@example.net`)
    await client.command('DATA')
    client.write(`Subject: forbidden early\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(1000)}`)
    await rig.logged(/reject: header Subject: forbidden early/)
    // Longer than the daemon takes to read the log.
    await sleep(500)
    t.match((await client.command('.')).text, /Not such a subject/)
    await client.quit()
    t.ok(await isGivenBack())
  })

  await t.test('a map of copies whose file is gone defers mail until it is back', async t => {
    await withSettings(`sender_bcc_maps = texthash:${map}`)
    rmSync(map)
    await rig.restart()
    for (let i = 0; i < 3; i++) await refused(t, 'alice', 'fine', /queue file write error/)
    await withSettings('sender_bcc_maps =')
  })

  await t.test('a server for aliases that does not answer defers mail', async t => {
    const nobody = await freePort()
    await withSettings(`virtual_alias_maps = socketmap:inet:127.0.0.1:${nobody}:aliases`)
    await refused(t, 'alice', 'fine', /queue file write error/)
  })

  await t.test('an alias with too many members is refused, one that fits counts once', async t => {
    writeFileSync(map, '/^to[0-9]+@/ a@example.net, b@example.net, c@example.net\n')
    await withSettings(
      `virtual_alias_maps = regexp:${map}`,
      'virtual_alias_expansion_limit = 2',
      'virtual_alias_domains =',
    )
    await refused(t, 'alice', 'fine', /Alias expansion error/)
    await withSettings('virtual_alias_expansion_limit = 1000', 'always_bcc = archive@example.org')
    await hasSix(t, 'alice')
    await rig.logged(/from=<alice@example\.org>, size=\d+, nrcpt=19 \(queue active\)/)
    t.match(daemon.log(), /given back .*user="?alice/)
    await withSettings('virtual_alias_maps =')
  })

  await t.test('a copy for the archive costs nothing', async t => {
    await hasSix(t, 'carol')
    await rig.logged(/from=<carol@example\.org>, size=\d+, nrcpt=7 \(queue active\)/)
    await withSettings('always_bcc =')
  })

  await t.test('what is discarded or only looked at stays counted, whatever it says', async t => {
    const nasty =
      'x: milter-reject: END-OF-MESSAGE from a[192.0.2.1]: 5.7.1 x; from=<erin@example.org>'
    t.ok((await send('erin', 2, 'discard')).accepted)
    t.ok((await send('erin', 4, nasty)).accepted)
    await rig.logged(/warning: header Subject: x: milter-reject: END-OF-MESSAGE/)
    t.match((await send('erin', 1, 'fine')).last.text, OVER)
  })

  await t.test('a filter before the queue refuses, where nothing has a queue id', async t => {
    await withSettings(`smtpd_proxy_filter = ${proxy.address}`)
    t.ok((await send('bob', 1, 'fine')).accepted)
    await refused(t, 'bob', '550 5.7.1 Spam; from=<nobody>', /Spam/)
    await refused(t, 'bob', '451 4.7.1 Later', /Later/)
    t.ok((await send('bob', 5, 'fine')).accepted, 'the one that passed is counted')
    t.match((await send('bob', 1, 'fine')).last.text, OVER)
    t.match(daemon.log(), /given back .*user="?bob.*proxy-reject: END-OF-MESSAGE 550 5\.7\.1 Spam/)
    await withSettings('smtpd_proxy_filter =')
  })

  await t.test('counted at DATA, a message is too big', async t => {
    await withSettings(
      'smtpd_end_of_data_restrictions =',
      `smtpd_data_restrictions = ${asked}`,
      'message_size_limit = 10000',
    )
    await refused(t, 'dave', `Subject: big\r\n\r\n${'x'.repeat(70)}\r\n`.repeat(300), /too big/)
    await hasSix(t, 'dave')
  })
})
