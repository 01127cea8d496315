/** What the console shows of mail: today, accounts, refusals and why, from a real daemon with a real history. */

import t from 'tap'
import type {
  Account,
  AccountSeries,
  Accounts,
  Refusals,
  Session,
  Today,
  Why,
} from '../../daemon/web/api.ts'
import { consoleApi } from '../support/console-api.ts'

const EVIL = '<img src=x onerror=alert(1)>'
const codeOf = (action: string): string => /\(([^()]*)\)$/.exec(action)?.[1] ?? ''
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

t.test('today has what was sent and refused, over time and by sender', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '5' } })
  await console.mail({ recipient_count: '3' })
  await console.mail({ sasl_username: 'bob', recipient_count: '2' })
  t.match(await console.mail({ recipient_count: '4' }), /^reject /)
  const { status, body } = await console.get<Today>('today')
  t.equal(status, 200)
  t.equal(body.history.state, 'ok')
  t.equal(body.series.step, 3_600_000)
  t.equal(body.series.times.length, 25)
  t.strictSame(
    [body.series.messages, body.series.recipients, body.series.refused].map(sum),
    [2, 5, 1],
  )
  t.strictSame(
    body.top.map(({ account, recipients, refused }) => ({ account, recipients, refused })),
    [
      { account: 'alice', recipients: 3, refused: 1 },
      { account: 'bob', recipients: 2, refused: 0 },
    ],
  )
  t.strictSame(body.countries, [{ country: '', messages: 2, recipients: 5, refused: 1 }])
  t.equal(body.status?.origin, 'variables')
  t.equal(body.status?.requests, 3)
})

t.test('a time that makes no sense is a mistake of who asks', async t => {
  const console = await consoleApi(t)
  for (const query of [
    'since=x',
    'since=-1',
    'since=2&until=1',
    'since=0',
    'until=99999999999999999',
  ]) {
    const { status, body } = await console.get<Today>(`today?${query}`)
    t.equal(status, 400, query)
    t.type(body.error, 'string')
  }
})

t.test('where no history is kept, today says so, and lists are a conflict', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/history/days': '0' } })
  const today = await console.get<Today>('today')
  t.equal(today.status, 200)
  t.equal(today.body.history.state, 'off')
  t.strictSame(today.body.series.times, [])
  for (const path of ['refusals', 'why/K3F-9QT', 'account/alice/series']) {
    const { status, body } = await console.get(path)
    t.equal(status, 409, path)
    t.match(body.error, /mtpolicyctl set mtpolicyd\/history\/days=90/)
  }
  const account = await console.get<Account>('account/alice')
  t.equal(account.status, 200, 'an account has its limits nevertheless')
  t.equal(account.body.history.state, 'off')
})

t.test('an account has its limits, its mail and its refusals', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '5' } })
  await console.mail({ sasl_username: 'Alice', recipient_count: '3' })
  const code = codeOf(await console.mail({ recipient_count: '4' }))
  const { status, body } = await console.get<Account>('account/ALICE')
  t.equal(status, 200)
  t.equal(body.account, 'alice')
  t.match(body.limits, [{ name: 'limit', used: 3, limit: 5, unit: 'recipients' }])
  t.strictSame(
    body.messages.map(one => one.recipients),
    [4, 3],
  )
  t.strictSame(
    body.refusals.map(one => [one.code, one.client]),
    [[code, '192.0.2.7']],
  )
  t.equal(body.history.days, 90)
  const plot = await console.get<AccountSeries>('account/alice/series')
  t.equal(plot.status, 200)
  t.equal(sum(plot.body.series.recipients), 3)
  t.equal(sum(plot.body.series.refused), 1)
  const unknown = await console.get<AccountSeries>('account/nobody/series')
  t.equal(sum(unknown.body.series.recipients), 0, 'an account that is not known has sent nothing')
  const names = await console.get<Accounts>('accounts?prefix=al')
  t.strictSame(names.body.accounts, ['alice'])
  t.equal((await console.get('accounts?most=0')).status, 400)
  t.equal((await console.get('account/alice/series?since=9&until=8')).status, 400)
})

