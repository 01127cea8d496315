/** mtpolicyctl top: the table, its JSON, and who may not be in it. */

import t from 'tap'
import type { Screen } from '../../daemon/cli/screen.ts'
import { columnsOf } from '../../daemon/text/columns.ts'
import { accountHost } from '../support/account-host.ts'
import { runCommand } from '../support/command.ts'
import { memoryHistory, sums } from '../support/memory-history.ts'
import { chain, plugin } from '../support/world.ts'

process.env.TZ = 'UTC'

const TEXT = chain(plugin('SendingLimit', 'threshold = 1000', 'limit'))
const alice = sums('alice@example.org', {
  ...{ recipients: 12_345, messages: 234, refused: 2, bytes: 1 },
  ...{ countries: ['DE', 'AT', 'CN', 'US', 'FR'], networks: 3 },
})
const SENDERS = [
  alice,
  sums('', { recipients: 55, messages: 50 }),
  sums('bob', { recipients: 7, refused: 900, countries: ['CN'], networks: 1 }),
]

t.test('the largest senders, aligned in 80 columns', async t => {
  const host = await accountHost(t, TEXT, { history: memoryHistory({ senders: SENDERS }) })
  t.strictSame(await host.say('top'), {
    status: 0,
    err: '',
    out: `Since 2026-11-19 12:00, by recipients; the figures are those of whole hours.

account            recipients  messages  refused  networks  countries
alice@example.org       12345       234        2         3  DE AT CN +2
(no login)                 55        50        0         0
bob                         7         0      900         1  CN
`,
  })
  const refused = await host.say('top', '--by', 'refused', '--limit', '1', '--since', '90m')
  t.match(refused.out, /^Since 2026-11-20 10:00, by refused;.*\n\n.*\nbob .*\n$/)
})

t.test('the same as JSON', async t => {
  const host = await accountHost(t, TEXT, { history: memoryHistory({ senders: SENDERS }) })
  const { status, out, err } = await host.say(
    'top',
    '--json',
    '--limit',
    '2',
    '--since',
    '2026-11-20',
  )
  t.strictSame({ status, err }, { status: 0, err: '' })
  const { bytes, ...first } = alice
  t.strictSame(JSON.parse(out), {
    since: '2026-11-20T00:00:00.000Z',
    until: '2026-11-20T12:00:00.000Z',
    senders: [
      first,
      { account: '', messages: 50, recipients: 55, refused: 0, countries: [], networks: 0 },
    ],
  })
})

t.test('where nobody has sent anything, that is what it says', async t => {
  const host = await accountHost(t, TEXT, { history: memoryHistory() })
  t.match(await host.say('top'), { status: 0, out: /\n\nNo mail in that time\.\n$/ })
  t.match(JSON.parse((await host.say('top', '--json')).out), { senders: [] })
})

t.test('without a history it says how to keep one', async t => {
  for (const history of [undefined, memoryHistory({ status: { state: 'off', days: 0 } })]) {
    const host = await accountHost(t, TEXT, { history })
    const { status, out, err } = await host.say('top', '--json')
    t.strictSame({ status, out }, { status: 1, out: '' })
    t.match(err, 'mtpolicyctl set mtpolicyd/history/days=90')
    t.match(err, 'history_days = 90')
  }
  const broken = await accountHost(t, TEXT, { history: memoryHistory({ broken: 'malformed' }) })
  t.match(await broken.say('top'), { status: 1, err: /malformed/ })
})

t.test('without a daemon it says so', async t => {
  const root = t.testdir()
  await t.rejects(runCommand(['top'], { root }), { message: 'the daemon is not running' })
})

t.test('a wrong option is named, with what was expected', async t => {
  const host = await accountHost(t, TEXT, { history: memoryHistory() })
  for (const [option, value, expected] of [
    ['--by', 'size', 'recipients, messages, refused'],
    ['--limit', '0', '1 to 1000'],
    ['--limit', '1001', '1 to 1000'],
    ['--since', 'yesterday', 'a time such as 24h'],
    ['--since', '2026-11-21', 'a time such as 24h'],
  ] as const) {
    const { status, out, err } = await host.say('top', option, value)
    t.strictSame({ status, out }, { status: 64, out: '' }, `${option} ${value}`)
    t.match(err, expected)
  }
})

t.test('hostile accounts stay in their column', async t => {
  const names = [
    'a\x1b[2J\x9b31m',
    'x'.repeat(320),
    `${'山田'.repeat(50)}@example.jp`,
    `e${'\u0301'.repeat(300)}`,
    'a\u202egpj.exe',
    '\r\nbob                         7',
  ]
  const senders = names.map((name, at) =>
    sums(name, {
      recipients: 10 ** 9 - at,
      messages: 10 ** 8,
      countries: ['DE', 'CN', 'US', 'FR'],
    }),
  )
  const host = await accountHost(t, TEXT, { history: memoryHistory({ senders }) })
  const { out } = await host.say('top')
  t.notMatch(out, /[^\n\P{Cc}]|\u202e/u)
  const rows = out.trimEnd().split('\n').slice(2)
  t.equal(rows.length, names.length + 1)
  for (const row of rows) {
    t.ok(columnsOf(row) < 80, row)
    if (row !== rows[0]) t.equal(columnsOf(row), columnsOf(rows[1] ?? ''), `aligned: ${row}`)
  }
  const json = (await host.say('top', '--json')).out
  t.notMatch(json, /[^\n\P{Cc}]/u)
  t.strictSame(
    JSON.parse(json).senders.map(({ account }: { account: string }) => account),
    names,
  )
})

t.test('live, the table is as large as the terminal, and ends with it', async t => {
  const senders = Array.from({ length: 100 }, (_, at) =>
    sums(`user${at}`, { recipients: 100 - at }),
  )
  const shown: (readonly string[])[] = []
  const sizes = [
    { columns: 100, rows: 24 },
    { columns: 40, rows: 10 },
    { columns: 20, rows: 3 },
  ]
  const screen: Screen = {
    async show(draw) {
      for (const size of sizes) shown.push(await draw(size))
    },
  }
  const history = memoryHistory({ senders })
  const host = await accountHost(t, TEXT, { history, screen })
  t.strictSame(await host.say('top', '--watch', '--limit', '50'), { status: 0, out: '', err: '' })
  for (const [at, { columns, rows }] of sizes.entries()) {
    const lines = shown[at] ?? []
    t.equal(lines.length, Math.max(6, rows), `${rows} rows`)
    t.ok(lines.slice(0, -1).every(line => columnsOf(line) <= columns))
    t.match(lines[3], /^user0 /)
  }
})
