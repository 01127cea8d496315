/** mtpolicyctl user: what it says of an account, as text of a screen and as JSON. */

import t from 'tap'
import type { Seen, SeenMessage } from '../../daemon/policy/ports/history.ts'
import type { AccountMeasures, Block } from '../../daemon/policy/ports/measures.ts'
import { columnsOf } from '../../daemon/text/columns.ts'
import { accountHost } from '../support/account-host.ts'
import { runCommand } from '../support/command.ts'
import { memoryHistory, message, past, refusal } from '../support/memory-history.ts'
import { chain, NOON, plugin } from '../support/world.ts'

process.env.TZ = 'UTC'

const HOUR = 3_600_000
const UTC = 'timezone = "UTC"'
const limit = (lines: string, name = 'limit'): string => plugin('SendingLimit', lines, name)
const ONE = chain(limit('threshold = 1000'), UTC)
const seen = (name: string, hours: number): Seen => {
  return { name, first: NOON - 2 * hours * HOUR, last: NOON - hours * HOUR, messages: hours }
}
const ordered = { account: 'alice', until: undefined, at: NOON, by: 'root', why: 'hacked' }
const block: Block = { kind: 'block', ...ordered }
const blocking = (one: Block): Readonly<Record<string, AccountMeasures>> => {
  return { alice: { block: one, allow: undefined, limits: [] } }
}

t.test('an account at work, on one screen', async t => {
  const history = memoryHistory({
    accounts: [
      past('alice', {
        countries: [seen('DE', 1), { ...seen('', 2), messages: 0 }],
        networks: [seen('198.51.100.0/24', 1), seen('2001:db8:1:2::/64', 3)],
        messages: [
          message(NOON, { recipients: 3 }),
          message(NOON - HOUR, {
            action: 'reject 5.7.1 Mail from this country is not accepted',
            by: 'countries',
            code: 'K3F-9QT',
            country: 'CN',
            client: '203.0.113.7',
          }),
          message(NOON - 2 * HOUR, { action: 'HOLD beyond 5', country: '' }),
        ],
        refusals: [refusal(NOON - HOUR, 'K3F-9QT')],
      }),
    ],
  })
  const until = NOON + 26 * HOUR
  const why = 'holiday'
  const measures: AccountMeasures = {
    block: undefined,
    allow: { ...ordered, kind: 'allow', countries: ['ES', 'PT'], until, why },
    limits: [{ ...ordered, kind: 'limit', window: 'day', threshold: 5000, why: '' }],
  }
  const blocks = limit('threshold = 1000') + limit('threshold = 60\nwindow = 1h', 'hour')
  const host = await accountHost(t, chain(blocks, UTC), { history, measures: { alice: measures } })
  await host.send('alice', 30, 23)
  t.strictSame(await host.say('user', 'alice'), {
    status: 0,
    err: '',
    out: `alice can send: 53 of 60 recipients used in the last hour.

measures   allow ES,PT until 11-21 14:00, by root: holiday
           limit 5000 per day until it is released, by root
limits     limit  #.......  53 of 5000 today, until 11-21 00:00
           hour   #######.  53 of 60 in the last hour
refusals   11-20 11:00  K3F-9QT  countries: Mail from this country is not ac...
countries  DE  1 message, 11-20 10:00 to 11-20 11:00
           unknown  nothing accepted, 11-20 08:00 to 11-20 10:00
networks   198.51.100.0/24  1 message, 11-20 10:00 to 11-20 11:00
           2001:db8:1:2::/64  3 messages, 11-20 06:00 to 11-20 09:00
messages   11-20 12:00  accepted, 3 recipients, 198.51.100.7 DE
           11-20 11:00  refused K3F-9QT, 1 recipient, 203.0.113.7 CN
           11-20 10:00  HOLD beyond 5, 1 recipient, 198.51.100.7
`,
  })
})