t.test('refusals are found by what they have, page by page', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '1' } })
  const codes: string[] = []
  for (const user of ['alice', 'bob', 'alice', 'carol']) {
    const action = await console.mail({ sasl_username: user, recipient_count: '2' })
    codes.unshift(codeOf(action))
  }
  const first = await console.get<Refusals>('refusals?most=3')
  t.equal(first.status, 200)
  t.strictSame(
    first.body.refusals.map(one => one.code),
    codes.slice(0, 3),
  )
  const next = encodeURIComponent(first.body.next ?? '')
  const second = await console.get<Refusals>(`refusals?most=3&before=${next}`)
  t.strictSame(
    second.body.refusals.map(one => one.code),
    codes.slice(3),
  )
  t.equal(second.body.next, undefined)
  const found = async (query: string): Promise<number | undefined> =>
    (await console.get<Refusals>(`refusals?${query}`)).body.refusals?.length
  t.equal(await found('account=Alice'), 2)
  t.equal(await found('rule=limit'), 4)
  t.equal(await found('rule=countries'), 0)
  t.equal(await found('country=cn'), 0)
  t.equal(await found(`code=${codes[0]?.toLowerCase()}`), 1)
  t.equal(await found(`code=${codes[0]?.slice(0, 2)}`), 1)
  t.equal(await found(`until=${Date.now() - 60_000}`), 0)
  for (const query of ['most=0', 'most=201', 'most=x', 'before=x', 'since=x']) {
    t.equal((await console.get(`refusals?${query}`)).status, 400, query)
  }
})

t.test('a refusal is told with its rule, and with the commands that would let it pass', async t => {
  const console = await consoleApi(t, {
    variables: { 'mtpolicyd/threshold': '1', 'mtpolicyd/threshold/hour': '1' },
  })
  const code = codeOf(await console.mail({ recipient_count: '2', queue_id: '4dQ1bk0vPnz2' }))
  const { status, body } = await console.get<Why>(`why/${code.toLowerCase().replace('-', '')}`)
  t.equal(status, 200)
  t.equal(body.refusal.code, code)
  t.equal(body.place, 'mtpolicyd/threshold')
  t.match(body.rule, /\(SendingLimit\)$/)
  t.match(body.remedies[0]?.command, /^mtpolicyctl limit alice /)
  t.equal(body.refusal.attributes.client_address, '192.0.2.7')
  t.ok(Array.isArray(body.further))
  t.equal((await console.get('why/not-a-code')).status, 400)
  const unknown = await console.get('why/AAA-AAA')
  t.equal(unknown.status, 404)
  t.match(unknown.body.error, /90 days/)
})

t.test('names that look like markup are told as they are', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '1' } })
  const strange = {
    sasl_username: EVIL,
    sender: EVIL,
    helo_name: EVIL,
    client_name: EVIL,
    recipient_count: '2',
  }
  const code = codeOf(await console.mail(strange))
  const list = await console.get<Refusals>('refusals')
  t.strictSame(
    list.body.refusals.map(({ account, sender, helo }) => ({ account, sender, helo })),
    [{ account: EVIL, sender: EVIL, helo: EVIL }],
  )
  const account = await console.get<Account>(`account/${encodeURIComponent(EVIL)}`)
  t.equal(account.body.account, EVIL)
  const why = await console.get<Why>(`why/${code}`)
  t.equal(why.body.refusal.attributes.helo_name, EVIL)
})

t.test('the session says who is logged in where', async t => {
  const console = await consoleApi(t)
  const { body } = await console.get<Session>('session')
  t.equal(body.user, 'alice')
  t.equal(body.role, 'change')
})
