/** `mtpolicyctl why`: a refusal of the daemon at work, as it is shown and as programs read it. */

import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Refusal } from '../../daemon/policy/ports/history.ts'
import { type HistoryDaemon, historyDaemon } from '../support/history-daemon.ts'
import { plugin } from '../support/world.ts'

/** Addresses whose country is beyond doubt. */
const GERMAN = '193.99.144.80'
const CHINESE = '223.5.5.5'
const MAIL = {
  request: 'smtpd_access_policy',
  protocol_state: 'END-OF-MESSAGE',
  client_address: GERMAN,
  client_name: 'client.example.net',
  sasl_username: 'Alice',
  sender: 'alice@example.org',
  recipient: '',
  queue_id: '4XyZ',
  instance: 'a.1',
  recipient_count: '2',
  size: '1234',
}
const ESCAPE = '\u001b'

/** Sends, and the code of the refusal, whose steps are known by now. */
async function refused(
  t: Test,
  daemon: HistoryDaemon,
  more: Readonly<Record<string, string>> = {},
): Promise<string> {
  const told = await daemon.ask({ ...MAIL, ...more })
  const code = / \((...-...)\)$/.exec(told ?? '')?.[1]
  if (code === undefined) throw new Error(`not refused: ${told}`)
  await daemon.explained(code)
  t.match(daemon.history.kept.at(-1), { code })
  return code
}

/** Where this line is in its configuration. */
function placeOf({ paths }: HistoryDaemon, text: string): string {
  const lines = readFileSync(paths.config, 'utf8').split('\n')
  return `${paths.config}:${lines.indexOf(text) + 1}`
}

const linesTooLong = (text: string): string[] =>
  text.split('\n').filter(line => line.length > 79 && !/^ {6}mtpolicyctl /.test(line))

const seconds = (at: number | undefined): string => {
  const date = new Date(at ?? Number.NaN)
  const two = (number: number): string => String(number).padStart(2, '0')
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  return `${day} at ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`
}

t.test('mail beyond a limit: what was told, what was used, and what would let it pass', async t => {
  const daemon = await historyDaemon(t, { variables: { 'mtpolicyd/threshold': '5' } })
  t.equal(await daemon.ask({ ...MAIL, recipient_count: '4' }), 'dunno')
  const code = await refused(t, daemon, { instance: 'a.2' })
  const { status, stdout, stderr } = await daemon.ctl('why', code)
  t.equal(stderr, '')
  t.equal(status, 0)
  t.equal(
    stdout,
    `${code}: refused on ${seconds(daemon.history.kept.at(-1)?.at)}

Account      alice
Client       193.99.144.80 (client.example.net) in DE
Message      from alice@example.org, 2 recipients
Answer       reject 5.7.1 This message has 2 recipients, but only 1 of your 5
             for today is left
Decided by   limit (SendingLimit)
Rule         mtpolicyd/threshold=5
Used before  4 of 5

What would let such mail pass
  Raise the limit of alice for a day:
      mtpolicyctl limit alice 10 --until +1d
  The same for good:
      mtpolicyctl limit alice 10
  Start the count of alice again:
      mtpolicyctl reset alice --window day

The plugins, rehearsed right after the answer
1.  countries (AllowedCountries), generated from mtpolicyd/allowedcountries
    found: country DE
    no objection
2.  limit (SendingLimit), generated from mtpolicyd/threshold
    found: used 4, limit 5
    decides: this is the answer

The request of Postfix, without what is empty
  request=smtpd_access_policy
  protocol_state=END-OF-MESSAGE
  client_address=193.99.144.80
  client_name=client.example.net
  sasl_username=Alice
  sender=alice@example.org
  queue_id=4XyZ
  instance=a.2
  recipient_count=2
  size=1234
`,
  )
  t.strictSame(linesTooLong(stdout), [])

  const json = await daemon.ctl('why', '--json', code)
  const action =
    'reject 5.7.1 This message has 2 recipients, but only 1 of your 5 for today is left'
  const { at, ...shown } = JSON.parse(json.stdout)
  t.equal(Date.parse(at), daemon.history.kept.at(-1)?.at)
  t.strictSame(shown, {
    code,
    account: 'alice',
    country: 'DE',
    recipients: 2,
    bytes: 1234,
    host: 'default',
    action,
    by: 'limit',
    why: 'decided',
    facts: { country: 'DE', used: 4, limit: 5 },
    found: '',
    attributes: { ...MAIL, instance: 'a.2' },
    steps: [
      {
        plugin: 'countries',
        module: 'AllowedCountries',
        saw: { country: 'DE' },
        outcome: 'nothing',
        place: 'mtpolicyd/allowedcountries',
      },
      {
        plugin: 'limit',
        module: 'SendingLimit',
        saw: { used: 4, limit: 5 },
        outcome: `action: ${action}`,
        place: 'mtpolicyd/threshold',
      },
    ],
    rule: 'limit (SendingLimit)',
    place: 'mtpolicyd/threshold',
    remedies: [
      {
        text: 'Raise the limit of alice for a day:',
        command: 'mtpolicyctl limit alice 10 --until +1d',
      },
      { text: 'The same for good:', command: 'mtpolicyctl limit alice 10' },
      {
        text: 'Start the count of alice again:',
        command: 'mtpolicyctl reset alice --window day',
      },
    ],
    further: [],
    others: [],
  })
  t.equal(
    await daemon.ask({ ...MAIL, instance: 'a.3', recipient_count: '1' }),
    'dunno',
    'one is left',
  )
})