t.test('the same as JSON', async t => {
  const history = memoryHistory({
    accounts: [
      past('alice', {
        countries: [seen('DE', 1)],
        networks: [seen('198.51.100.0/24', 1)],
        clients: [seen('mail.example.org', 1)],
        messages: [message(NOON)],
        refusals: [refusal(NOON - HOUR, 'K3F-9QT')],
      }),
    ],
  })
  const blocks = limit('threshold = 5') + limit('threshold = unlimited\nwindow = 1h', 'hour')
  const host = await accountHost(t, chain(blocks, UTC), { history, measures: blocking(block) })
  await host.send('alice', 2)
  const { status, out, err } = await host.say('user', 'ALICE', '--json')
  t.strictSame({ status, err }, { status: 0, err: '' })
  const times = { first: '2026-11-20T10:00:00.000Z', last: '2026-11-20T11:00:00.000Z', messages: 1 }
  t.strictSame(JSON.parse(out), {
    account: 'alice',
    limits: [
      {
        ...{ name: 'limit', unit: 'recipients', window: 'day', used: 2, limit: 5 },
        again: '2026-11-21T00:00:00.000Z',
      },
      {
        ...{ name: 'hour', unit: 'recipients', window: '1h', used: 2, limit: 'unlimited' },
        again: null,
      },
    ],
    countries: [{ name: 'DE', ...times }],
    networks: [{ name: '198.51.100.0/24', ...times }],
    messages: [{ ...message(NOON), at: '2026-11-20T12:00:00.000Z' }],
    refusals: [
      // JSON has no member for steps that were not noted.
      JSON.parse(JSON.stringify({ ...refusal(0, 'K3F-9QT'), at: '2026-11-20T11:00:00.000Z' })),
    ],
    measures: [
      { account: 'alice', kind: 'block', value: '', until: null, by: 'root', why: 'hacked' },
    ],
  })
})

t.test('the first line says whether it can send, and when again', async t => {
  const first = async (text: string, ...recipients: number[]): Promise<string> => {
    const host = await accountHost(t, text)
    await host.send('alice@example.org', ...recipients)
    return (await host.say('user', 'alice@example.org')).out.split('\n\n')[0] ?? ''
  }
  const is = async (text: string, recipients: number[], expected: string): Promise<void> => {
    const said = (await first(text, ...recipients)).replaceAll('\n', ' ')
    t.equal(said, `alice@example.org ${expected}.`)
  }
  await is(ONE, [], 'can send: 0 of 1000 recipients used today')
  const five = limit('threshold = 5')
  const again = '; again from 2026-11-21 00:00'
  await is(chain(five, UTC), [5], `cannot send: 5 of 5 recipients used today${again}`)
  const hour = limit('threshold = 5\nwindow = 1h', 'hour')
  const soon = '; again from 2026-11-20 13:01'
  await is(chain(hour, UTC), [5], `cannot send: 5 of 5 recipients used in the last hour${soon}`)
  await is(chain(hour + five, UTC), [5], `cannot send: 5 of 5 recipients used today${again}`)
  const none = chain(limit('threshold = 0\nwindow = 10m'))
  await is(none, [], 'cannot send: 0 of 0 recipients used in the last 10 minutes')
  const observing = chain(five, `mode = observe\n${UTC}`)
  const because = 'because nothing is refused in observe mode'
  await is(observing, [7], `can send, ${because}: 7 of 5 recipients used today`)
  const holding = chain(limit('threshold = 5\nexcess = hold\nwindow = week'))
  await is(holding, [5], 'can send, but its mail is held: 5 of 5 recipients used this week')
  const redirecting = chain(
    limit('threshold = 5\nexcess = "redirect a@example.org"\nunit = messages'),
  )
  await is(redirecting, [1], 'can send: 1 of 5 messages used today')
  const megabytes = chain(limit('threshold = unlimited\nunit = megabytes\nwindow = 1d'))
  await is(megabytes, [1], 'can send: 0 megabytes used in the last 24 hours')
  const shared = (per: string): string => chain(limit(`threshold = 5\nper = ${per}`))
  await is(shared('domain'), [2], 'can send: 2 of 5 recipients used by all of example.org today')
  await is(shared('server'), [2], 'can send: 2 of 5 recipients used by all accounts today')
  await is(chain(limit('threshold = 5\nper = client')), [], 'can send: no limit applies to it')
})

t.test('a block comes before everything else', async t => {
  const until = NOON + 48 * HOUR
  const blocked = await accountHost(t, ONE, { measures: blocking({ ...block, until }) })
  t.match(
    (await blocked.say('user', 'Alice')).out,
    /^alice cannot send: blocked by root until 11-22 12:00: hacked\.\n\nmeasures +block until /,
  )
  const released = await accountHost(t, ONE, { measures: blocking({ ...block, why: '' }) })
  t.match((await released.say('user', 'alice')).out, /by root until it is released\.\n/)
  t.match((await released.say('user', 'bob')).out, /^bob can send/)
})

