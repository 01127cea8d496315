/** What mails about alerts say: ours, and those of an administrator. */

import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { alertValues, digestValues, userValues } from '../../daemon/alerts/delivery/text-values.ts'
import { MailTexts, TEXT_NAMES, type TextName } from '../../daemon/alerts/delivery/texts.ts'
import { columnsOf } from '../../daemon/text/columns.ts'
import { alertOf } from '../support/alerts.ts'

const LANGUAGES = ['en', 'de', 'fr'] as const
const HOST = 'mail.example.org'

/** A folder of an administrator's own texts. */
function own(t: Test, texts: Readonly<Record<string, string>> = {}) {
  const etc = t.testdir({ 'alert-texts': texts })
  const logged: string[] = []
  const texts_ = new MailTexts(etc, line => void logged.push(line))
  return { etc, logged, texts: texts_ }
}

const valuesOf = {
  alert: (language: (typeof LANGUAGES)[number], given = {}) =>
    alertValues(alertOf(given), language, HOST),
  digest: (language: (typeof LANGUAGES)[number], given = {}) =>
    digestValues(
      Array.from({ length: 25 }, (_, at) => alertOf({ ...given, account: `user${at}` })),
      language,
      HOST,
    ),
  user: (language: (typeof LANGUAGES)[number], given = {}) =>
    userValues(alertOf(given), language, HOST),
} satisfies Record<TextName, unknown>

