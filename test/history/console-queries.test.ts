/** What the console asks of the history: plots, countries and lists of refusals, with its real thread and files. */

import Database from 'better-sqlite3'
import t from 'tap'
import type { OpenHistory } from '../../daemon/history/history.ts'
import type { RefusalLine, RefusalQuery } from '../../daemon/policy/ports/history.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { BEGAN, madeClock } from './made-events.ts'
import { folder, openHistory, verdict } from './some-mail.ts'

const HOUR = 3_600_000
const FIRST = Math.floor(BEGAN / HOUR) * HOUR

/** All that was noted is in the file afterwards. */
async function write(history: OpenHistory): Promise<void> {
  for await (const _ of history.hours(0, BEGAN + 400 * 24 * HOUR));
}

async function allPages(
  history: OpenHistory,
  query: Omit<RefusalQuery, 'before'>,
  between: () => Promise<void> = async () => undefined,
): Promise<RefusalLine[]> {
  const found: RefusalLine[] = []
  let before: string | undefined
  do {
    const page = await history.refusalPage({ ...query, before })
    found.push(...page.refusals)
    before = page.next
    await between()
  } while (before !== undefined)
  return found
}

t.test('a plot has each hour, whether its mail is in the file yet or not', async t => {
  const clock = madeClock(systemClock)
  const history = openHistory(t, { clock })
  const note = (hour: number, user: string, recipients: number, action = 'dunno'): void => {
    clock.at = FIRST + hour * HOUR + 1000
    history.note(
      verdict(clock, { user, recipients, action, by: action === 'dunno' ? '' : 'limit' }),
    )
  }
  note(0, 'alice', 3)
  note(2, 'bob', 5)
  note(2, 'alice', 1, 'reject 5.7.1 too much')
  const plot = (account?: string) =>
    history.series(FIRST, FIRST + 3 * HOUR, account === undefined ? undefined : [account])
  const all = {
    first: FIRST,
    messages: [1, 0, 1, 0],
    recipients: [3, 0, 5, 0],
    refused: [0, 0, 1, 0],
  }
  t.strictSame(await plot(), all, 'in memory')
  await write(history)
  t.strictSame(await plot(), all, 'in the file')
  t.strictSame(await plot(), all, 'remembered')
  note(2, 'alice', 4)
  note(3, 'alice', 2)
  const more = { ...all, messages: [1, 0, 2, 1], recipients: [3, 0, 9, 2] }
  t.strictSame(await plot(), more, 'in both')
  await write(history)
  t.strictSame(await plot(), more, 'an hour that was written again is not the remembered one')
  t.strictSame(
    await plot('Alice'),
    { first: FIRST, messages: [1, 0, 1, 1], recipients: [3, 0, 4, 2], refused: [0, 0, 1, 0] },
    'of one account',
  )
  t.strictSame((await plot('nobody')).messages, [0, 0, 0, 0], 'of one that is not known')
  await history.forget('bob')
  t.strictSame((await plot()).recipients, [3, 0, 4, 2], 'an account that was deleted is gone')
})

t.test('a plot of more than a year has its end', async t => {
  const clock = madeClock(systemClock)
  const history = openHistory(t, { clock })
  history.note(verdict(clock, {}))
  const { first, messages } = await history.series(0, clock.at, undefined)
  t.equal(messages.length, 367 * 24)
  t.equal(first, FIRST - 366 * 24 * HOUR - 23 * HOUR)
  t.equal(messages.at(-1), 1)
})

