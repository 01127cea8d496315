/** Mails about alerts, as Python's parser reads them. */

import fc from 'fast-check'
import t from 'tap'
import { formatMail, type MailMessage } from '../../daemon/alerts/delivery/mail-message.ts'
import { headerOf, parseMail, parseMails, parserMissing } from '../support/alerts.ts'
import { runs } from '../support/fuzz.ts'

const MAIL: MailMessage = {
  from: { name: 'mtpolicyd', address: 'root@mail.example.org' },
  to: 'root@example.org',
  subject: 'a test',
  text: 'A line.\n',
  language: 'en',
  date: Date.UTC(2026, 11, 1, 7, 45, 14),
  id: '1764575000123-1',
  thread: 'abc',
  hostName: 'mail.example.org',
  alert: 'account-near raised 1764575000123-1',
}

const skip = parserMissing

t.test('a mail in ASCII is readable as it is', async t => {
  t.equal(
    formatMail(MAIL),
    `From: "mtpolicyd" <root@mail.example.org>
To: root@example.org
Subject: a test
Date: Tue, 01 Dec 2026 07:45:14 +0000
Message-ID: <1764575000123-1@mail.example.org>
References: <abc@mail.example.org>
Auto-Submitted: auto-generated
Precedence: bulk
X-Auto-Response-Suppress: All
X-Mtpolicyd-Alert: account-near raised 1764575000123-1
MIME-Version: 1.0
Content-Language: en
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

A line.
`,
  )
})

t.test('umlauts arrive, in the subject, the sender and the text', { skip }, async t => {
  const subject =
    'Mail von jürgen.größmann@example.org über das Limit hinaus wurde abgelehnt (200 von 200)'
  const text = 'Größe: 5 € für Ähnliches = gut. \n.\nFrom hier an\n\tmit Tabulator \t\n'
  const mail = formatMail({
    ...MAIL,
    subject,
    text,
    language: 'de',
    to: 'o"neill wird@größe.example',
    from: { name: 'Mail-Wächter "Süd"', address: 'wache@example.org' },
  })
  t.match(mail, /^[\n\t -~]*$/, 'all of it is ASCII')
  const parsed = parseMail(mail)
  t.strictSame(parsed.defects, [])
  t.equal(headerOf(parsed, 'Subject'), subject)
  t.strictSame(parsed.from, [['Mail-Wächter "Süd"', 'wache@example.org']])
  t.strictSame(parsed.to, ['"o\\"neill wird"@xn--gre-6ka8i.example'])
  t.equal(parsed.text, text)
  t.equal(parsed.date, 1_796_111_114)
})

t.test('no text becomes a header, a line of its own, or the end of the mail', { skip }, async t => {
  const evil = 'x\r\nBcc: victim@example.net\r\n\r\n<html>\u2028Cc: b@example.net\u0085\0'
  const mail = formatMail({
    ...MAIL,
    subject: evil,
    to: 'root\nBcc: victim@example.net',
    from: { name: evil, address: `a${evil}@example.org` },
    id: evil,
    thread: evil,
    hostName: evil,
    alert: evil,
    text: '\n.\n\nFrom me\n',
  })
  const names = mail.slice(0, mail.indexOf('\n\n')).match(/^[\w-]+:/gm)
  t.strictSame(
    names,
    formatMail(MAIL)
      .slice(0, formatMail(MAIL).indexOf('\n\n'))
      .match(/^[\w-]+:/gm),
    'the same headers as in any mail',
  )
  t.notMatch(mail, /^(?:Bcc|Cc):|^From |^\.$|\r|\0/m)
})

t.test('any text arrives, in lines that no mail server breaks', { skip }, async t => {
  const text = fc.string({ unit: 'grapheme', maxLength: 400 })
  const lines = fc.array(text, { maxLength: 8 }).map(all => `${all.join('\n').trim()}\n`)
  const mails: { subject: string; text: string; mail: string }[] = []
  fc.assert(
    fc.property(text, lines, (subject, body) => {
      const mail = formatMail({ ...MAIL, subject: `a ${subject}`, text: body })
      for (const line of mail.split('\n')) {
        if (line.length > 78 || !/^[\t -~]*$/.test(line)) throw new Error(JSON.stringify(line))
      }
      mails.push({ subject: `a ${subject}`, text: body, mail })
    }),
    { numRuns: runs(100) },
  )
  const parsed = parseMails(mails.map(({ mail }) => mail))
  const plain = (one: string): string => one.replaceAll(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  for (const [at, { subject, text }] of mails.entries()) {
    const one = parsed[at]
    if (one === undefined) throw new Error('not parsed')
    t.strictSame(one.defects, [])
    t.equal(plain(headerOf(one, 'Subject') ?? ''), plain(subject))
    t.equal(one.text.trimEnd(), text.replaceAll(/\r\n?/g, '\n').trimEnd())
  }
})