t.test('a code is found however it is typed, and a message by its names in the logs', async t => {
  const daemon = await historyDaemon(t, { variables: { 'mtpolicyd/threshold': '1' } })
  const code = await refused(t, daemon)
  const { stdout } = await daemon.ctl('why', code)
  for (const argv of [
    [code.toLowerCase()],
    [code.replace('-', '')],
    [`(${code})`],
    [`  ${code} `],
    ['--queue-id', '4XyZ'],
    ['--message', 'a.1'],
  ]) {
    t.strictSame(await daemon.ctl('why', ...argv), { status: 0, stdout, stderr: '' })
  }
})

t.test('a mail that is asked for again, also after a reload, gets the same answer', async t => {
  const daemon = await historyDaemon(t, { variables: { 'mtpolicyd/threshold': '1' } })
  const seen = daemon.daemon.control.watch({}, new AbortController().signal)[Symbol.asyncIterator]()
  const next = seen.next()
  const told = await daemon.ask(MAIL)
  const code = /\((...-...)\)$/.exec(told ?? '')?.[1]
  t.match((await next).value, { verdict: told, code }, 'watch shows it')
  await seen.return?.()
  t.equal(await daemon.ask(MAIL), told, 'on another connection')
  await daemon.daemon.reload()
  t.equal(await daemon.ask(MAIL), told)
  t.match(daemon.history.noted, [{ code }, { code }, { code }])
  t.equal(daemon.history.kept.length, 1)
})

t.test('mail from a refused country: the command that lets the country pass', async t => {
  const daemon = await historyDaemon(t, {
    variables: { 'mtpolicyd/user/alice/allowedcountries': 'DE,AT' },
  })
  const code = await refused(t, daemon, { client_address: CHINESE })
  const { stdout } = await daemon.ctl('why', code)
  t.match(stdout, /^Client {7}223\.5\.5\.5 \(client\.example\.net\) in CN$/m)
  t.match(stdout, /^Rule {9}mtpolicyd\/user\/alice\/allowedcountries=DE,AT$/m)
  t.notMatch(stdout, /^Used before/m)
  t.match(
    stdout,
    `What would let such mail pass
  Accept mail of alice from CN, too, for three days:
      mtpolicyctl allow alice --countries CN --until +3d
  Accept mail of alice from CN, too, for good:
      mtpolicyctl allow alice --countries CN
`,
  )
  t.match(JSON.parse((await daemon.ctl('why', code, '--json')).stdout), {
    place: 'mtpolicyd/user/alice/allowedcountries',
    steps: [{ place: 'mtpolicyd/allowedcountries' }],
  })
})