t.test('countries are summed up by hour, accepted and refused', async t => {
  const clock = madeClock(systemClock)
  const history = openHistory(t, { clock })
  history.note(verdict(clock, { country: 'DE', recipients: 3 }))
  history.note(verdict(clock, { country: 'FR', recipients: 1 }))
  history.note(verdict(clock, { country: '', recipients: 2 }))
  const expected = [
    { country: '', messages: 1, recipients: 2, refused: 0 },
    { country: 'DE', messages: 1, recipients: 3, refused: 0 },
    { country: 'FR', messages: 1, recipients: 1, refused: 0 },
  ]
  t.strictSame(await history.countries(clock.at, clock.at), expected, 'in memory')
  await write(history)
  t.strictSame(await history.countries(clock.at, clock.at), expected, 'in the file')
  const before = clock.at
  clock.at += 2 * HOUR
  for (let mail = 0; mail < 3; mail++) {
    history.note(verdict(clock, { country: 'CN', action: 'reject 5.7.1 no', by: 'countries' }))
  }
  history.note(verdict(clock, { country: '<script>', recipients: 7 }))
  t.strictSame(await history.countries(before, clock.at), [
    { country: 'CN', messages: 0, recipients: 0, refused: 3 },
    { country: '', messages: 2, recipients: 9, refused: 0 },
    ...expected.slice(1),
  ])
  t.strictSame(
    (await history.countries(clock.at, clock.at)).map(one => one.country),
    ['CN', ''],
    'of the last hour',
  )
})

t.test('a message that is refused in the end is not counted for its country', async t => {
  const clock = madeClock(systemClock)
  const history = openHistory(t, { clock })
  history.note(verdict(clock, { instance: 'a.1', stage: 'DATA', country: 'FR' }))
  history.note(
    verdict(clock, { instance: 'a.1', country: 'FR', action: 'reject 5.7.1 no', by: 'limit' }),
  )
  const refused = [{ country: 'FR', messages: 0, recipients: 0, refused: 1 }]
  t.strictSame(await history.countries(clock.at, clock.at), refused)
  await write(history)
  t.strictSame(await history.countries(clock.at, clock.at), refused)
})

t.test('a history from before there were countries has them from now on', async t => {
  const clock = madeClock(systemClock)
  const path = `${folder(t)}/history.sqlite`
  const first = openHistory(t, { path, clock })
  first.note(verdict(clock, {}))
  await write(first)
  await first.close()
  const db = new Database(path)
  db.exec('DROP TABLE country')
  db.close()
  const second = openHistory(t, { path, clock })
  t.strictSame(await second.countries(clock.at, clock.at), [])
  second.note(verdict(clock, { country: 'ES' }))
  t.strictSame(
    (await second.countries(clock.at, clock.at)).map(one => one.country),
    ['ES'],
  )
  t.equal((await second.series(clock.at, clock.at, undefined)).messages[0], 2, 'nothing is lost')
})

t.test('10,000 refusals are paged through, each once, while they are being written', async t => {
  const clock = madeClock(systemClock)
  const history = openHistory(t, { clock })
  const codes: string[] = []
  const refuse = (more: Parameters<typeof verdict>[1] = {}): void => {
    clock.at += 10
    const code = history.nextCode()
    codes.push(code)
    const action = 'reject 5.7.1 no'
    history.note(verdict(clock, { action, by: 'limit', code, queueId: '', ...more }))
  }
  for (let mail = 0; mail < 6000; mail++) {
    refuse({ user: `user-${mail % 7}`, country: mail % 3 === 0 ? 'CN' : 'US' })
  }
  await write(history)
  for (let mail = 0; mail < 4000; mail++) {
    refuse({ user: `user-${mail % 7}`, by: mail % 100 === 0 ? 'countries' : 'limit' })
  }
  const noted = codes.toReversed()
  let pages = 0
  const found = await allPages(history, { most: 200 }, async () => {
    // In the middle of the list everything is written.
    if (pages++ === 5) await write(history)
  })
  t.strictSame(
    found.map(one => one.code),
    noted,
  )
  const matching = (wanted: (at: number) => boolean): string[] =>
    noted.filter(code => wanted(codes.indexOf(code)))
  const codesOf = async (query: Partial<RefusalQuery>): Promise<string[]> =>
    (await allPages(history, { most: 200, ...query })).map(one => one.code)
  t.strictSame(
    await codesOf({ country: 'CN' }),
    matching(at => at < 6000 && at % 3 === 0),
    'by country',
  )
  t.strictSame(
    await codesOf({ rule: 'countries' }),
    matching(at => at >= 6000 && (at - 6000) % 100 === 0),
    'by rule',
  )
  t.strictSame(
    await codesOf({ accounts: ['user-3'] }),
    matching(at => (at < 6000 ? at : at - 6000) % 7 === 3),
    'by account',
  )
  t.strictSame(await codesOf({ accounts: ['nobody'] }), [], 'of an account that is not known')
  const [some = ''] = codes
  t.strictSame(await codesOf({ code: some }), [some], 'by code')
  const beginning = some.slice(0, 2)
  t.strictSame(
    await codesOf({ code: beginning }),
    noted.filter(code => code.startsWith(beginning)),
    'by the beginning of a code',
  )
  const [since, until] = [BEGAN + 100_000, BEGAN + 110_000]
  t.strictSame(
    await codesOf({ since, until }),
    matching(at => BEGAN + 10 * (at + 1) >= since && BEGAN + 10 * (at + 1) < until),
    'by time',
  )
  t.strictSame(
    await codesOf({ accounts: ['user-0'], country: 'CN', since, until, rule: 'limit' }),
    [],
    'by all of it',
  )
})

