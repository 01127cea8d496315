/**
 * Several limits at once on a real Postfix: 100 recipients per day, 20 per hour, 10 per message. Each refuses
 * what is beyond it, in words of its own; what is counted in each window is what is queued.
 */

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { countedIn, queuedByLogin } from '../support/counted.ts'
import { type InstalledDaemon, installDaemon } from '../support/daemon.ts'
import { type Milter, startMilter } from '../support/milter.ts'
import { until } from '../support/policy-client.ts'
import { createPostfixRig, type PostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'
import { type MailResult, sendMail } from '../support/smtp-client.ts'

const skip = postfixRigMissing()

const ALICE = 'alice@mail.example.org'
/** Has no limit per hour. */
const BOB = 'bob@mail.example.org'
/** Sends more than a day lets through, if nobody stops it. */
const EVE = 'eve@mail.example.org'
const MINUTE = 60_000
const HOUR = 60 * MINUTE

interface Scene {
  readonly daemon: InstalledDaemon
  readonly rig: PostfixRig
  readonly milter: Milter
  send(login: string, recipients: number, subject?: string): Promise<MailResult>
  /** Sends messages of ten recipients, all of which are accepted. */
  sendTens(t: Test, login: string, messages: number): Promise<void>
}

async function scene(t: Test): Promise<Scene> {
  const daemon = await installDaemon({
    'mtpolicyd/threshold': '100',
    'mtpolicyd/threshold/hour': '20',
    'mtpolicyd/threshold/message': '10',
    [`mtpolicyd/user/${BOB.replace('@', '^40')}/threshold/hour`]: 'unlimited',
  })
  const milter = await startMilter()
  const rig = await createPostfixRig({ users: ['alice', 'bob', 'eve'] })
  t.teardown(async () => {
    await rig.remove()
    await milter.close()
    await daemon.remove()
  })
  rig.set(
    `smtpd_end_of_data_restrictions = check_policy_service { inet:127.0.0.1:${daemon.port}, default_action=DUNNO, timeout=100s }`,
    `smtpd_milters = ${milter.address}`,
  )
  const log = join(rig.directory, 'mail.log')
  const set = await daemon.ctl('set', `mtpolicyd/maillog=${log}`)
  t.equal(set.status, 0, set.stderr)
  await rig.start()
  await daemon.start()

  let sent = 0
  const send: Scene['send'] = (login, recipients, subject = 'test') =>
    sendMail({
      port: rig.ports.submission,
      user: login,
      password: rig.password,
      from: 'someone@example.org',
      to: Array.from({ length: recipients }, () => `to${sent++}@example.net`),
      message: `Subject: ${subject}\n\nhello\n`,
    })
  return {
    daemon,
    rig,
    milter,
    send,
    async sendTens(t, login, messages) {
      for (let i = 0; i < messages; i++) {
        const { accepted, last } = await send(login, 10)
        t.ok(accepted, `ten recipients: ${last.code} ${last.text}`)
      }
    },
  }
}

function refusedWith(t: Test, { accepted, last }: MailResult, text: RegExp): void {
  t.notOk(accepted)
  t.equal(last.code, 554)
  t.match(last.text, text)
}

/** The moment that is told, milliseconds since 1970; the daemon's time zone is the test's. */
function timeIn(text: string): number {
  const [, day, time] = /after (\d{4}-\d\d-\d\d) (\d\d:\d\d) \(/.exec(text) ?? []
  return Date.parse(`${day}T${time}`)
}

t.test('100 a day, 20 an hour, 10 a message', { skip, timeout: 300_000 }, async t => {
  const since = Date.now()
  const { daemon, rig, milter, send, sendTens } = await scene(t)
  /** The daemon says so when a message is no longer counted. */
  const givenBack = (login: string, times: number) =>
    until(() => daemon.log().split(`given back user=${login} `).length > times)

  await t.test('a message with eleven recipients is refused, and costs nothing', async t => {
    for (const login of [ALICE, BOB]) {
      refusedWith(t, await send(login, 11), /A message may have 10 recipients at most/)
    }
    t.strictSame(rig.queueIds(), [])
  })

  await t.test('the 21st recipient within an hour is told when it will fit', async t => {
    const first = Date.now()
    t.ok((await send(ALICE, 10)).accepted, 'ten')
    t.ok((await send(ALICE, 9)).accepted, 'nineteen')
    const tooMany = await send(ALICE, 2)
    refusedWith(
      t,
      tooMany,
      /This message has 2 recipients, but only 1 of your 20 per hour is left; it can be sent after \d/,
    )
    t.ok((await send(ALICE, 1)).accepted, 'twenty')
    const beyond = await send(ALICE, 1)
    const last = Date.now()
    refusedWith(
      t,
      beyond,
      /Limit of 20 recipients per hour reached; you can send again after \d{4}-\d\d-\d\d \d\d:\d\d \(/,
    )
    for (const { last: reply } of [tooMany, beyond]) {
      const again = timeIn(reply.text)
      t.ok(again >= first + HOUR, `${reply.text}: not within the hour`)
      // To the sixtieth of an hour, and rounded up to a minute.
      t.ok(again <= last + HOUR + 2 * MINUTE, `${reply.text}: and not much later`)
    }
    refusedWith(t, await send(ALICE, 11), /A message may have 10 recipients at most/)
  })

  await t.test('without a limit per hour, the 101st is refused for the day', async t => {
    await sendTens(t, BOB, 9)
    const rejected = await send(BOB, 10, 'reject')
    t.equal(rejected.last.code, 550, 'the milter refuses ten, which are given back')
    await givenBack(BOB, 1)
    t.ok((await send(BOB, 9)).accepted, 'ninety-nine')
    refusedWith(
      t,
      await send(BOB, 2),
      /This message has 2 recipients, but only 1 of your 100 for today is left/,
    )
    t.ok((await send(BOB, 1)).accepted, 'a hundred')
    refusedWith(
      t,
      await send(BOB, 1),
      /Daily limit of 100 recipients reached; you can send again after \d{4}-\d\d-\d\d 00:00 \(/,
    )
  })

  await t.test('what a milter refuses costs nothing in any window', async t => {
    const replies = { reject: 550, tempfail: 451, '552 5.7.0 Not this': 552 }
    for (const [i, [subject, code]] of Object.entries(replies).entries()) {
      const { last } = await send(EVE, 10, subject)
      t.equal(last.code, code, `${subject}: ${last.code} ${last.text}`)
      await givenBack(EVE, i + 1)
    }
    await sendTens(t, EVE, 2)
    refusedWith(t, await send(EVE, 1), /Limit of 20 recipients per hour reached/)
    t.equal(milter.answers.filter(({ answer }) => answer !== 'accept').length, 4)
  })

  await t.test('what is counted is what is queued, in every window', async t => {
    await until(() => rig.queueIds().length >= 16)
    const queued = queuedByLogin(rig.log())
    t.strictSame(
      [...queued].toSorted(),
      [
        [ALICE, 20],
        [BOB, 100],
        [EVE, 20],
      ],
      'queued',
    )
    await daemon.stop()
    const ledger = join(daemon.root, 'var/lib/univention-mtpolicyd/ledger.sqlite')
    const subjects = [...queued.keys()]
    const day = countedIn(ledger, { counter: 'limit', window: 'day', subjects, since })
    t.strictSame(day, queued, 'counted for the day')
    const window = { milliseconds: HOUR }
    const hour = countedIn(ledger, { counter: 'hour', window, subjects, since })
    t.strictSame(hour, queued, 'counted for the hour')
  })
})
