/** AllowedCountries and SendingLimit: the two plugins of the default policy, and the GeoIP pair. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { writeMmdb } from '../../daemon/lookup/mmdb-writer.ts'
import type { Ledger } from '../../daemon/policy/ports/ledger.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import {
  CHINESE,
  CHINESE_IPV6,
  chain,
  EUROPEAN,
  GERMAN,
  GERMAN_IPV6,
  makeWorld,
  NOON,
  plugin,
  UNKNOWN,
  type World,
} from '../support/world.ts'

const TODAY = { name: '2026-11-20', endsAt: NOON + 43_200_000 }

async function rightWorld(t: Test, text: string): Promise<World> {
  const world = await makeWorld(text)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

/** The answer's first word for mail of a user from an address. */
async function wordFor(world: World, address: string, user = 'alice'): Promise<string> {
  const answer = await world.ask({ sasl_username: user, client_address: address })
  return answer?.split(' ')[0] ?? 'nothing'
}

t.test(
  'AllowedCountries: a login from a listed country passes, from another is refused',
  async t => {
    const world = await rightWorld(
      t,
      chain(plugin('AllowedCountries', 'countries = "de, AT"', 'c')),
    )
    for (const [address, word, what] of [
      [GERMAN, 'dunno', 'listed'],
      [`::ffff:${GERMAN}`, 'dunno', 'listed, mapped'],
      [GERMAN_IPV6, 'dunno', 'listed, IPv6'],
      [CHINESE, 'reject', 'not listed'],
      [`::ffff:${CHINESE}`, 'reject', 'not listed, mapped'],
      ['::FFFF:CB00:7107', 'reject', 'not listed, mapped, in hexadecimal'],
      [CHINESE_IPV6, 'reject', 'not listed, IPv6'],
      [UNKNOWN, 'dunno', 'a public address the database does not know'],
      [EUROPEAN, 'dunno', 'a code that is no country'],
      ['127.0.0.1', 'dunno', 'loopback'],
      ['::1', 'dunno', 'loopback'],
      ['10.1.2.3', 'dunno', 'private'],
      ['192.168.1.1', 'dunno', 'private'],
      ['fd00::1', 'dunno', 'private'],
      ['fe80::1', 'dunno', 'link-local'],
      ['unknown', 'dunno', 'no address'],
      ['', 'dunno', 'no address'],
    ] as const) {
      t.equal(await wordFor(world, address), word, `${what}: ${address}`)
    }
    t.equal(await wordFor(world, CHINESE, ''), 'dunno', 'nobody has logged in')
    t.equal(
      await world.ask({ sasl_username: 'alice', client_address: CHINESE }),
      `reject 5.7.1 Your account may not send mail from your current location (CN, ${CHINESE}); ` +
        'contact your mail administrator',
    )
    t.match(world.verdicts.at(-1), { country: 'CN', by: 'c' })
    t.ok(
      world.notes.some(note => note.includes(`${EUROPEAN} has no known country (EU)`)),
      'who passed without a country is noted',
    )
  },
)

t.test('AllowedCountries: unknown_country = refuse, and a custom message', async t => {
  const lines = 'countries = DE\nunknown_country = refuse\nmessage = "not from %CC% %IP%"'
  const world = await rightWorld(t, chain(plugin('AllowedCountries', lines)))
  const ask = (client_address: string) => world.ask({ sasl_username: 'a', client_address })
  t.equal(await ask(UNKNOWN), `reject not from unknown ${UNKNOWN}`)
  t.equal(await ask(EUROPEAN), `reject not from EU ${EUROPEAN}`)
  t.equal(await ask('10.0.0.1'), 'dunno', 'our own network is not unknown')
  t.equal(await ask(GERMAN), 'dunno')
})

