/**
 * One account has one count, however its name is written, and nobody writes himself into another's:
 * in the ledger, in the variables of a user, in the log.
 */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { accountName } from '../../daemon/policy/account.ts'
import { nameKey, userName, userNameProblem } from '../../daemon/registry/name-key.ts'
import { installDaemon } from '../support/daemon.ts'
import { runs } from '../support/fuzz.ts'
import { answering, peerServer } from '../support/peer-server.ts'
import { type PolicyClient, policyClient, requestText } from '../support/policy-client.ts'

const DOMAIN = 'example.org'
const of = (name: string): string => accountName(name, DOMAIN)

/** What a directory takes for the name in front. */
const SAME: Readonly<Record<string, readonly string[]>> = {
  alice: [
    'ALICE',
    'Alice@Example.ORG',
    ' alice ',
    'alice @example.org',
    'alice\u00a0@example.org',
    'ａｌｉｃｅ',
    'ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｏｒｇ',
    'al\u00adice',
    'al\u200bice',
    'alice\u200f',
    '\u202ealice',
    'alice\ufeff',
    'alice\ufe0f',
    'ali\u034fce',
    'al\u180eice',
    'al\u1806ice',
    'alice\ufffc',
    'alice\u0007',
    'alice\u{e0061}',
    '𝐚𝒍𝓲𝔠𝕖',
    'ⓐⓛⓘⓒⓔ',
  ],
  'anna maria': [
    'anna  maria',
    'anna\tmaria',
    'anna \u200b maria',
    'anna\u0085maria',
    'Anna　Maria',
  ],
  'fi-lig': ['ﬁ-lig', 'ﬁ-ｌig'],
  joséx: ['jose\u0301x', 'JOSÉx', 'JOSE\u0301X'],
  'straße@other.example': [
    'STRAßE@Other.Example',
    'straẞe@other.example',
    'STRASSE@other.example',
    'strasse@other.example',
  ],
  νίκος: ['ΝΊΚΟΣ', 'νίκοσ'],
  k: ['K', '\u212a'],
  ᾳdis: ['ΑΙdis', 'αιdis', 'ᾼdis'],
  ŉ: ['ʼn', 'ʼN'],
}

/** Each an account of its own. */
const DIFFERENT = [
  'alice',
  'аlice', // Cyrillic
  'αlice',
  'alıce',
  'älice',
  'alice.',
  'alice/',
  '/alice',
  'alice/..',
  '../alice',
  'a/../alice',
  '..',
  '.',
  '/',
  'alice@other.example',
  'alice@example.org.',
  'alice@@example.org',
  '@example.org',
  'alice" verdict="dunno',
  "alice'",
  'alice\\',
  'alice%00',
  'alice^2f',
  'al ice',
  'a*',
  '*',
  'alice\ufffd',
  '__proto__',
  'constructor',
  'toString',
  'alice=alice',
  'x'.repeat(255),
  'x'.repeat(256),
  `${'x'.repeat(254)}y`,
]

t.test('names that a directory takes for one are one', t => {
  for (const [name, others] of Object.entries(SAME)) {
    for (const other of others) t.equal(of(other), of(name), JSON.stringify(other))
  }
  t.end()
})

t.test('names that are not the same stay apart', t => {
  const names = new Map(DIFFERENT.map(name => [of(name), name]))
  t.equal(names.size, DIFFERENT.length)
  for (const name of DIFFERENT) t.not(of(name), '', name)
  t.equal(of(''), '', 'nobody has logged in')
  t.not(of('\u200b'), '', 'a name that is not to be seen is a name')
  t.not(of(' '), '')
  t.end()
})

t.test('a default domain is cut once, and only as a whole', t => {
  t.equal(of('alice@example.org@example.org'), 'alice@example.org')
  t.equal(of('alice@badexample.org'), 'alice@badexample.org')
  t.equal(of('alice@sub.example.org'), 'alice@sub.example.org')
  t.equal(accountName('alice@example.org', ''), 'alice@example.org', 'none to cut')
  t.end()
})