t.test(
  'an address without a country: the variable that lists its network, with what it has',
  async t => {
    const daemon = await historyDaemon(t, {
      variables: {
        'mtpolicyd/unknowncountry': 'refuse',
        'mtpolicyd/user/alice/allowednetworks': '198.51.100.0/24',
      },
    })
    const code = await refused(t, daemon, { client_address: '240.1.2.3' })
    t.match(JSON.parse((await daemon.ctl('why', code, '--json')).stdout).remedies, [
      {
        command: 'mtpolicyctl set mtpolicyd/user/alice/allowednetworks=198.51.100.0/24,240.1.2.3',
      },
    ])
  },
)

for (const [what, variables, place, commands] of [
  [
    'an hour',
    { 'mtpolicyd/threshold/hour': '1' },
    'mtpolicyd/threshold/hour',
    ['limit alice 2 --window hour --until +2h', 'limit alice 2 --window hour'],
  ],
  [
    'any 24 hours, of a user',
    { 'mtpolicyd/user/alice/threshold/rolling': '1' },
    'mtpolicyd/user/alice/threshold/rolling',
    ['limit alice 2 --window rolling --until +1d', 'limit alice 2 --window rolling'],
  ],
  [
    'the users of a domain',
    {
      'mtpolicyd/defaultdomain': 'example.org',
      'mtpolicyd/domain/example.org/user/threshold': '1',
    },
    'mtpolicyd/domain/example.org/user/threshold',
    ['limit alice 2 --until +1d', 'limit alice 2'],
  ],
  [
    'a domain',
    { 'mtpolicyd/defaultdomain': 'example.org', 'mtpolicyd/domain/example.org/threshold': '1' },
    'mtpolicyd/domain/example.org/threshold',
    ['set mtpolicyd/domain/example.org/threshold=2'],
  ],
  [
    'the server',
    { 'mtpolicyd/server/threshold/hour': '1' },
    'mtpolicyd/server/threshold/hour',
    ['set mtpolicyd/server/threshold/hour=2'],
  ],
  [
    'a message',
    { 'mtpolicyd/threshold/message': '1' },
    'mtpolicyd/threshold/message',
    ['set mtpolicyd/user/alice/threshold/message=2'],
  ],
] as const) {
  t.test(`the limit of ${what}: its variable and its commands`, async t => {
    const daemon = await historyDaemon(t, { variables })
    const code = await refused(t, daemon)
    const shown = JSON.parse((await daemon.ctl('why', code, '--json')).stdout)
    t.equal(shown.place, place)
    t.strictSame(
      shown.remedies.map(({ command }: { command: string }) => command),
      commands.map(command => `mtpolicyctl ${command}`),
      'and none to start the count again: even then it would not fit',
    )
    t.strictSame(linesTooLong((await daemon.ctl('why', code)).stdout), [])
  })
}

t.test('in a file of one’s own, a rule stands in a line of it', async t => {
  const daemon = await historyDaemon(t, {
    plugins: plugin('SendingLimit', 'threshold = 0\nunit = messages', 'most'),
  })
  const code = await refused(t, daemon)
  const shown = JSON.parse((await daemon.ctl('why', code, '--json')).stdout)
  const place = placeOf(daemon, '<Plugin most>')
  t.match(shown, { rule: 'most (SendingLimit)', place, steps: [{ place }] })
  t.strictSame(
    shown.remedies.map(({ command }: { command: string }) => command),
    ['mtpolicyctl limit alice 1 --window most --until +1d'],
    'a variable would have no effect',
  )
  t.match((await daemon.ctl('why', code)).stdout, `1.  most (SendingLimit),`)
})