t.test('a page says what became of each mail, as it was told', async t => {
  const clock = madeClock(systemClock)
  const history = openHistory(t, { clock })
  const evil = '<img src=x onerror=alert(1)>'
  const code = history.nextCode()
  history.note(
    verdict(clock, {
      user: evil,
      code,
      action: 'reject 5.7.1 no',
      by: 'countries',
      country: 'CN',
      stage: 'RCPT',
      more: { sender: evil, helo_name: evil, recipient: 'bob@example.net' },
    }),
  )
  const { refusals, next, reached } = await history.refusalPage({ most: 50 })
  t.strictSame(
    { refusals, next, reached },
    {
      refusals: [
        {
          code,
          at: clock.at,
          account: evil,
          country: 'CN',
          recipients: 1,
          bytes: 1000,
          client: '192.0.2.7',
          sender: evil,
          helo: evil,
          recipient: 'bob@example.net',
          action: 'reject 5.7.1 no',
          by: 'countries',
        },
      ],
      next: undefined,
      reached: undefined,
    },
  )
})

t.test('a rare refusal among very many is found by pages that may be empty', async t => {
  const clock = madeClock(systemClock)
  const history = openHistory(t, { clock })
  const refuse = (by: string): void => {
    const code = history.nextCode()
    history.note(verdict(clock, { action: 'reject 5.7.1 no', by, code, queueId: '' }))
  }
  refuse('rare')
  for (let mail = 0; mail < 25_000; mail++) {
    clock.at++
    refuse('limit')
  }
  await write(history)
  const first = await history.refusalPage({ rule: 'rare', most: 10 })
  t.strictSame(first.refusals, [])
  t.equal(first.reached, clock.at - 19_999, 'and say how far they looked')
  const second = await history.refusalPage({ rule: 'rare', most: 10, before: first.next })
  t.strictSame(
    second.refusals.map(one => one.by),
    ['rare'],
  )
  t.equal(second.next, undefined)
})

t.test('a place that is none is refused, and one that was deleted is still a place', async t => {
  const clock = madeClock(systemClock)
  const history = openHistory(t, { clock })
  for (const user of ['alice', 'bob', 'carol']) {
    clock.at += 1000
    const code = history.nextCode()
    history.note(verdict(clock, { user, action: 'reject 5.7.1 no', by: 'limit', code }))
  }
  for (const before of ['', 'x', "1_' OR 1", '1e3_K3F-9QT']) {
    await t.rejects(history.refusalPage({ most: 1, before }), /not of a page before/, before)
  }
  const first = await history.refusalPage({ most: 2 })
  await history.forget('bob')
  const second = await history.refusalPage({ most: 2, before: first.next })
  t.strictSame(
    second.refusals.map(one => one.account),
    ['alice'],
  )
})