t.test('a name of thousands of accents is prepared at once', t => {
  const name = of(`a${'\u0301\u0323'.repeat(60_000)}`)
  t.ok(name.length <= 320)
  // Put into order, which takes seven seconds for that name, the last accent would come first.
  const accents = `a${'\u0301'.repeat(2000)}`
  t.equal(of(`${accents}\u0323`), of(accents), 'only its beginning is read')
  t.equal(of(`al\u200b${'\u200b'.repeat(900)}ice`), 'alice')
  t.end()
})

t.test('a name of any length is kept in a few hundred bytes', t => {
  const long = 'x'.repeat(10_000)
  t.ok(of(long).length <= 320)
  t.equal(of(`${long}y`), of(long), 'the beginning of a name that cannot be one')
  t.ok(of('\u{1f600}'.repeat(5000)).isWellFormed())
  t.end()
})

t.test('a name goes into a variable and comes back as the same account', t => {
  const letters = fc.string({
    unit: fc.constantFrom(...'aZß/^*.:%=@ ,;$`{}[]äÉİıſﬁａ\u0301\u200b\u00ad\u2028'),
    maxLength: 12,
  })
  fc.assert(
    fc.property(fc.oneof(letters, fc.string({ unit: 'binary' })), name => {
      if (!name.isWellFormed()) return true
      const key = nameKey(name)
      if (/[/\s*:]|\^(?![0-9A-F]{2})/u.test(key)) return false
      const back = userName(key)
      // Where lower case comes before or after the form: a few letters of the Greek.
      return back !== undefined && (/[ΣϹς]/u.test(name) || of(back) === of(name))
    }),
    { numRuns: runs(2000) },
  )
  t.end()
})

const LIMIT = 3
let messages = 0
const message = (sasl_username: string, more: Readonly<Record<string, string>> = {}): string =>
  requestText({
    request: 'smtpd_access_policy',
    protocol_state: 'END-OF-MESSAGE',
    instance: `acc.${messages++}`,
    recipient_count: '1',
    sasl_username,
    ...more,
  })

/** Messages until one is refused. */
async function accepted(client: PolicyClient, ...names: readonly string[]): Promise<number> {
  for (let count = 0; count < 10; count++) {
    client.send(message(names[count % names.length] ?? ''))
    const answer = await client.answer()
    if (answer.startsWith('action=reject 5.7.1 Daily limit of')) return count
    if (answer !== 'action=dunno') throw new Error(answer)
  }
  return 10
}

t.test('in the real program a limit is that of the account, whatever it calls itself', async t => {
  const special = [
    'a/b',
    '../etc/passwd',
    'ein name',
    'x/threshold',
    'käthe',
    'a^2fb',
    "o'neil",
    'a:b',
  ]
  const settings = Object.fromEntries(
    special.map(name => [`mtpolicyd/user/${nameKey(name)}/threshold`, '1']),
  )
  const daemon = await installDaemon({
    'mtpolicyd/threshold': String(LIMIT),
    'mtpolicyd/defaultdomain': DOMAIN,
    ...settings,
  })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const client = await policyClient({ port: daemon.port })
  t.teardown(client.close)

  for (const [name, others] of Object.entries(SAME)) {
    // What the protocol can carry.
    const names = [name, ...others].filter(one => !/[\n\0]/.test(one))
    t.equal(await accepted(client, ...names), LIMIT, `${name} and all that is the same`)
    for (const other of names) t.equal(await accepted(client, other), 0, JSON.stringify(other))
  }
  for (const name of DIFFERENT.filter(one => one !== 'alice' && one !== 'alice@@example.org')) {
    t.equal(await accepted(client, name), LIMIT, JSON.stringify(name.slice(0, 40)))
  }
  for (const name of special) {
    t.equal(await accepted(client, name.toUpperCase(), name), 1, `a limit of its own: ${name}`)
    t.equal(await accepted(client, `${name}x`), LIMIT, `${name}x has the common one`)
  }
  for (const near of ['a/b/', 'etc/passwd', 'einname', 'x', 'threshold', 'kathe', 'oneil']) {
    t.equal(await accepted(client, near), LIMIT, `${near} is somebody else`)
  }

  // The log, the status, the files: nothing of a name is read as anything else.
  await accepted(client, 'last\u001b[31m" verdict=ok by=me')
  t.ok(await daemon.logged(/last\\x1b/))
  for (const line of daemon.log().trimEnd().split('\n')) {
    if (/[^\P{C}]/u.test(line)) t.fail(`a control character: ${JSON.stringify(line)}`)
    if (!/instance=acc/.test(line)) continue
    const bare = line.replace(/"(?:[^"\\]|\\.)*"/g, '""')
    for (const field of ['verdict', 'user', 'by', 'instance']) {
      t.equal(bare.match(new RegExp(`(?:^| )${field}=`, 'g'))?.length, 1, `${field}: ${line}`)
    }
  }
  const { stdout } = await daemon.ctl('status', '--json')
  t.equal(JSON.parse(stdout).daemon.failures, 0)
  const get = await daemon.ctl('get', `mtpolicyd/user/${nameKey('../etc/passwd')}/threshold`)
  t.equal(get.stdout, '1\n')
})

