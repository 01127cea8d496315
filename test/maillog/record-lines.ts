/**
 * Records what the Postfix of this machine logs about mail that is refused, discarded and held in every
 * way: for test/fixtures/maillog. Needs root.
 *
 *   node test/maillog/record-lines.ts > test/fixtures/maillog/postfix-3.7.log
 */

import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Decide, startMilter } from '../support/milter.ts'
import { createPostfixRig, type PostfixRig } from '../support/postfix-rig.ts'
import { sendMail } from '../support/smtp-client.ts'

type Xclient = Readonly<Record<string, string>>

const V4: Xclient = { ADDR: '193.99.144.80', NAME: 'client.example.net' }
const V6: Xclient = { ADDR: '2001:db8::80', NAME: '[UNAVAILABLE]' }
const NOBODY: Xclient = { ADDR: '[UNAVAILABLE]', NAME: '[UNAVAILABLE]' }

/** By the first recipient: `rcpt-reject@…`; else by the Subject, at the end. */
const decide: Decide = (message, stage) => {
  const [, at = '', what = ''] = /^(\w+)-(\w+)@/.exec(message.to.at(-1) ?? '') ?? []
  if (at !== '' && stage.startsWith(at)) return what === 'reject' ? 'reject' : 'tempfail'
  if (stage !== 'end of message') return 'continue'
  const subject = message.headers.subject ?? ''
  if (subject === 'discard' || subject === 'quarantine' || subject === 'reject') return subject
  if (subject === 'spam') return '550 5.7.1 Spam; from=<nobody> is not welcome'
  return subject === 'later' ? '451 4.7.1 Greylisted' : 'continue'
}

async function send(rig: PostfixRig, to: string, subject: string, client: Xclient): Promise<void> {
  await sendMail({
    port: rig.ports.submission,
    xclient: client,
    user: rig.login('alice'),
    password: rig.password,
    from: subject === 'null' ? '' : 'alice@example.org',
    to: to.split(' '),
    message: `Subject: ${subject}\r\n\r\nhello\r\n`,
  })
}

async function sendAll(rig: PostfixRig): Promise<void> {
  for (const client of [V4, V6, NOBODY]) {
    for (const subject of ['fine', 'reject', 'spam', 'later', 'discard', 'quarantine', 'null']) {
      await send(rig, 'bob@example.net carol@example.net', subject, client)
    }
    for (const subject of ['header reject', 'header discard', 'header hold', 'header warn']) {
      await send(rig, 'bob@example.net', `${subject} from evil[192.0.2.1]; from=<x> to=<y>`, client)
    }
    for (const name of ['rcpt-reject', 'data-reject', 'data-tempfail', 'header-reject']) {
      await send(rig, `${name}@example.net`, 'fine', client)
    }
    await send(rig, 'refused@example.com', 'fine', client)
    await send(rig, '"odd > to=<x>"@example.net', 'reject', client)
  }
}

const milter = await startMilter(decide)
const rig = await createPostfixRig()
try {
  const checks = path.join(rig.directory, 'checks')
  fs.writeFileSync(
    checks,
    '/^Subject: header reject/ REJECT 5.7.1 Not such a subject\n' +
      '/^Subject: header discard/ DISCARD unwanted\n' +
      '/^Subject: header hold/ HOLD to be looked at\n' +
      '/^Subject: header warn/ WARN look\n',
  )
  const recipients = path.join(rig.directory, 'recipients')
  fs.writeFileSync(recipients, '/^refused@/ REJECT nobody here\n')
  rig.set(
    `smtpd_milters = ${milter.address}`,
    `header_checks = regexp:${checks}`,
    `smtpd_recipient_restrictions = check_recipient_access regexp:${recipients}, permit`,
  )
  await rig.start()
  await sendAll(rig)
  rig.set('smtpd_milters =', 'header_checks =', 'enable_long_queue_ids = yes')
  rig.set('strict_7bit_headers = yes', 'syslog_name = mta-out', 'smtpd_client_port_logging = yes')
  await rig.restart()
  await send(rig, 'bob@example.net', 'fine', V4)
  await send(rig, 'bob@example.net', 'ümlaut', V6)
  rig.set('smtpd_end_of_data_restrictions = reject')
  await rig.restart()
  await send(rig, 'bob@example.net', 'fine', V4)
  rig.set('smtpd_end_of_data_restrictions = warn_if_reject reject')
  rig.set('smtpd_data_restrictions = check_sender_access static:{DEFER not now}')
  await rig.restart()
  await send(rig, 'bob@example.net', 'fine', V6)
  rig.set('smtpd_data_restrictions =', 'syslog_facility = mail')
  await rig.restart()
  await send(rig, 'bob@example.net', 'fine', V6)
  await sleep(2000)
  process.stdout.write(rig.log().replaceAll(rig.directory, '/srv/rig'))
} finally {
  await rig.remove()
  await milter.close()
}
