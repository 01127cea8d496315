/** What is ordered for accounts from the console, by whom and why, and what it is told about mistakes. */

import t from 'tap'
import type {
  Account,
  Audit,
  OrderAnswer,
  ReleaseAnswer,
  ResetAnswer,
} from '../../daemon/web/api.ts'
import { consoleApi } from '../support/console-api.ts'

t.test('an account is blocked, released, limited and its counts begin again', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '5' } })
  await console.mail({ recipient_count: '3' })
  const blocked = await console.post<OrderAnswer>('account/Alice/block', {
    reason: 'password <b>stolen</b>',
    until: '+2h',
  })
  t.equal(blocked.status, 200)
  const { measure } = blocked.body
  t.match(measure, {
    account: 'alice',
    kind: 'block',
    by: 'console (alice)',
    why: 'password <b>stolen</b>',
  })
  t.ok(Date.parse(measure.until ?? '') > Date.now())
  t.match(await console.mail({}), /^reject /, 'it is in force at once')
  const again = await console.post<OrderAnswer>('account/alice/block', {})
  t.equal(again.body.measure.until, null)
  t.equal(again.body.replaced.length, 1)
  const released = await console.post<ReleaseAnswer>('account/alice/release', {})
  t.equal(released.body.released.length, 1)
  t.equal(await console.mail({}), 'dunno')

  const limited = await console.post<OrderAnswer>('account/alice/limit', {
    threshold: '100',
    until: new Date(Date.now() + 86_400_000).toISOString(),
    reason: 'newsletter',
  })
  t.equal(limited.status, 200)
  t.equal(limited.body.measure.value, '100 per day')
  t.equal(await console.mail({ recipient_count: '50' }), 'dunno')
  const reset = await console.post<ResetAnswer>('account/alice/reset', { reason: 'checked' })
  t.match(reset.body.counts, [{ name: 'limit', used: 54 }])
  const account = await console.get<Account>('account/alice')
  t.match(account.body.limits, [{ used: 0, limit: 100 }])

  const audit = await console.get<Audit>('account/ALICE/audit')
  t.strictSame(audit.body.entries.map(({ kind, state }) => `${kind} ${state}`).toSorted(), [
    'block released',
    'block replaced',
    'limit in force',
    'reset done',
  ])
  t.ok(audit.body.entries.every(({ by }) => by === 'console (alice)'))
  t.equal(audit.body.entries.at(-1)?.why, 'password <b>stolen</b>', 'the latest first')
  const other = await console.get<Audit>('account/bob/audit')
  t.strictSame(other.body.entries, [], 'of nobody else')
})

t.test('a country is allowed for one account', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/allowedcountries': 'DE' } })
  const { status, body } = await console.post<OrderAnswer>('account/alice/allow', {
    countries: 'es, pt',
    until: '+3d',
  })
  t.equal(status, 200)
  t.equal(body.measure.value, 'ES,PT')
})

t.test('what is asked wrongly is told, and nothing is ordered', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/allowedcountries': 'DE' } })
  const wrong: readonly [act: string, body: unknown, why: RegExp][] = [
    ['block', [], /object/],
    ['block', null, /object/],
    ['block', 'x', /object/],
    ['block', { until: 'tomorrow' }, /"until" must be a time such as/],
    ['block', { until: '2020-01-01' }, /in the future/],
    ['block', { until: 5 }, /text/],
    ['block', { reason: 'x'.repeat(501) }, /500 at most/],
    ['block', { why: 'x' }, /unknown field "why"/],
    ['limit', {}, /"threshold" is missing/],
    ['limit', { threshold: 'many' }, /whole number/],
    ['limit', { threshold: '-1' }, /whole number/],
    ['limit', { threshold: '10', window: 'century' }, /century/],
    ['allow', {}, /"countries" is missing/],
    ['allow', { countries: 'Spain' }, /not a country code/],
    ['reset', { window: 'century' }, /century/],
    ['release', { reason: 'x' }, /unknown field/],
  ]
  for (const [act, body, why] of wrong) {
    const answer = await console.post(`account/alice/${act}`, body)
    t.equal(answer.status, 400, `${act} ${JSON.stringify(body)}`.slice(0, 70))
    t.match(answer.body.error, why)
  }
  t.equal((await console.post('account/%20/block', {})).status, 400, 'of nobody')
  const audit = await console.get<Audit>('account/alice/audit')
  t.strictSame(audit.body.entries, [])
})