t.test('names that no block of the file can carry are refused as variables', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const names = ['a"b', 'a>b', '</User>', 'a#b', 'a\\b', '/*', '*/', ' a', 'a ', ' ', 'a\nb']
  const keys = names.map(nameKey)
  for (const key of keys) t.not(userNameProblem(key), undefined, key)
  keys.push('', 'a^0Ab', 'a^FF', 'a^', 'a^2', '^00', 'a^22^3E')
  const assignments = keys.map(key => `mtpolicyd/user/${key}/threshold=1`)
  const { status, stderr } = await daemon.ctl('set', ...assignments)
  t.not(status, 0)
  t.equal(stderr.match(/^ {2}mtpolicyd\/user\/.*: expected /gm)?.length, keys.length, stderr)
  const { stdout } = await daemon.ctl('search', '--brief', '^mtpolicyd/user/')
  t.notMatch(stdout, /mtpolicyd\/user\/(?!\.\*)/, 'none of them was stored')
})

t.test(
  'what others say in a failure makes no line of the log and no colour of the screen',
  async t => {
    const forged = '\u001b[31mred\r2026-11-20T00:00:00Z forged line \u009b1m'
    const server = await peerServer(answering(/\n\n/, `action=${forged}\n\n`))
    t.teardown(() => server.close())
    const daemon = await installDaemon()
    t.teardown(() => daemon.remove())
    const proxy = `<Plugin p>\nmodule = Proxy\nhost = 127.0.0.1:${server.port}\n</Plugin>`
    const conf = `port = ${daemon.port}\nunknown_action = fail\nlog_level = 4\n`
    writeFileSync(
      join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf'),
      `${conf}<VirtualHost ${daemon.port}>\nname = v\n<Plugin s>\nmodule = SPF\n</Plugin>\n${proxy}\n</VirtualHost>\n`,
    )
    await daemon.start()
    const client = await policyClient({ port: daemon.port })
    t.teardown(client.close)
    client.send(message('alice', { client_address: forged, sender: 'a@b.example' }))
    t.match(await client.answer(), /^action=dunno/)
    t.ok(await daemon.logged(/which is not a Postfix action/))
    const { stdout } = await daemon.ctl('status')
    t.notMatch(stdout, /[[\p{Cc}]--\n]/v, 'the screen')
    const { stdout: json } = await daemon.ctl('status', '--json')
    t.notMatch(json, /[[\p{Cc}]--\n]/v, 'nor from JSON')
    t.notMatch(daemon.log(), /[[\p{Cc}]--\n]/v, 'nor from the log')
  },
)

t.test('an account is found again by the name that it is kept under', t => {
  const typed = `${'x'.repeat(319)} yz`
  const kept = accountName(typed, '')
  t.equal(accountName(kept, ''), kept)
  // Somebody has logged in, whatever the name.
  for (const name of [' '.repeat(400), ' '.repeat(2000), '\x01'.repeat(400)]) {
    t.not(accountName(name, ''), '')
  }
  t.end()
})
