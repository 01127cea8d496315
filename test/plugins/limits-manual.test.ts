/**
 * mtpolicyd-limits(7): each example in it, as an administrator would copy it, and what becomes of mail.
 * The German page has the same ones.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { openCountryDatabase } from '../../daemon/lookup/geoip.ts'
import { writeMmdb } from '../../daemon/lookup/mmdb-writer.ts'
import { LANGUAGES, wordings } from '../../daemon/plugins/limit/texts.ts'
import { sendingLimit } from '../../daemon/plugins/sending-limit.ts'
import { situations } from '../../scripts/manual-refusals.ts'
import { serverMissing, startServer } from '../../scripts/test-servers.ts'
import { runRegistryCommand } from '../support/command.ts'
import { chain, GERMAN, makeWorld, NOON, type World } from '../support/world.ts'

const top = join(import.meta.dirname, '../..')
const folder = join(top, 'scripts/manual')
const english = readFileSync(join(folder, 'mtpolicyd-limits.7.txt'), 'utf8')
const german = readFileSync(join(folder, 'de/mtpolicyd-limits.7.txt'), 'utf8')

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The indented blocks below each heading. */
function examplesOf(page: string): Map<string, readonly string[]> {
  const sections = page.split(/^##? /m)
  return new Map(
    sections.map((section, index) => {
      const title = index === 0 ? '' : (/^.*/.exec(section)?.[0] ?? '')
      const blocks = section.match(/(?:^(?: {2}.*)?\n)*^ {2}.*$/gm) ?? []
      return [title, blocks.map(block => block.replace(/^\n+/, '').replace(/^ {2}/gm, ''))]
    }),
  )
}

const examples = examplesOf(english)

/** What a mail is, and what becomes of it: the answer, or how it begins; what the log notes. */
interface Mail {
  /** The login name; alice, unless another is named. Empty: no login. */
  readonly user?: string
  /** Recipients. The default is 1. */
  readonly to?: number
  readonly recipient?: string
  readonly megabytes?: number
  readonly sender?: string
  readonly client?: string
  /** Milliseconds after noon. */
  readonly at?: number
  /** So many of them, one after the other. */
  readonly times?: number
  /** Postfix sends the previous request once more. */
  readonly isRepeated?: boolean
  /** Before it, the previous message is refused by a milter, as the log says. */
  readonly isAfterMilter?: boolean
}
type Step = readonly [mail: Mail, answer: string, logged?: Readonly<Record<string, unknown>>]

const OK = 'dunno'

const STEPS: Readonly<Record<string, readonly Step[]>> = {
  'Several windows at once': [
    [{ to: 15 }, OK],
    [{ to: 10 }, 'reject 5.7.1 This message has 10 recipients, but only 5 of your 20 per hour'],
    [{ to: 10, isRepeated: true }, 'reject 5.7.1 This message has 10 recipients'],
    [{ to: 5 }, OK],
    [{ to: 5, isRepeated: true }, OK],
    [{}, 'reject 5.7.1 Limit of 20 recipients per hour reached; you can send again after'],
    ...[1, 2, 3, 4].flatMap((hour): Step[] => [
      [{ to: 21, at: hour * 61 * MINUTE }, 'reject 5.7.1 This message has 21 recipients'],
      [{ to: 20, at: hour * 61 * MINUTE }, OK],
    ]),
    [{ at: 6 * HOUR }, 'reject 5.7.1 Daily limit of 100 recipients reached'],
  ],
  'A calendar day, week or month': [
    ...[-14, -7, 0].flatMap((day): Step[] => [
      [{ to: 1000, at: day * DAY }, OK],
      [{ at: day * DAY }, 'reject 5.7.1 Weekly limit of 1000 recipients reached'],
    ]),
    [{ at: 3 * DAY }, 'reject 5.7.1 Monthly limit of 3000 recipients reached'],
    [{ to: 1000, at: 11 * DAY }, OK],
  ],
  'A rolling window': [
    [{ to: 200 }, OK],
    [{ at: 13 * HOUR }, 'reject 5.7.1 Limit of 200 recipients per 24 hours reached'],
    [{ at: DAY }, 'reject'],
    [{ to: 200, at: DAY + 25 * MINUTE }, OK],
  ],
  'A cap for each message': [
    [{ to: 10, megabytes: 25, times: 20 }, OK],
    [{ to: 11 }, 'reject 5.5.3 A message may have 10 recipients at most'],
    [{ megabytes: 26 }, 'reject 5.3.4 A message may have 25 MB at most'],
  ],
  'Each user': [
    [{ to: 150 }, OK],
    [{ user: 'Alice@Example.org', to: 51 }, 'reject'],
    [{ user: 'alice@example.org', to: 50 }, OK],
    [{ user: 'bob', to: 200 }, OK],
    [{ user: '', to: 1000 }, OK],
  ],
  'Each domain': [
    [{ user: 'alice@example.org', to: 1500 }, OK],
    [{ user: 'bob@example.org', to: 501 }, 'reject'],
    [{ user: 'bob@example.org', to: 500 }, OK],
    [
      { user: 'carol', sender: 'carol@example.org' },
      'reject 5.7.1 Daily limit of 2000 recipients for all users of example.org',
    ],
    [{ user: 'dan@school.example.org', to: 5000 }, OK],
  ],
  'Each client': [
    [{ to: 200 }, OK],
    [{ user: 'bob', to: 101 }, 'reject'],
    [{ user: 'bob', to: 300, client: '198.51.100.8' }, OK],
  ],
  'Each network': [
    [{ to: 500, client: '198.51.100.7' }, OK],
    [{ client: '198.51.100.8' }, 'reject'],
    [{ client: '198.51.101.7' }, OK],
    [{ to: 500, client: '2001:db8:1:1::7' }, OK],
    [{ client: '2001:db8:1:1::8' }, 'reject'],
    [{ client: '2001:db8:1:2::7' }, OK],
  ],
  'Each sender address': [
    [{ to: 100, sender: 'info@example.org' }, OK],
    [{ user: 'bob', to: 51, sender: 'Info@Example.org' }, 'reject'],
    [{ to: 150, sender: 'sales@example.org' }, OK],
  ],
  'The whole server': [
    [{ to: 5000 }, OK],
    [
      { user: 'bob' },
      'reject 5.7.1 Limit of 5000 recipients per hour for all users of this server reached',
    ],
    [{ user: 'bob', at: 61 * MINUTE }, OK],
  ],
  'Other limits for mail without a login': [
    [{ to: 200 }, OK],
    [{}, 'reject'],
    [{ user: '', to: 100 }, OK],
    [{ user: '' }, 'defer 4.7.1 Limit of 100 recipients per 10 minutes'],
    [{ user: '', client: '198.51.100.8' }, OK],
    [{ user: '', at: 11 * MINUTE }, OK],
  ],
  Messages: [
    [{ to: 50, times: 30 }, OK],
    [{}, 'reject 5.7.1 Limit of 30 messages per hour reached'],
  ],
  Megabytes: [
    [{ to: 100, megabytes: 200 }, OK],
    [{ megabytes: 51 }, 'reject 5.7.1 This message has 51 MB, but only 50 of your 250 MB'],
    [{ megabytes: 50 }, OK],
  ],
  'Refuse for now': [
    [{ to: 60 }, OK],
    [{}, 'defer 4.7.1 Limit of 60 recipients per hour reached'],
  ],
  Hold: [
    [{ to: 200 }, OK],
    [{ to: 3 }, 'hold', { used: 203 }],
    [{ to: 4 }, 'hold', { used: 207 }],
  ],
  'Any action': [
    [{ to: 200 }, OK],
    [{}, 'REDIRECT abuse@example.org', { used: 201 }],
  ],
  Graded: [
    [{ to: 200 }, OK],
    [{ to: 100 }, 'hold'],
    [{ to: 101 }, 'reject'],
    [{ to: 100 }, 'hold', { used: 400 }],
    [{}, 'reject 5.7.1 Daily limit of 400 recipients reached'],
  ],
  'A remark beforehand': [
    [{ to: 79 }, OK, { near: undefined }],
    [{}, OK, { near: 'limit' }],
    [{}, OK, { near: undefined }],
  ],
  'Another language': [
    [{ to: 100 }, OK],
    [{}, 'reject 5.7.1 Das Tageslimit von 100 Empfaengern ist erreicht'],
  ],
  'A text of your own': [
    [{ to: 90 }, OK],
    [
      { to: 20 },
      'reject 5.7.1 alice: 90/100, again 2026-11-21 13:24 (Europe/Berlin); help: phone 123',
    ],
  ],
  'A user': [
    [{ user: 'Newsletter@example.org', to: 500, times: 40 }, OK],
    [{ user: 'newsletter@example.org' }, 'reject 5.7.1 Daily limit of 20000'],
    [{ user: 'newsletter@example.org', to: 501 }, 'reject 5.5.3'],
    [{ user: 'printer', to: 20, times: 5 }, OK],
    [{ user: 'printer' }, 'hold'],
    [{ user: 'printer', to: 21 }, 'reject 5.5.3'],
    [{ to: 20, times: 5 }, OK],
    [{}, 'reject 5.7.1'],
  ],
  'All users of a domain': [
    [{ user: 'a@school.example.org', to: 500 }, OK],
    [{ user: 'a@school.example.org' }, 'reject'],
    [{ user: 'b@school.example.org', to: 500 }, OK],
    [{ to: 101 }, 'reject'],
  ],
  'A group': [
    ...['alice', 'bob@example.org', 'carol@school.example.org'].flatMap((user): Step[] => [
      [{ user, to: 400 }, OK],
      [{ user }, 'reject'],
    ]),
    [{ user: 'dan', to: 101 }, 'reject'],
    [{ user: 'alice@example.org', to: 101 }, 'reject'],
  ],
  'A group in a file': [
    [{ user: 'newsletter@example.org', to: 20_000 }, OK],
    [{ user: 'weekly@lists.example.org', to: 20_000 }, OK],
    [{ user: 'alice@example.org', to: 101 }, 'reject'],
  ],
  'Limits from an SQL database': [
    [{ to: 500 }, OK],
    [{}, 'reject'],
    [{ user: 'bob', to: 5000 }, OK],
    [{ user: 'carol', to: 101 }, 'reject'],
  ],
  'Limits from an LDAP directory': [
    [{ to: 500 }, OK],
    [{}, 'reject'],
    [{ user: 'carol', to: 101 }, 'reject'],
  ],
  'No limit': [
    [{ user: 'ceo', to: 20, times: 10 }, OK],
    [{ user: 'ceo' }, OK, { used: 201, limit: 'unlimited' }],
    [{ user: 'ceo', to: 21 }, 'reject 5.5.3'],
  ],
  'A limit among other plugins': [
    [{ to: 10, recipient: 'trap@example.org' }, 'reject 5.7.1 no mail to this address'],
    [{ to: 10 }, OK],
    [{}, 'reject 5.7.1 Daily limit of 10 recipients reached'],
  ],
  'The log that the daemon reads': [
    [{ to: 600 }, OK],
    [{ to: 600 }, 'reject'],
    [{ to: 400 }, OK],
    [{ to: 401, isAfterMilter: true }, 'reject'],
    [{ to: 400 }, OK],
  ],
  'Per day, hour, minute and message': [
    [{ to: 11 }, 'reject 5.5.3 A message may have 10 recipients at most'],
    ...[0, 1, 2].flatMap((hour): Step[] => [
      [{ to: 10, times: 2, at: hour * 65 * MINUTE }, OK],
      [{ at: hour * 65 * MINUTE }, 'reject 5.7.1 Limit of 20 recipients per minute'],
      [{ to: 10, times: 2, at: (hour * 65 + 2) * MINUTE }, OK],
      [{ to: 10, at: (hour * 65 + 4) * MINUTE }, OK],
      [{ at: (hour * 65 + 6) * MINUTE }, 'reject 5.7.1 Limit of 50 recipients per hour'],
    ]),
    ...[0, 2, 4].map((minute): Step => [{ to: 10, at: (4 * 60 + minute) * MINUTE }, OK]),
    [{ to: 10, times: 2, at: 250 * MINUTE }, OK],
    [{ at: 6 * HOUR }, 'reject 5.7.1 Daily limit of 200 recipients reached'],
  ],
  'Within any 24 hours': [
    [{ to: 100 }, OK],
    [{ at: 13 * HOUR }, 'reject 5.7.1 Limit of 100 recipients per 24 hours'],
  ],
  'A user by variables': [
    [{ user: 'newsletter', to: 500, times: 40 }, OK],
    [{ user: 'newsletter' }, 'reject 5.7.1 Daily limit of 20000'],
    [{ user: 'newsletter', to: 501 }, 'reject 5.5.3'],
    [{ to: 1000 }, OK],
    [{}, 'reject 5.7.1 Daily limit of 1000'],
  ],
  'An unlimited user by variables': [
    [{ user: 'ceo', to: 10, times: 200 }, OK],
    [{ user: 'ceo', to: 11 }, 'reject 5.5.3'],
    [{ to: 10, times: 5 }, OK],
    [{}, 'reject 5.7.1 Limit of 50 recipients per hour'],
  ],
  'A domain by variables': [
    [{ user: 'a@example.org', to: 30 }, OK],
    [{ user: 'a@example.org' }, 'reject 5.7.1 Daily limit of 30 recipients reached'],
    [{ user: 'b@example.org', to: 10 }, OK],
    [
      { user: 'b@example.org' },
      'reject 5.7.1 Limit of 40 recipients per hour for all users of example.org',
    ],
    [{ user: 'b@example.org', to: 20, at: 62 * MINUTE }, OK],
    [
      { user: 'c@example.org', at: 62 * MINUTE },
      'reject 5.7.1 Daily limit of 60 recipients for all users of example.org',
    ],
    [{ user: 'a@example.net', to: 1000, at: 62 * MINUTE }, OK],
  ],
  'The server by variables': [
    [{ to: 1000 }, OK],
    [
      { user: 'bob' },
      'reject 5.7.1 Limit of 1000 recipients per hour for all users of this server',
    ],
    ...[1, 2, 3, 4].map(
      (hour): Step => [{ user: `u${hour}`, to: 1000, at: hour * 62 * MINUTE }, OK],
    ),
    [
      { user: 'bob', at: 6 * HOUR },
      'reject 5.7.1 Daily limit of 5000 recipients for all users of this server',
    ],
  ],
  'Beyond the limit, and the language, by variables': [
    [{ to: 100 }, OK],
    [{}, 'defer 4.7.1 Das Tageslimit von 100 Empfaengern ist erreicht'],
  ],
  'Limits that no variable describes': [
    [{ to: 200 }, OK],
    [{}, 'hold beyond 200 recipients per day'],
    [{ to: 199 }, 'hold beyond 200 recipients per day'],
    [{}, 'reject 5.7.1 Daily limit of 400 recipients reached'],
  ],
  'Networks that are allowed whatever their country': [
    [{ client: '203.0.113.9' }, OK],
    [{ client: '2a00:1450:4864:20::32e' }, OK],
    [{ user: 'bob', client: '203.0.113.9' }, OK],
    [
      { user: 'bob', client: '2a00:1450:4864:20::32e' },
      'reject 5.7.1 Your account may not send mail from your current location (IE,',
    ],
  ],
}

let instances = 0
const queueId = (): string => `4ABC${instances}`

/** The answer at the end of a message. */
function send(world: World, mail: Mail): Promise<string | undefined> {
  if (mail.isRepeated !== true) instances++
  return world.ask({
    protocol_state: 'END-OF-MESSAGE',
    instance: `manual.${instances}`,
    sasl_username: mail.user ?? 'alice',
    sender: mail.sender ?? '',
    recipient: mail.recipient ?? '',
    client_address: mail.client ?? GERMAN,
    queue_id: queueId(),
    recipient_count: String(mail.to ?? 1),
    size: String((mail.megabytes ?? 0.01) * 1_000_000),
  })
}

async function takes(t: Test, world: World, steps: readonly Step[]): Promise<void> {
  for (const [mail, answer, logged] of steps) {
    world.now = NOON + (mail.at ?? 0)
    if (mail.isAfterMilter === true) {
      const { ledger, now } = world
      t.ok(await ledger.giveBack({ queueId: queueId() }, now), 'it is given back')
    }
    for (let i = 0; i < (mail.times ?? 1); i++) {
      const got = await send(world, mail)
      const beginning = answer === OK ? got : got?.slice(0, answer.length)
      t.equal(beginning, answer, `${JSON.stringify(mail)}: ${got}`)
    }
    if (logged) t.match(world.verdicts.at(-1), logged)
  }
}

/** A world of the example's own connections, with its plugins in a virtual host. */
async function worldOf(t: Test, example: string): Promise<World> {
  const connections = example.match(/^<Connection [\s\S]*?^<\/Connection>\n/gm) ?? []
  const blocks = connections.reduce((text, one) => text.replace(one, ''), example)
  const globals = `timezone = "Europe/Berlin"\n${connections.join('')}`
  const world = await makeWorld(chain(blocks, globals))
  t.teardown(() => world.close())
  t.strictSame(world.messages, [], 'the loader has nothing to say')
  return world
}

const needsAServer = new Set(['Limits from an LDAP directory'])
const configurations = [...examples].filter(([, [first]]) => first?.startsWith('<'))

for (const [title, [example = '', second = '']] of configurations) {
  if (needsAServer.has(title)) continue
  t.test(`the example of "${title}" does what it says`, async t => {
    const here = t.testdir({ newsletter: second })
    const text = example.replace(/\/[\w/-]+\/(?=newsletter|users\.db)/, `${here}/`)
    const world = await worldOf(t, text)
    if (/^CREATE/.test(second)) {
      const dsn = /dsn += "(.*)"/.exec(text)?.[1] ?? ''
      for (const statement of second.split('\n')) await world.sql(dsn).execute(statement, [])
    }
    await takes(t, world, STEPS[title] ?? [])
  })
}

const noDirectory = serverMissing('slapd')

t.test('the example of an LDAP directory is understood', async t => {
  const [example = ''] = examples.get('Limits from an LDAP directory') ?? []
  await worldOf(t, example)
})

t.test('the example of an LDAP directory does what it says', { skip: noDirectory }, async t => {
  const title = 'Limits from an LDAP directory'
  const base = 'dc=example,dc=org'
  const alice = 'objectClass: inetOrgPerson\nuid: alice\ncn: alice\nsn: A\nemployeeNumber: 500'
  const data = [
    `dn: ${base}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n`,
    `dn: ou=users,${base}\nobjectClass: organizationalUnit\nou: users\n`,
    `dn: uid=alice,ou=users,${base}\n${alice}\n`,
  ].join('\n')
  const server = await startServer('slapd', { files: { 'data.ldif': data } })
  t.teardown(() => server.remove())
  const [example = ''] = examples.get(title) ?? []
  const here = example
    .replace(/host .*/, `host = 127.0.0.1\nport = ${server.port}\nstarttls = 0`)
    .replace(/ *(?:binddn|password) .*\n/g, '')
    // In place of an attribute of the site's own schema.
    .replaceAll('mailMessageLimit', 'employeeNumber')
  await takes(t, await worldOf(t, here), STEPS[title] ?? [])
})

/** What `mtpolicyctl set ...` makes of the host's configuration. */
async function rendered(t: Test, command: string): Promise<string> {
  const root = t.testdir()
  const [program, ...argv] = command.replaceAll('\\\n', ' ').trim().split(/\s+/)
  t.equal(program, 'mtpolicyctl')
  let stderr = ''
  const status = await runRegistryCommand([...argv, 'mtpolicyd/timezone=Europe/Berlin'], {
    root,
    env: {},
    templates: join(top, 'templates'),
    stdout: () => undefined,
    stderr: text => {
      stderr += text
    },
    check: () => [],
    reload: () => undefined,
  })
  t.match({ status, stderr }, { status: 0, stderr: '' })
  return readFileSync(join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf'), 'utf8')
}

/** Google's relays have a country, too. */
function countriesOf(t: Test) {
  const path = join(t.testdir(), 'country.mmdb')
  const ranges = [
    { first: '198.51.100.0', last: '198.51.100.255', code: 'DE' },
    { first: '203.0.113.0', last: '203.0.113.255', code: 'CN' },
    { first: '2a00:1450::', last: '2a00:1450:ffff:ffff:ffff:ffff:ffff:ffff', code: 'IE' },
  ]
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, writeMmdb(ranges, { builtAt: new Date(NOON) }))
  return openCountryDatabase({ path, log: () => undefined, pollMilliseconds: 0 })
}

const commandOf = (blocks: readonly string[]) =>
  blocks.find(one => one.startsWith('mtpolicyctl set'))
const settings = [...examples].filter(([, blocks]) => commandOf(blocks) !== undefined)

for (const [title, blocks] of settings) {
  t.test(`the variables of "${title}" do what it says`, async t => {
    const own = blocks.find(one => one.startsWith('<Plugin')) ?? ''
    const text = (await rendered(t, commandOf(blocks) ?? ''))
      .replace(/^ *<<include .*\.plugins>>/m, () => own)
      .replace(/^<<include .*/m, '')
    const world = await makeWorld(text, { outside: { countries: countriesOf(t) } })
    t.teardown(() => world.close())
    t.strictSame(world.messages, [])
    await takes(t, world, STEPS[title] ?? [])
  })
}

t.test('the text of the operator’s own is in the manual as it is seen', async t => {
  const title = 'A text of your own'
  const [, shown = ''] = examples.get(title) ?? []
  const [, answer] = STEPS[title]?.at(-1) ?? []
  t.equal(`reject ${shown.replaceAll(/\s+/g, ' ').trim()}`, answer)
})

t.test('every example is tried, and there are no others', async t => {
  const titles = [...configurations, ...settings].map(([title]) => title)
  t.strictSame(titles.toSorted(), Object.keys(STEPS).toSorted())
})

t.test('the German page has the same examples, in the same order', async t => {
  const withoutComments = (page: string): string[] =>
    [...examplesOf(page).values()]
      .flat()
      // The first one is the table.
      .slice(1)
      .map(block => block.replaceAll(/^ *#.*\n| *#.*$/gm, ''))
  t.strictSame(withoutComments(german), withoutComments(english))
  t.equal(examplesOf(german).size, examples.size, 'and as many headings')
})

t.test('the table at the top names what there is, and in both languages the same', async t => {
  const lines = (page: string): string[] => {
    const [table = ''] = [...examplesOf(page).values()].flat()
    return table.split('\n').slice(1)
  }
  const written = (page: string): string[] => lines(page).map(line => line.slice(40))
  const known = new Set([
    ...Object.keys(sendingLimit.settings),
    ...(sendingLimit.blocks ?? []).map(type => `<${type} NAME>`),
    'members',
    'uc_threshold',
  ])
  t.ok(lines(english).length > 20)
  for (const line of written(english).slice(0, -1)) {
    for (const part of line.replace(/".*"/, '').split(', ')) {
      if (part === 'another block') continue
      t.ok(known.has(part.replace(/ = .*/, '')), part)
    }
  }
  const isWord = /^(?:another|weiterer|see|siehe) [A-Za-z]+/
  const options = (page: string): string[] => written(page).map(line => line.replace(isWord, ''))
  t.strictSame(options(german), options(english))
})

/** For each text under WHAT USERS SEE: the limit, and the mails after which it is seen. */
const SEEN: Readonly<Record<string, readonly [lines: string, ...mails: Mail[]]>> = {
  'The limit of a day is reached': ['threshold = 100', { to: 100 }, {}],
  'The message has more recipients than are left': ['threshold = 100', { to: 97 }, { to: 5 }],
  'The limit of a rolling window is reached': ['threshold = 20\nwindow = 1h', { to: 20 }, {}],
  'It has less room than the message needs': ['threshold = 20\nwindow = 1h', { to: 17 }, { to: 5 }],
  'It never has that much': ['threshold = 20\nwindow = 1h', { to: 25 }],
  'The limit of a domain is reached': [
    'threshold = 100\nper = domain',
    { user: 'alice@example.org', to: 100 },
    { user: 'bob@example.org' },
  ],
  'The limit in megabytes is reached': [
    'threshold = 100\nunit = megabytes',
    { megabytes: 100 },
    { megabytes: 2 },
  ],
  'The limit is 0': ['threshold = unlimited\n<User alice>\nthreshold = 0\n</User>', {}],
  'A single message has too many recipients': ['most_recipients = 10', { to: 11 }],
  'A single message is too big': ['most_megabytes = 25', { megabytes: 31.4 }],
}

t.test('the texts in the manual are those that come out of the program', async t => {
  t.strictSame(
    situations.map(({ title }) => title.en),
    Object.keys(SEEN),
  )
  for (const { title, text } of situations) {
    const [lines, ...mails] = SEEN[title.en] ?? ['']
    for (const language of LANGUAGES) {
      const block = `<Plugin limit>\nmodule = "SendingLimit"\nlanguage = ${language}\n${lines}\n</Plugin>`
      const world = await worldOf(t, block)
      await takes(
        t,
        world,
        mails.slice(0, -1).map(mail => [mail, OK]),
      )
      const got = await send(world, mails.at(-1) ?? {})
      const seen = got?.replace(/^reject 5\.\d\.\d /, '')
      t.equal(seen, text(wordings[language]), `${title.en}, ${language}`)
    }
  }
})
