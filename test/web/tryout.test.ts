/** Other settings are tried on the mail of the last days, before they are set. */

import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { TryoutAnswer } from '../../daemon/web/api.ts'
import { type ConsoleApi, consoleApi } from '../support/console-api.ts'

const HOUR = 3_600_000

/** A message in Postfix's log: logged in, and accepted for so many. */
function logged(at: number, id: string, user: string, recipients: number): string {
  const time = new Date(at).toISOString()
  return [
    `${time} mail postfix/smtpd[812]: ${id}: client=mail.example.net[192.0.2.7], sasl_method=PLAIN, sasl_username=${user}`,
    `${time} mail postfix/qmgr[99]: ${id}: from=<${user}@example.org>, size=1000, nrcpt=${recipients} (queue active)`,
    '',
  ].join('\n')
}

const idOf = (number: number): string => `4dQ1bk${String(number).padStart(6, '0')}zB`

/** The daemon follows the log, and waits until it says so. */
async function withLog(t: import('tap').Test, lines: string): Promise<ConsoleApi> {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '100' } })
  const file = join(console.paths.root, 'var/log/mail.log')
  mkdirSync(dirname(file), { recursive: true })
  appendFileSync(file, lines)
  await console.ctl('set', `mtpolicyd/maillog=${file}`)
  await console.daemon.reload()
  for (let tries = 0; tries < 500; tries++) {
    if ((await console.daemon.status()).mailLog?.state === 'reading') return console
    await sleep(20)
  }
  throw new Error('the log is not read')
}

const tryOut = (console: ConsoleApi, body: unknown) => console.post<TryoutAnswer>('tryout', body)

t.test('each message of the log is judged by both settings', async t => {
  const noon = new Date()
  noon.setHours(12, 0, 0, 0)
  const day = noon.getTime() - 24 * HOUR
  const console = await withLog(
    t,
    logged(day - 40 * 24 * HOUR, idOf(0), 'old', 500) +
      logged(day, idOf(1), 'alice', 30) +
      logged(day + 1000, idOf(2), 'alice', 30) +
      logged(day + 2000, idOf(3), 'bob', 5) +
      logged(day + 3000, idOf(4), 'carol', 150),
  )
  const { status, body } = await tryOut(console, {
    changes: { 'mtpolicyd/threshold': '50' },
    days: 7,
  })
  t.equal(status, 200)
  t.match(body, {
    source: 'mail log',
    looked: 4,
    isPartial: false,
    now: { accounts: 1, times: 1, recipients: 150 },
    tried: { accounts: 2, times: 2, recipients: 180 },
    accounts: [
      {
        account: 'carol',
        now: { recipients: 150, by: ['limit'] },
        tried: { times: 1, recipients: 150, first: day + 3000, by: ['limit'] },
      },
      {
        account: 'alice',
        now: { times: 0, recipients: 0, first: null, by: [] },
        tried: { times: 1, recipients: 30, first: day + 1000, by: ['limit'] },
      },
    ],
  })
  const month = await tryOut(console, { changes: { 'mtpolicyd/threshold': '50' }, days: 60 })
  t.equal(month.body.looked, 5, 'of a longer time')
  const own = await tryOut(console, {
    changes: { 'mtpolicyd/threshold': '50', 'mtpolicyd/user/alice/threshold': '60' },
  })
  t.strictSame(
    own.body.accounts.map(({ account, tried }) => [account, tried.recipients]),
    [['carol', 150]],
    'a limit of an account',
  )
})