t.test('AllowedCountries: the text is in the language of the users', async t => {
  for (const [language, text] of [
    ['de', `Von Ihrem derzeitigen Standort (CN, ${CHINESE}) aus darf Ihr Konto keine Mail senden`],
    ['fr', `Votre compte ne peut pas envoyer de courrier depuis l'endroit ou vous etes (CN, `],
  ] as const) {
    const lines = `countries = DE\nlanguage = ${language}\nunknown_country = refuse`
    const world = await rightWorld(t, chain(plugin('AllowedCountries', lines)))
    const ask = (client_address: string) => world.ask({ sasl_username: 'a', client_address })
    const answer = await ask(CHINESE)
    t.equal(answer?.slice(0, `reject 5.7.1 ${text}`.length), `reject 5.7.1 ${text}`)
    t.match(answer, /^[ -~]{1,200}$/, 'one line, in ASCII')
    t.match(await ask(UNKNOWN), /\((?:unbekannt|inconnu), /)
  }
})

t.test('AllowedCountries: a user’s own list replaces the general one', async t => {
  const users =
    '<User Alice>\ncountries = CN\n</User>\n<User bob@other.example.net>\ncountries = *\n</User>\n'
  const world = await rightWorld(
    t,
    chain(plugin('AllowedCountries', `countries = DE\ndefault_domain = example.org\n${users}`)),
  )
  for (const [user, address, word] of [
    ['alice', CHINESE, 'dunno'],
    ['ALICE@Example.ORG', CHINESE, 'dunno'],
    ['alice', GERMAN, 'reject'],
    ['alice@example.net', CHINESE, 'reject'],
    ['bob@other.example.net', CHINESE, 'dunno'],
    ['bob', CHINESE, 'reject'],
    ['carol', GERMAN, 'dunno'],
  ] as const) {
    t.equal(await wordFor(world, address, user), word, `${user} from ${address}`)
  }
})

t.test('AllowedCountries: * allows all and still logs the country', async t => {
  const world = await rightWorld(t, chain(plugin('AllowedCountries', 'countries = *')))
  t.equal(await wordFor(world, CHINESE), 'dunno')
  t.match(world.verdicts, [{ country: 'CN' }])
})

t.test('observe: decided and logged, nothing refused', async t => {
  const countries = plugin('AllowedCountries', 'countries = DE')
  const limit = plugin('SendingLimit', 'threshold = 2')
  const refusal = plugin('Condition', 'key = sender\nmatch = bad\naction = reject bad')
  const world = await rightWorld(t, chain(countries + limit + refusal, 'mode = observe'))
  t.equal(await wordFor(world, CHINESE), 'dunno')
  t.match(world.verdicts.at(-1), {
    verdict: 'dunno',
    observed: /^reject 5\.7\.1 Your account may not/,
  })
  const send = (instance: string, recipients: string) =>
    world.ask(endOfMessage({ instance, recipient_count: recipients }))
  t.equal(await send('1', '2'), 'dunno')
  t.notOk(world.verdicts.at(-1)?.observed)
  t.equal(await send('2', '1'), 'dunno')
  t.match(world.verdicts.at(-1), {
    used: 3,
    limit: 2,
    observed: /^reject 5\.7\.1 (?:Daily limit|This message)/,
  })
  const fromChina = endOfMessage({ instance: '3', client_address: CHINESE })
  t.equal(await world.ask(fromChina), 'dunno')
  t.match(world.verdicts.at(-1), { used: 4, observed: /from your current location/ })
  t.equal(await world.ask({ sender: 'bad' }), 'dunno')
  t.match(world.verdicts.at(-1), { observed: 'reject bad' })
})

function endOfMessage(attributes: Record<string, string>): Record<string, string> {
  return {
    protocol_state: 'END-OF-MESSAGE',
    sasl_username: 'alice',
    client_address: GERMAN,
    recipient_count: '1',
    ...attributes,
  }
}

t.test(
  'SendingLimit: a message over the limit is refused as a whole, in words a mail user understands',
  async t => {
    const world = await rightWorld(
      t,
      chain(plugin('SendingLimit', 'threshold = 5'), 'timezone = "Europe/Berlin"'),
    )
    const send = (instance: string, recipient_count: string, more: Record<string, string> = {}) =>
      world.ask(endOfMessage({ instance, recipient_count, ...more }))
    t.equal(await send('1', '3'), 'dunno')
    t.match(world.verdicts.at(-1), { used: 3, limit: 5, verdict: 'dunno' })
    const turn = 'you can send again after 2026-11-21 00:00 (Europe/Berlin)'
    t.equal(
      await send('2', '3'),
      'reject 5.7.1 This message has 3 recipients, but only 2 of your 5 for today are left',
    )
    t.equal(await send('3', '1'), 'dunno')
    t.match(
      await send('4', '2'),
      /This message has 2 recipients, but only 1 of your 5 for today is left$/,
    )
    t.equal(await send('5', '0'), 'dunno', 'no count is one recipient')
    t.equal(await send('6', '1'), `reject 5.7.1 Daily limit of 5 recipients reached; ${turn}`)
    t.equal(await send('5', '1'), 'dunno', 'asked again: the verdict of before')
    t.equal(await send('7', '1', { sasl_username: 'ALICE' }), await send('6', '1'), 'one account')
    t.equal(
      await send('8', '5', { sasl_username: 'bob' }),
      'dunno',
      'everybody has a count of his own',
    )
    t.equal(await send('9', '9', { sasl_username: '' }), 'dunno', 'nobody has logged in')
    t.equal(await send('10', '9', { protocol_state: 'CONNECT' }), 'dunno', 'not a stage of a mail')
    world.now = Date.UTC(2026, 10, 20, 22, 59, 59)
    t.match(
      await send('11', '1'),
      /Daily limit of 5 recipients reached/,
      'the last second of the day',
    )
    world.now += 1000
    t.equal(await send('12', '5'), 'dunno', 'midnight in Berlin')
    t.match(await send('13', '1'), /after 2026-11-22 00:00 \(Europe\/Berlin\)$/)
  },
)

t.test('SendingLimit: RCPT reserves, END-OF-MESSAGE counts', async t => {
  const world = await rightWorld(t, chain(plugin('SendingLimit', 'threshold = 2')))
  const ask = (protocol_state: string, recipient: string, recipient_count = '0') =>
    world.ask(endOfMessage({ instance: '1', protocol_state, recipient, recipient_count }))
  t.equal(await ask('RCPT', 'a@example.org'), 'dunno')
  t.equal(await ask('RCPT', 'b@example.org'), 'dunno')
  t.match(await ask('RCPT', 'c@example.org'), /^reject .*Daily limit of/)
  t.equal(await ask('END-OF-MESSAGE', '', '2'), 'dunno')
  t.equal(world.ledger.used('sendinglimit', 'alice', TODAY, NOON), 2)
})

t.test('SendingLimit: only the beginning of overlong texts is kept', async t => {
  const world = await rightWorld(t, chain(plugin('SendingLimit', 'threshold = 3')))
  const long = 'x'.repeat(100_000)
  const more = { protocol_state: 'RCPT', server_address: long, recipient_count: '0' }
  const ask = (recipient: string) => world.ask(endOfMessage({ instance: '1', ...more, recipient }))
  t.equal(await ask('a@example.org'), 'dunno')
  t.equal(await ask('a@example.org'), 'dunno', 'asked again')
  t.equal(await ask(`${long}@example.org`), 'dunno')
  t.equal(await ask(`${long}@example.org`), 'dunno', 'too long to be known again: it counts')
  t.match(await ask('b@example.org'), /^reject /)
  t.same(
    (await world.ledger.recipientOnlyServices()).map(service => service.length),
    [512],
  )
})

t.test('SendingLimit: users with limits of their own, and with none', async t => {
  const users =
    '<User News@Example.org>\nthreshold = 20\n</User>\n<User ceo>\nthreshold = unlimited\n</User>\n' +
    '<User nobody>\nthreshold = 0\n</User>\n'
  const world = await rightWorld(
    t,
    chain(plugin('SendingLimit', `threshold = 1\ndefault_domain = example.org\n${users}`)),
  )
  let instance = 0
  const send = (sasl_username: string, recipient_count: string) =>
    world.ask(endOfMessage({ instance: String(instance++), sasl_username, recipient_count }))
  t.equal(await send('news', '20'), 'dunno')
  t.match(await send('NEWS@example.org', '1'), /Daily limit of 20 recipients reached/)
  t.equal(await send('ceo', '1000000'), 'dunno')
  t.match(world.verdicts.at(-1), { limit: 'unlimited', used: 1_000_000 })
  t.match(
    await send('nobody', '1'),
    /Daily limit of 0 recipients reached; contact your mail administrator/,
  )
  t.equal(await send('alice', '1'), 'dunno')
  t.match(
    await send('alice@example.org', '1'),
    /Daily limit of 1 recipient reached/,
    'the domain is cut',
  )
  t.equal(await send('alice@example.net', '1'), 'dunno', 'another domain is another account')
})

t.test('SendingLimit: all spellings of a login name share one count', async t => {
  const world = await rightWorld(t, chain(plugin('SendingLimit', 'threshold = 1', 'l')))
  const answer = (user: string) =>
    world.ask(endOfMessage({ sasl_username: user, instance: `of ${user}` }))
  t.equal(await answer('alice'), 'dunno')
  for (const user of ['ALICE', 'alice ', ' alice', '\talice', '\uff41lice', 'al\u00adice']) {
    t.match(await answer(user), /^reject/, JSON.stringify(user))
  }
  t.equal(await answer(' '), 'dunno')
  t.match(
    await world.ask(endOfMessage({ sasl_username: ' ', instance: 'b' })),
    /^reject/,
    'a blank is a name',
  )
})

t.test('SendingLimit: counters of two blocks are separate, or shared by name', async t => {
  const block = (name: string, lines: string) => plugin('SendingLimit', lines, name)
  const separate = await rightWorld(
    t,
    chain(block('a', 'threshold = 9') + block('b', 'threshold = 2\ncounter = other')),
  )
  t.equal(await separate.ask(endOfMessage({ instance: '1', recipient_count: '2' })), 'dunno')
  t.equal(separate.ledger.used('a', 'alice', TODAY, NOON), 2)
  t.equal(separate.ledger.used('other', 'alice', TODAY, NOON), 2)
  const refused = await separate.ask(endOfMessage({ instance: '2' }))
  t.match(refused, /Daily limit of 2 recipients reached/)
  t.equal(
    separate.ledger.used('a', 'alice', TODAY, NOON),
    2,
    'what one refuses the other does not count',
  )
})

t.test('a ledger that does not work costs the count, not the mail', async t => {
  const fail = (): never => {
    throw new LookupError('disk full')
  }
  const broken: Ledger = {
    judge: fail,
    preview: fail,
    fitsAt: fail,
    giveBack: fail,
    takeBack: fail,
    settle: () => undefined,
    disconnect: () => undefined,
    expire: () => undefined,
    used: fail,
    reset: () => 0,
    recipientOnlyServices: () => [],
  }
  const world = await makeWorld(chain(plugin('SendingLimit', 'threshold = 1')), { ledger: broken })
  t.equal(await world.ask(endOfMessage({ instance: '1' })), 'dunno')
  t.strictSame(world.errors, ['plugin sendinglimit failed: disk full'])
})

t.test('meaningless settings of the two plugins are refused, with what is expected', async t => {
  for (const [module, lines, message] of [
    ['AllowedCountries', 'countries = Germany', /"countries" in .*ISO 3166.*found "Germany"/],
    ['AllowedCountries', 'countries = "DE,XX"', /found "DE,XX"/],
    ['AllowedCountries', 'countries = ""', /found ""/],
    ['AllowedCountries', '', /needs "countries"/],
    ['AllowedCountries', 'countries = DE\n<User a>\n</User>', /<User a> needs "countries"/],
    ['SendingLimit', 'threshold = -1', /from 0 to 1,000,000,000, or unlimited, found "-1"/],
    ['SendingLimit', 'threshold = 1000000001', /found "1000000001"/],
    [
      'SendingLimit',
      `threshold = 1\ncounter = ${'x'.repeat(513)}`,
      /"counter" in .*512 characters at most, this one 513/,
    ],
    ['SendingLimit', 'threshold = 1e3', /found "1e3"/],
    ['SendingLimit', 'threshold = 5\n<User a>\nthreshold = x\n</User>', /<User a>.*found "x"/],
  ] as const) {
    const { messages } = await makeWorld(chain(plugin(module, lines)))
    t.equal(messages.length, 1, messages.join('\n'))
    t.match(messages, [message])
    t.match(messages, [/: error: /])
  }
})

t.test('GeoIPLookup and GeoIPAction: every mode, the score, and who has no country', async t => {
  const pair = (lines: string) =>
    chain(
      plugin('GeoIPLookup', '', 'geo') +
        plugin('GeoIPAction', `result_from = geo\ncountry_codes = " CN , EU "\n${lines}`, 'far') +
        plugin('AddScoreHeader', '', 'header'),
    )
  const through = 'PREPEND X-MtScore: NO score=0'
  const scored = 'PREPEND X-MtScore: NO score=2.5 [far=2.5]'
  for (const [mode, answer] of [
    ['reject', `reject delivery from CN (${CHINESE}) rejected`],
    ['accept', 'dunno'],
    ['dunno', 'dunno'],
    ['passive', scored],
  ] as const) {
    const world = await rightWorld(t, pair(`mode = ${mode}\nscore = 2.5`))
    t.equal(await world.ask({ client_address: CHINESE }), answer, mode)
    t.equal(await world.ask({ client_address: GERMAN }), through, `${mode}, not in the list`)
    for (const client_address of ['127.0.0.1', UNKNOWN, 'unknown', '']) {
      t.equal(await world.ask({ client_address }), through, `${mode}: ${client_address}`)
    }
    t.equal(await world.ask({}), through)
  }
  const worded = await rightWorld(t, pair('reject_message = "%CC%: %IP%, %CC%"'))
  t.equal(await worded.ask({ client_address: CHINESE_IPV6 }), `reject CN: ${CHINESE_IPV6}, CN`)
  t.match(
    await worded.ask({ client_address: EUROPEAN }),
    /^reject EU/,
    'codes as the database has them',
  )
  const off = await rightWorld(t, pair('enabled = off'))
  t.equal(await off.ask({ client_address: CHINESE }), through)
})

t.test('GeoIPLookup: its own database, and one that does not exist', async t => {
  const folder = t.testdir()
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'own.mmdb')
  const range = { first: '198.51.100.0', last: '198.51.100.255', code: 'FR' }
  writeFileSync(path, writeMmdb([range], { builtAt: new Date(NOON) }))
  const look = (database: string) =>
    chain(
      plugin('GeoIPLookup', `database = "${database}"`, 'geo') +
        plugin('GeoIPAction', 'result_from = geo\ncountry_codes = FR', 'act'),
    )
  const own = await rightWorld(t, look(path))
  t.match(await own.ask({ client_address: GERMAN }), /^reject delivery from FR/)
  const absent = await makeWorld(look(join(folder, 'absent.mmdb')))
  t.match(absent.messages, [/^test\.conf:6:12: error: "database" in .*absent\.mmdb/])
  t.equal(await absent.ask({ client_address: GERMAN }), 'dunno')
  t.match(absent.errors, [/plugin geo failed: no GeoIP database/])
})