t.test('any other plugin is changed where it is written', async t => {
  const daemon = await historyDaemon(t, {
    plugins: plugin('Action', 'action = "550 5.7.1 Not today"', 'all'),
  })
  const code = await refused(t, daemon)
  const shown = JSON.parse((await daemon.ctl('why', code, '--json')).stdout)
  const place = placeOf(daemon, '<Plugin all>')
  t.match(shown, {
    rule: 'all (Action)',
    place,
    remedies: [
      {
        text: `Change <Plugin all> at ${place}, then put it in force:`,
        command: 'mtpolicyctl reload',
      },
    ],
  })
})

t.test(
  'a mail that could not be checked: nothing is to be allowed, something is to be found',
  async t => {
    const daemon = await historyDaemon(t, {
      globals:
        'on_failure = defer\n<Connection db>\nmodule = Sql\n' +
        'dsn = "dbi:SQLite:dbname=/nonexistent/list"\n</Connection>',
      plugins: plugin('SqlList', 'sql_query = "SELECT 1"', 'list'),
    })
    const told = await daemon.ask(MAIL)
    t.match(told, /^defer the mail could not be checked/)
    const [kept] = daemon.history.kept
    await daemon.explained(kept?.code ?? '')
    const { stdout } = await daemon.ctl('why', kept?.code ?? '')
    t.match(stdout, /^...-...: deferred on /)
    t.match(stdout, /^ {6}mtpolicyctl doctor$/m)
    t.match(stdout, /^ {4}failed: /m)
  },
)

t.test('of a message with thirty recipients the latest is whole, the others are lines', async t => {
  const daemon = await historyDaemon(t, {
    plugins: plugin('Action', `action = "reject ${'No '.repeat(40)}"`, 'all'),
  })
  const codes: string[] = []
  for (let i = 0; i < 30; i++) {
    const told = await daemon.ask({
      ...MAIL,
      protocol_state: 'RCPT',
      recipient: `to${i}@example.net`,
    })
    codes.push(/\((...-...)\)$/.exec(told ?? '')?.[1] ?? '')
  }
  t.equal(new Set(codes).size, 30, 'each recipient has a code')
  const { stdout } = await daemon.ctl('why', '--message', 'a.1')
  t.match(stdout, new RegExp(`^${codes[29]}: refused`))
  const others = stdout.split('Other refusals of this message\n')[1]?.trimEnd().split('\n') ?? []
  t.equal(others.length, 29)
  t.match(others[0], new RegExp(`^ {2}${codes[28]} .* to to28@example\\.net: reject No`))
  t.match(others[28], new RegExp(`^ {2}${codes[0]} .* to to0@example\\.net: reject No`))
  t.strictSame(linesTooLong(stdout), [])
  const shown = JSON.parse((await daemon.ctl('why', '--message', 'a.1', '--json')).stdout)
  t.equal(shown.code, codes[29])
  t.match(shown.others[0], { code: codes[28], recipient: 'to28@example.net' })
  const one = await daemon.ctl('why', codes[3] ?? '')
  t.match(one.stdout, new RegExp(`^${codes[3]}: refused`))
  t.notMatch(one.stdout, /Other refusals/)
  t.ok(
    daemon.history.kept.some(({ steps }) => steps === undefined),
    'they came too fast',
  )
  const last = await daemon.ctl('why', codes[29] ?? '')
  t.match(last.stdout, /steps of the plugins were not noted|rehearsed right after/)
})

t.test('names cannot control the terminal, or be commands for the shell', async t => {
  const daemon = await historyDaemon(t, { variables: { 'mtpolicyd/threshold': '1' } })
  const nasty = `--bo b';reboot;${ESCAPE}[2J\u202e`
  const code = await refused(t, daemon, { sasl_username: nasty, sender: `${ESCAPE}c@example.org` })
  const { stdout } = await daemon.ctl('why', code)
  t.notMatch(stdout, /[^\n -~]/)
  t.match(stdout, `mtpolicyctl limit --until +1d -- '--bo b'"'"';reboot;`)
  const json = (await daemon.ctl('why', code, '--json')).stdout
  t.notMatch(json, ESCAPE)
})