t.test('without a log the hours of the history give an estimate, and it says so', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '1000' } })
  await console.mail({ sasl_username: 'alice', recipient_count: '60' })
  await console.mail({ sasl_username: 'alice', recipient_count: '20' })
  await console.mail({ sasl_username: 'bob', recipient_count: '10' })
  const { status, body } = await tryOut(console, {
    changes: { 'mtpolicyd/threshold': '50', 'mtpolicyd/allowedcountries': 'DE' },
  })
  t.equal(status, 200)
  t.match(body, {
    source: 'history',
    because: /not read/,
    looked: 2,
    now: { accounts: 0, times: 0, recipients: 0 },
    tried: { accounts: 1, recipients: 30 },
    accounts: [{ account: 'alice', tried: { recipients: 30, by: ['limit'] } }],
    notes: ['mtpolicyd/allowedcountries cannot be tried without the mail log'],
  })
  const hour = await tryOut(console, {
    changes: { 'mtpolicyd/threshold/hour': '70', 'mtpolicyd/user/alice/threshold/hour': '75' },
  })
  t.match(hour.body.accounts, [{ account: 'alice', tried: { recipients: 5, by: ['hour'] } }])
  const unset = await tryOut(console, { changes: { 'mtpolicyd/threshold': null } })
  t.strictSame(unset.body.accounts, [])
})

t.test('where there is neither a log nor a history, there is nothing to try it on', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/history/days': '0' } })
  const { status, body } = await tryOut(console, { changes: { 'mtpolicyd/threshold': '50' } })
  t.equal(status, 409)
  t.match(body.error, /nothing to try it on/)
})

t.test('what is asked wrongly is told', async t => {
  const console = await consoleApi(t)
  const changes = { 'mtpolicyd/threshold': '50' }
  for (const body of [
    undefined,
    [],
    {},
    { changes: {} },
    { changes: { 'mtpolicyd/threshold': 'many' } },
    { changes: { hostname: 'x' } },
    { changes, days: 0 },
    { changes, days: 91 },
    { changes, days: '7' },
    { changes, more: 1 },
  ]) {
    const answer = await tryOut(console, body)
    t.equal(answer.status, 400, JSON.stringify(body) ?? 'nothing')
  }
})

t.test('one at a time, and it ends when the reader leaves', async t => {
  const now = Date.now()
  const lines: string[] = []
  for (let mail = 0; mail < 100_000; mail++) {
    lines.push(logged(now - 2 * HOUR + mail, idOf(mail), `user-${mail % 1000}`, 1))
  }
  const console = await withLog(t, lines.join(''))
  const changes = { 'mtpolicyd/threshold': '50' }
  const left = new AbortController()
  const first = console.post('tryout', { changes }, left.signal)
  const second = await tryOut(console, { changes })
  t.equal(second.status, 429)
  left.abort()
  await t.rejects(first, { name: 'AbortError' })
  const third = await tryOut(console, { changes })
  t.equal(third.status, 200, 'then another one can be tried')
  t.equal(third.body.looked, 100_000)
  t.equal(third.body.tried.accounts, 1000)
  t.equal(third.body.accounts.length, 500, 'the list is bounded')
})

t.test('mail that would be held, or that the log does not tell of, is mentioned', async t => {
  const at = Date.now() - HOUR
  const time = new Date(at).toISOString()
  const begun = 'NOQUEUE: client=c[192.0.2.7], sasl_method=PLAIN, sasl_username=bob'
  const accepted =
    'proxy-accept: END-OF-MESSAGE: 250 2.5.0 OK (2C225C6817C7EEE1481); from=<a@b> to=<c@d> proto=ESMTP helo=<x> sasl_username=<bob>'
  const console = await withLog(
    t,
    logged(at, idOf(1), 'alice', 30) +
      `${time} mail postfix/smtpd[5]: ${begun}\n${time} mail postfix/smtpd[5]: ${accepted}\n`,
  )
  const changes = { 'mtpolicyd/threshold': '10', 'mtpolicyd/excess': 'hold' }
  const { body } = await tryOut(console, { changes, days: 7 })
  t.equal(body.tried.accounts, 0)
  t.ok(body.notes.includes('requests held or redirected rather than refused: 1'))
  t.ok(body.notes.includes('messages of users not seen behind a filter before the queue: 1'))
})