t.test('there is a text of each kind in each language, and it fits a terminal', async t => {
  const { texts, logged } = own(t)
  const folder = join(import.meta.dirname, '../../templates/alert-texts')
  t.strictSame(
    readdirSync(folder).toSorted(),
    TEXT_NAMES.flatMap(name => LANGUAGES.map(language => `${name}.${language}.txt`)).toSorted(),
  )
  for (const name of TEXT_NAMES) {
    for (const language of LANGUAGES) {
      for (const state of ['raised', 'cleared'] as const) {
        const { subject, text } = await texts.render(
          name,
          language,
          valuesOf[name](language, { state }),
        )
        const what = `${name} in ${language}, ${state}`
        t.ok(subject.length > 10 && text.length > 100, what)
        const lines = text.split('\n')
        t.strictSame(
          lines.filter(line => columnsOf(line) > 80),
          [],
          `${what}: no line is too wide`,
        )
        t.notMatch(text, /\{\{|undefined|\[object|\n{3}| \n|\.\.\n/, what)
      }
    }
  }
  t.strictSame(logged, [])
})

t.test('a mail about one alert says what, why, and what to do', async t => {
  const { texts } = own(t)
  const { subject, text } = await texts.render('alert', 'de', valuesOf.alert('de'))
  t.equal(
    subject,
    '[mail.example.org] alice@example.org hat 160 von 200 Empfängern am Tag verbraucht',
  )
  t.match(text, /^alice@example\.org hat 160 von 200 Empfängern am Tag verbraucht\.\nMail jenseits/)
  t.match(text, '\nWas zu tun ist:\n\n    mtpolicyctl user alice@example.org\n')
  const byRoot = { why: { en: 'root has asked for it', de: '' }, facts: { by: 'root' } }
  t.match(
    (await texts.render('alert', 'en', valuesOf.alert('en', byRoot))).text,
    '\nroot has asked',
  )
  const over = await texts.render('alert', 'en', valuesOf.alert('en', { state: 'cleared' }))
  t.match(over.subject, '[mail.example.org] over: alice@example.org has used')
  t.match(over.text, /^This is over:\n/)
  t.notMatch(over.text, 'What to do')
})

t.test('a command is on a line of its own, as a whole', async t => {
  const { texts } = own(t)
  const long = `${'x'.repeat(60)}@${'y'.repeat(30)}.example.org`
  for (const [remedy, lines] of [
    [
      `mtpolicyctl user ${long}; if it is not the user: mtpolicyctl block ${long}`,
      [`mtpolicyctl user ${long}`, 'if it is not the user:', `mtpolicyctl block ${long}`],
    ],
    [
      String.raw`mtpolicyctl user 'a; rm -rf /'; wenn nicht: mtpolicyctl block 'b'\''; x: mtpolicyctl y'`,
      [
        "mtpolicyctl user 'a; rm -rf /'",
        'wenn nicht:',
        String.raw`mtpolicyctl block 'b'\''; x: mtpolicyctl y'`,
      ],
    ],
    [
      'choose another port: mtpolicyctl set mtpolicyd/web/port=PORT; or switch it off: mtpolicyctl web off',
      [
        'choose another port:',
        'mtpolicyctl set mtpolicyd/web/port=PORT',
        'or switch it off:',
        'mtpolicyctl web off',
      ],
    ],
    ["make room on the host's disk", ["make room on the host's disk"]],
    [
      'voyez : mtpolicyctl top ; sinon : systemctl status x',
      ['voyez :', 'mtpolicyctl top', 'sinon :', 'systemctl status x'],
    ],
  ] as const) {
    const { text } = await texts.render(
      'alert',
      'en',
      valuesOf.alert('en', { remedy: { en: remedy, de: '' } }),
    )
    const [, steps = ''] = /\nWhat to do:\n\n([\s\S]*?)\n\n/.exec(text) ?? []
    t.strictSame(
      steps.split('\n'),
      lines.map(line => `    ${line}`),
    )
  }
})

t.test('a digest lists twenty of each kind, and tells how many there are', async t => {
  const { texts } = own(t)
  const many = Array.from({ length: 1000 }, (_, at) =>
    alertOf({
      account: `user${at}@example.org`,
      kind: at % 2 ? 'account-near' : 'account-at-limit',
    }),
  )
  const { subject, text } = await texts.render('digest', 'en', digestValues(many, 'en', HOST))
  t.equal(subject, '[mail.example.org] 1000 alerts about 1000 accounts')
  t.equal(text.match(/has used 160/g)?.length, 40)
  t.match(text, '\naccount-near (500)\n')
  t.match(text, 'and 480 more\n')
  t.ok(text.length < 8000, `${text.length} characters`)
})

t.test('what a user has chosen cannot add a line, a header or a direction', async t => {
  const { texts } = own(t)
  const evil = 'x\r\n\r\nWhat to do:\r\n\r\n    rm -rf /\u2028\u202egnp.exe\u0007{{what}}<b>&amp;'
  const words = { en: evil, de: evil, fr: evil }
  const given = {
    account: evil,
    kind: evil,
    what: words,
    why: words,
    remedy: words,
    facts: { user: evil, country: evil },
  }
  for (const name of TEXT_NAMES) {
    const usual = await texts.render(name, 'en', valuesOf[name]('en'))
    const { subject, text } = await texts.render(name, 'en', valuesOf[name]('en', given))
    t.notMatch(subject + text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    t.equal(text.match(/^What to do:/gm)?.length, usual.text.match(/^What to do:/gm)?.length)
    t.notMatch(text, /^ *rm -rf/m)
    if (name === 'alert') t.match(text, '{{what}}<b>&amp;', 'neither filled in nor escaped')
  }
})

t.test('an administrator’s own text takes the place of ours, at once', async t => {
  const { etc, texts, logged } = own(t, {
    'user.fr.txt':
      '\ufeffSubject: Attention {{user}}\r\n\r\nBonjour & {{percent}} % <{{facts}}{{host}}>\r\n',
  })
  const values = { ...userValues(alertOf(), 'fr', HOST), facts: '' }
  t.strictSame(await texts.render('user', 'fr', values), {
    subject: 'Attention alice@example.org',
    text: 'Bonjour & 80 % <mail.example.org>\n',
  })
  writeFileSync(join(etc, 'alert-texts/user.fr.txt'), 'Subject: Autre\n\nAutre texte\n')
  t.equal((await texts.render('user', 'fr', values)).subject, 'Autre')
  t.match((await texts.render('user', 'de', values)).subject, 'Limits', 'the others are ours')
  t.strictSame(logged, [])
})

t.test('an own text that cannot be used is reported, and ours is sent', async t => {
  const file = 'user.en.txt'
  const values = userValues(alertOf(), 'en', HOST)
  const broken: ReadonlyArray<readonly [text: string, why: RegExp]> = [
    ['no subject\n', /expected "Subject: TEXT"/],
    ['Subject: x\nno empty line\n', /expected "Subject: TEXT"/],
    ['Subject: {{#if atLimit}}x\n\ny\n', /Parse error on line 1/],
    ['Subject: x\n\n{{uzer}}\n', /"uzer" not defined/],
    ['Subject: x\n\n{{constructor.constructor}}\n', /"constructor" not defined/],
    ['Subject: x\n\n{{> other}}\n', /partial other could not be found/],
    ['Subject: x\n\n{{#if false}}{{/if}}\n', /no subject, or no text/],
    [`Subject: x\n\n${'y'.repeat(70_000)}\n`, /more than 65536 bytes/],
  ]
  for (const [text, why] of broken) {
    const { texts, logged } = own(t, { [file]: text })
    t.match(
      (await texts.render('user', 'en', values)).subject,
      'You have used 80 %',
      text.slice(0, 40),
    )
    t.match(logged, [why])
    t.match(logged[0], `alert-texts/${file} cannot be used, so the mail has the usual text: `)
    t.notMatch(logged[0], '\n')
  }
  const { etc, texts, logged } = own(t)
  mkdirSync(join(etc, 'alert-texts', file))
  t.match((await texts.render('user', 'en', values)).subject, 'You have used 80 %')
  symlinkSync('/dev/zero', join(etc, 'alert-texts/alert.en.txt'))
  t.match((await texts.render('alert', 'en', valuesOf.alert('en'))).subject, 'has used')
  t.match(logged, [/not a file|EISDIR/, /not a file/])
})