t.test('what nobody knows: the exit status is 1, and how long refusals are kept', async t => {
  const daemon = await historyDaemon(t)
  for (const [argv, name] of [
    [['K3F-9QT'], 'K3F-9QT'],
    [['--queue-id', `4X${ESCAPE}`], 'of queue ID 4X\\x1b'],
    [['--message', 'a.1', '--json'], 'of message a.1'],
  ] as const) {
    t.strictSame(await daemon.ctl('why', ...argv), {
      status: 1,
      stdout: '',
      stderr: `mtpolicyctl why: no refusal ${name} is known\nRefusals are kept for 90 days, the last 200,000 at most.\n`,
    })
  }
})

t.test('what cannot be a code is said to be none', async t => {
  const daemon = await historyDaemon(t)
  for (const argv of [['K3F-9Q0'], ['K3F'], [''], [ESCAPE], [], ['K3F-9QT', '--message', 'a.1']]) {
    const { status, stdout, stderr } = await daemon.ctl('why', ...argv)
    t.equal(status, 64)
    t.equal(stdout, '')
    t.match(stderr, /^mtpolicyctl why: expected a (code such as K3F-9QT|CODE, or one of)/)
    t.notMatch(stderr, ESCAPE)
  }
})

t.test('without a history, or without a daemon, it says what to do', async t => {
  const daemon = await historyDaemon(t, {
    variables: { 'mtpolicyd/threshold': '1' },
    hasHistory: false,
  })
  t.notMatch(await daemon.ask(MAIL), /\(...-...\)/, 'refusals have no codes')
  const off = await daemon.ctl('why', 'K3F-9QT')
  t.equal(off.status, 1)
  t.match(off.stderr, /no history is kept; .*mtpolicyctl set mtpolicyd\/history\/days=90/)
  await daemon.daemon.stop(1000)
  const gone = await daemon.ctl('why', 'K3F-9QT')
  t.equal(gone.status, 1)
  t.match(gone.stderr, 'the daemon is not running')
})

t.test('a refusal whose plugin is gone, and one whose rehearsal came out otherwise', async t => {
  const daemon = await historyDaemon(t)
  const code = daemon.history.nextCode()
  const kept: Refusal = {
    code,
    at: Date.UTC(2026, 10, 20),
    account: '',
    country: '',
    recipients: 1,
    bytes: 0,
    host: 'old',
    action: 'reject No',
    by: 'rbl',
    why: 'decided',
    facts: {},
    attributes: { client_address: '192.0.2.1' },
    steps: undefined,
  }
  daemon.history.refusals = async () => [kept]
  const unknown = (await daemon.ctl('why', code)).stdout
  t.match(unknown, /^Account {6}none, nobody had logged in$/m)
  t.match(unknown, /^Decided by {3}rbl$/m)
  t.match(unknown, 'The steps of the plugins were not noted')
  const step = { plugin: 'rbl', module: 'RBL', saw: {}, outcome: 'nothing', place: '/old.conf:7' }
  daemon.history.refusals = async () => [{ ...kept, steps: [step] }]
  const other = (await daemon.ctl('why', code)).stdout
  t.match(other, /^Rule {9}\/old\.conf:7$/m)
  t.match(other, /^ {2}Something had changed: /m)
  const block = { plugin: 'block', module: 'measure', saw: { ordered_by: 'root' }, place: '' }
  const outcome = `action: ${kept.action}`
  for (const steps of [[{ ...block, outcome }], undefined]) {
    daemon.history.refusals = async () => [{ ...kept, account: 'bob', by: 'block', steps }]
    const blocked = (await daemon.ctl('why', code)).stdout
    t.match(blocked, /^Decided by {3}block \(measure\)$/m)
    t.match(blocked, /^ {6}mtpolicyctl release bob$/m)
    if (steps) t.match(blocked, /^1\. {2}block \(measure\)\n {4}found: ordered_by root\n/m)
  }
  daemon.history.refusals = async () => [{ ...kept, by: '', why: 'late', action: 'defer Later' }]
  const late = (await daemon.ctl('why', code)).stdout
  t.match(late, /^Reason {7}the time for the decision was up/m)
  t.match(late, /^ {6}mtpolicyctl doctor$/m)
})
