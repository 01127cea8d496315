/**
 * What a mail user reads when a real Postfix passes on a refusal: our text, with the code at its end, on
 * one line that SMTP allows; and the code leads to the decision. The daemon runs in this process, with a
 * history in memory.
 */

import t, { type Test } from 'tap'
import { type HistoryDaemon, historyDaemon } from '../support/history-daemon.ts'
import { createPostfixRig, type PostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'
import { connectSmtp, type SmtpReply } from '../support/smtp-client.ts'
import { plugin } from '../support/world.ts'

const skip = postfixRigMissing()

/** Addresses whose country is beyond doubt. */
const GERMANY = '193.99.144.80'
const CHINA = '223.5.5.5'
/** RFC 5321, 4.5.3.1.5: octets, with the code and the line end. */
const LONGEST_REPLY = 512

interface Scene {
  readonly rig: PostfixRig
  /** One dialogue; the reply to the message, or to the first recipient that was refused. */
  send(recipients: readonly string[], address?: string): Promise<SmtpReply>
}

async function scene(t: Test, daemon: HistoryDaemon, list: string): Promise<Scene> {
  const rig = await createPostfixRig()
  t.teardown(() => rig.remove())
  const ask = `check_policy_service { inet:127.0.0.1:${daemon.port}, default_action=DUNNO, timeout=10s }`
  rig.set(`${list} = ${ask}${list.includes('relay') ? ', permit_sasl_authenticated, reject' : ''}`)
  await rig.start()
  return {
    rig,
    async send(recipients, address = GERMANY) {
      const smtp = await connectSmtp({ port: rig.ports.submission })
      try {
        await smtp.ehlo()
        await smtp.xclient({ ADDR: address, NAME: 'client.example.net' })
        await smtp.ehlo()
        await smtp.authPlain(rig.login('alice'), rig.password)
        await smtp.mail('alice@example.org')
        for (const recipient of recipients) {
          const reply = await smtp.rcpt(recipient)
          if (reply.code >= 400) return reply
        }
        return await smtp.data('Subject: test\r\n\r\nhello\r\n')
      } finally {
        smtp.close()
      }
    },
  }
}

function codeIn(t: Test, reply: SmtpReply): string {
  const line = `${reply.code} ${reply.text}\r\n`
  t.notMatch(reply.text, /\n/, 'one line')
  t.match(line, /^[ -~]*\r\n$/, 'of ASCII')
  t.ok(line.length <= LONGEST_REPLY, `${line.length} octets`)
  const code = / \(([A-Z2-9]{3}-[A-Z2-9]{3})\)$/.exec(reply.text)?.[1]
  t.ok(code, reply.text)
  return code ?? ''
}

const LANGUAGES = {
  en: {
    limit: /: This message has 4 recipients, but only 3 of your 5 for today are left \(/,
    country: /: Your account may not send mail from your current location \(CN, 223\.5\.5\.5\)/,
  },
  de: {
    limit:
      /: Diese Nachricht hat 4 Empfaenger, aber von Ihren 5 fuer heute sind nur noch 3 uebrig \(/,
    country: /: Von Ihrem derzeitigen Standort \(CN, 223\.5\.5\.5\) aus darf Ihr Konto keine Mail/,
  },
  fr: {
    limit: /: Ce message a 4 destinataires, /,
    country: /: Votre compte ne peut pas envoyer de courrier depuis /,
  },
} as const

t.test('at the end of a message, in three languages', { skip, timeout: 120_000 }, async t => {
  const daemon = await historyDaemon(t, { variables: { 'mtpolicyd/threshold': '5' } })
  const { rig, send } = await scene(t, daemon, 'smtpd_end_of_data_restrictions')
  const four = ['a@example.net', 'b@example.net', 'c@example.net', 'd@example.net']
  t.equal((await send(four.slice(0, 2))).code, 250)
  for (const [language, { limit, country }] of Object.entries(LANGUAGES)) {
    await t.test(language, async t => {
      t.equal((await daemon.ctl('set', `mtpolicyd/language=${language}`)).status, 0)
      await daemon.daemon.reload()
      const tooMany = await send(four)
      t.equal(tooMany.code, 554)
      t.match(tooMany.text, /^5\.7\.1 <END-OF-MESSAGE>: End-of-data rejected: /)
      t.match(tooMany.text, limit)
      const code = codeIn(t, tooMany)
      const away = await send(four.slice(0, 1), CHINA)
      t.match(away.text, country)
      t.not(codeIn(t, away), code)
      await rig.logged(new RegExp(`reject: .*\\(${code}\\)`))
      await daemon.explained(code)
      const { stdout, status } = await daemon.ctl('why', code, '--json')
      t.equal(status, 0)
      const shown = JSON.parse(stdout)
      t.match(shown, { code, account: rig.login('alice'), by: 'limit', recipients: 4 })
      t.equal(
        tooMany.text.split('rejected: ')[1],
        `${shown.action.slice('reject 5.7.1 '.length)} (${code})`,
      )
      const queueId = shown.attributes.queue_id
      t.match(rig.log(), `${queueId}: reject:`)
      const byQueueId = await daemon.ctl('why', '--queue-id', queueId, '--json')
      t.equal(byQueueId.stdout, stdout)
    })
  }
  t.equal(rig.queueIds().length, 1, 'nothing else was accepted')
})

t.test('whatever action a plugin answers at RCPT', { skip, timeout: 120_000 }, async t => {
  const actions = {
    'bare@example.net': ['reject', 554, ': Recipient address rejected: ('],
    'code@example.net': ['reject 5.7.1', 554, '5.7.1 <code@example.net>: '],
    'text@example.net': ['550 5.1.1 Not here', 550, ': Not here ('],
    'later@example.net': ['defer_if_permit', 450, '4.7.1 <later@example.net>: '],
    'number@example.net': ['450 4.2.0 Try again', 450, ': Try again ('],
  } as const
  const daemon = await historyDaemon(t, {
    plugins: Object.entries(actions)
      .map(([recipient, [action]], i) =>
        plugin(
          'Condition',
          `key = recipient\nmatch = ${recipient}\n${plugin('Action', `action = "${action}"`, `a${i}`)}`,
          `c${i}`,
        ),
      )
      .join(''),
  })
  const { rig, send } = await scene(t, daemon, 'smtpd_relay_restrictions')
  for (const [recipient, [action, code, text]] of Object.entries(actions)) {
    const reply = await send([recipient])
    t.equal(reply.code, code, action)
    t.ok(reply.text.includes(text), reply.text)
    const found = await daemon.ctl('why', codeIn(t, reply), '--json')
    t.match(JSON.parse(found.stdout), { action, attributes: { recipient } })
  }
  t.equal((await send(['welcome@example.net'])).code, 250)
  await rig.logged(/to=<welcome@example\.net>.*status=sent/)
  t.equal(rig.queueIds().length, 1)
})

t.test(
  'without a history, and in observe mode, nothing has a code',
  { skip, timeout: 120_000 },
  async t => {
    const daemon = await historyDaemon(t, {
      variables: { 'mtpolicyd/threshold': '1' },
      hasHistory: false,
    })
    const { send } = await scene(t, daemon, 'smtpd_end_of_data_restrictions')
    const two = ['a@example.net', 'b@example.net']
    const refused = await send(two)
    t.equal(refused.code, 554)
    t.match(refused.text, /only 1 of your 1 for today is left$/)

    const observing = await historyDaemon(t, {
      variables: { 'mtpolicyd/threshold': '1', 'mtpolicyd/mode': 'observe' },
    })
    const { send: sendThere } = await scene(t, observing, 'smtpd_end_of_data_restrictions')
    const passed = await sendThere(two)
    t.equal(passed.code, 250)
    t.notMatch(passed.text, /\(...-...\)/)
    t.strictSame(observing.history.kept, [])
    t.match(observing.history.noted, [{ code: '', sent: 'dunno', why: 'observed' }])
  },
)