t.test('that the last mail was refused is said, although there is room', async t => {
  const refused = message(NOON, { action: 'reject 5.7.1 no', by: 'countries', code: 'K3F-9QT' })
  const first = async (...messages: SeenMessage[]): Promise<string> => {
    const history = memoryHistory({ accounts: [past('alice', { messages })] })
    const host = await accountHost(t, chain(limit('threshold = 5'), UTC), { history })
    const full = await host.say('user', 'alice')
    return full.out.split('\n\n')[0]?.replaceAll('\n', ' ') ?? ''
  }
  const room = 'alice can send: 0 of 5 recipients used today'
  t.equal(
    await first(refused, message(NOON)),
    `${room}; its last mail was refused: mtpolicyctl why K3F-9QT.`,
  )
  t.equal(await first(message(NOON), refused), `${room}.`)
})

t.test('a name without its domain is answered with the account that is meant', async t => {
  const accounts = ['eve@example.org', 'evelyn@example.org'].map(one =>
    past(one, { messages: [message(NOON)] }),
  )
  const host = await accountHost(t, ONE, { history: memoryHistory({ accounts }) })
  t.match(
    (await host.say('user', 'eve')).out,
    /^history {4}no mail of this account is known\n {11}do you mean eve@example\.org\?\n$/m,
  )
  t.match((await host.say('user', 'eve@example.com')).out, /account is known\n$/)
})

t.test('an account that never sent has its limits, and that is no failure', async t => {
  const host = await accountHost(t, ONE, { history: memoryHistory() })
  t.strictSame(await host.say('user', 'nobody'), {
    status: 0,
    err: '',
    out: `nobody can send: 0 of 1000 recipients used today.

limits     limit  ........  0 of 1000 today, until 11-21 00:00
history    no mail of this account is known
`,
  })
})

t.test('without a history, limits and measures are shown, and how to keep one', async t => {
  for (const history of [undefined, memoryHistory({ status: { state: 'off', days: 0 } })]) {
    const host = await accountHost(t, ONE, { history })
    const { status, out } = await host.say('user', 'alice')
    t.equal(status, 0)
    t.match(out, /^limits +limit .* 0 of 1000 today/m)
    t.match(out, /^history +off, .*\n +mtpolicyctl set mtpolicyd\/history\/days=90\n$/m)
    const json = JSON.parse((await host.say('user', 'alice', '--json')).out)
    t.match(json, { countries: [], networks: [], messages: [], refusals: [] })
  }
})

t.test('a history that cannot be read hides no limit', async t => {
  const host = await accountHost(t, ONE, {
    history: memoryHistory({ broken: 'disk \x1b[31mfull' }),
  })
  const { status, out } = await host.say('user', 'alice')
  t.equal(status, 0)
  t.match(out, '0 of 1000 today')
  t.match(out, 'history    cannot be read: disk \\x1b[31mfull\n')
  const json = await host.say('user', 'alice', '--json')
  t.equal(json.err, 'mtpolicyctl user: history: disk \\x1b[31mfull\n')
  t.match(JSON.parse(json.out), { limits: [{ used: 0 }], messages: [] })
})

t.test('a limit whose group cannot be read says why', async t => {
  const group = '<Group team>\nmembers = "hash:/nowhere/team"\nthreshold = 20\n</Group>'
  const blocks = limit(`threshold = 10\n${group}`, 'grouped') + limit('threshold = 5', 'plain')
  const host = await accountHost(t, chain(blocks, UTC))
  const { status, out } = await host.say('user', 'alice')
  t.equal(status, 0)
  t.match(out, /^alice can send: 0 of 5 recipients used today\.\n/)
  t.match(out, /^limits +grouped +not known: \S/m)
  const json = await host.say('user', 'alice', '--json')
  t.match(json.err, /^mtpolicyctl user: limit grouped: .*nowhere\/team/)
  t.match(JSON.parse(json.out).limits, [
    { name: 'grouped', used: null, limit: null, again: null },
    { name: 'plain', used: 0, limit: 5 },
  ])
})

t.test('with a default domain, mail under both names is the account’s', async t => {
  const history = memoryHistory({
    accounts: [
      past('alice', { countries: [seen('DE', 5)], messages: [message(NOON - HOUR)] }),
      past('alice@example.org', {
        countries: [seen('FR', 2), { ...seen('DE', 1), messages: 7 }],
        messages: [message(NOON)],
        refusals: [refusal(NOON, 'K3F-9QT')],
      }),
    ],
  })
  const text = chain(limit('threshold = 9\ndefault_domain = Example.org'), UTC)
  const host = await accountHost(t, text, { history, measures: blocking(block) })
  await host.send('alice@example.org', 2)
  await host.send('ALICE', 1)
  const said = new Set<string>()
  for (const name of ['alice', 'Alice@EXAMPLE.org']) {
    const { out } = await host.say('user', name, '--json')
    said.add(out)
    t.match(JSON.parse(out), {
      account: 'alice',
      limits: [{ used: 3 }],
      countries: [
        {
          name: 'DE',
          first: '2026-11-20T02:00:00.000Z',
          last: '2026-11-20T11:00:00.000Z',
          messages: 12,
        },
        { name: 'FR' },
      ],
      messages: [{ at: '2026-11-20T12:00:00.000Z' }, { at: '2026-11-20T11:00:00.000Z' }],
      refusals: [{ code: 'K3F-9QT' }],
      measures: [{ kind: 'block' }],
    })
  }
  t.equal(said.size, 1, 'one account, one answer')
})

/** A long life, and everything in it that a stranger has written is hostile. */
const HOSTILE = `\x1b[2J\u202e${'山'.repeat(40)}\r\n"`
const full = past('alice', {
  countries: ['DE', 'CN', 'US', 'FR', 'AT'].map((name, at) => seen(name, at + 1)),
  networks: Array.from({ length: 200 }, (_, at) => seen(`192.0.${at}.0/24`, at + 1)),
  messages: Array.from({ length: 50 }, (_, at) => message(NOON - at, { client: HOSTILE })),
  refusals: Array.from({ length: 300 }, (_, at) =>
    refusal(NOON - at, 'K3F-9QT', { by: HOSTILE, action: `reject ${HOSTILE}` }),
  ),
})

t.test('whatever is known, it fits a screen, and --all shows the rest', async t => {
  const blocks = ['day', 'week', 'month', '1h', '10m', '30d'].map(window =>
    limit(`threshold = 1000\nwindow = ${window}`, `a-long-name-for-${window}`),
  )
  const hostile = { ...ordered, why: HOSTILE, by: HOSTILE }
  const measures: AccountMeasures = {
    block: { ...hostile, kind: 'block' },
    allow: { ...hostile, kind: 'allow', countries: [HOSTILE] },
    limits: [{ ...hostile, kind: 'limit', window: HOSTILE, threshold: 5 }],
  }
  const host = await accountHost(t, chain(blocks.join('')), {
    history: memoryHistory({ accounts: [full] }),
    measures: { alice: measures },
  })
  const { out } = await host.say('user', 'alice')
  const lines = out.split('\n')
  t.ok(lines.length <= 25, `${lines.length} lines`)
  for (const line of lines) t.ok(columnsOf(line) < 80, line)
  t.match(out, 'and 97 more (--all)', 'of the hundred refusals that are told')
  t.notMatch(out, /[^\n\P{Cc}]|\u202e/u)
  const all = (await host.say('user', 'alice', '--all')).out
  t.equal(all.match(/K3F-9QT/g)?.length, 100)
  t.notMatch(all, /[^\n\P{Cc}]|\u202e|--all/u)
  const json = (await host.say('user', 'alice', '--json')).out
  t.notMatch(json, /[^\n\P{Cc}]/u)
  t.equal(JSON.parse(json).refusals[0].by, HOSTILE)
})

t.test('hostile names of accounts are shown, and control nothing', async t => {
  const host = await accountHost(t, ONE, { history: memoryHistory() })
  for (const name of [
    `x${HOSTILE}`,
    'a'.repeat(5000),
    '山田@例え.jp',
    `e${'\u0301'.repeat(500)}`,
  ]) {
    const { status, out } = await host.say('user', name)
    t.equal(status, 0, name)
    t.notMatch(out, /[^\n\P{Cc}]|\u202e/u)
    for (const line of out.split('\n')) t.ok(columnsOf(line) < 80 && line.length < 200, line)
  }
  t.match((await host.say('user', '山田@例え.jp')).out, /^山田@xn--/, 'as it is counted')
  for (const nobody of ['', '  ']) t.match(await host.say('user', nobody), { status: 64, out: '' })
})

t.test('without a daemon it says so', async t => {
  const root = t.testdir()
  await t.rejects(runCommand(['user', 'alice'], { root }), { message: 'the daemon is not running' })
})
