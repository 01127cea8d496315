/** What the history keeps of verdicts, with its real thread and files. */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { systemClock as clock } from '../../daemon/system/clock.ts'
import { BEGAN, madeClock } from './made-events.ts'
import { folder, openHistory, until, verdict } from './some-mail.ts'

/** The bytes of all files beside each other. */
const filesOf = (path: string): string[] =>
  readdirSync(dirname(path)).map(name => readFileSync(join(dirname(path), name), 'latin1'))

const HOUR = 3_600_000
const day = () => ({ since: clock.now() - 24 * HOUR, until: clock.now() })

t.test('who sends is found at once, the largest first', async t => {
  const history = openHistory(t)
  history.note(verdict(clock, { user: 'Alice', recipients: 3, size: 500 }))
  history.note(verdict(clock, { user: 'alice', recipients: 2, size: 700, client: '198.51.100.9' }))
  history.note(verdict(clock, { user: 'bob', recipients: 1, country: 'FR' }))
  const top = await history.top({ ...day(), by: 'recipients', most: 20 })
  t.strictSame(top, [
    {
      account: 'alice',
      messages: 2,
      recipients: 5,
      refused: 0,
      bytes: 1200,
      countries: ['DE'],
      networks: 2,
    },
    {
      account: 'bob',
      messages: 1,
      recipients: 1,
      refused: 0,
      bytes: 1000,
      countries: ['FR'],
      networks: 1,
    },
  ])
  t.strictSame(
    (await history.top({ ...day(), by: 'messages', most: 1 })).map(one => one.account),
    ['alice'],
  )
})

t.test('accounts all of whose mail is refused come behind the others, not nowhere', async t => {
  const history = openHistory(t)
  const refused = { action: 'reject country', by: 'countries', country: 'ES' }
  history.note(verdict(clock, { user: 'tried-once', ...refused }))
  for (let mail = 0; mail < 3; mail++) history.note(verdict(clock, { user: 'hacked', ...refused }))
  history.note(verdict(clock, { user: 'alice' }))
  const names = async (by: 'recipients' | 'messages' | 'refused', most: number) =>
    (await history.top({ ...day(), by, most })).map(one => one.account)
  for (const by of ['recipients', 'messages'] as const) {
    t.strictSame(await names(by, 20), ['alice', 'hacked', 'tried-once'], by)
    t.strictSame(await names(by, 2), ['alice', 'hacked'], `the first two by ${by}`)
    t.strictSame(await names(by, 1), ['alice'], `the first by ${by}`)
  }
  t.strictSame(await names('refused', 20), ['hacked', 'tried-once'])
  const [, hacked] = await history.top({ ...day(), by: 'recipients', most: 2 })
  t.strictSame(hacked?.countries, ['ES'])
})

t.test('an account is known with where it was, its last messages and its refusals', async t => {
  const history = openHistory(t)
  const code = history.nextCode()
  history.note(verdict(clock, { user: 'alice', clientName: 'laptop.example.org' }))
  history.note(
    verdict(clock, {
      user: 'alice',
      action: 'reject too much',
      by: 'limit',
      code,
      instance: 'refused.1',
      queueId: '',
      client: '2001:db8:1:2:3::4',
      country: 'US',
      clientName: 'unknown',
    }),
  )
  history.explained(code, [
    {
      plugin: 'limit',
      module: 'SendingLimit',
      saw: { used: 3 },
      outcome: 'action: reject',
      place: 'x.conf:3',
    },
  ])
  const known = await history.account('ALICE')
  t.ok(known)
  t.strictSame(known?.account, 'alice')
  t.strictSame(known?.countries.map(({ name, messages }) => [name, messages]).toSorted(), [
    ['DE', 1],
    ['US', 0],
  ])
  t.strictSame(known?.networks.map(one => one.name).toSorted(), [
    '192.0.2.0/24',
    '2001:db8:1:2::/64',
  ])
  t.strictSame(
    known?.clients.map(one => one.name),
    ['laptop.example.org'],
  )
  t.strictSame(
    known?.messages.map(one => one.action),
    ['reject too much', 'dunno'],
  )
  t.equal(known?.refusals.length, 1)
  for (const key of [{ code }, { instance: 'refused.1' }]) {
    const [refusal, ...more] = await history.refusals(key)
    t.strictSame(more, [])
    t.equal(refusal?.code, code)
    t.equal(refusal?.by, 'limit')
    t.equal(refusal?.attributes.client_address, '2001:db8:1:2:3::4')
    t.equal(refusal?.facts.country, 'US')
    t.strictSame(refusal?.steps?.[0]?.saw, { used: 3 })
  }
  t.equal(await history.account('carol'), undefined)
  t.strictSame(await history.accounts('al', 10), ['alice'])
})

t.test('a message that is asked about at DATA and at its end is one message', async t => {
  const history = openHistory(t)
  const one = { user: 'alice', instance: 'one.1' }
  history.note(verdict(clock, { ...one, stage: 'DATA', recipients: 3, size: 0 }))
  await history.hours(0, 0).next()
  history.note(verdict(clock, { ...one, recipients: 2, size: 900 }))
  // Postfix asks again.
  history.note(verdict(clock, { ...one, recipients: 2, size: 900 }))
  const [alice] = await history.top({ ...day(), by: 'messages', most: 1 })
  t.match(alice, { messages: 1, recipients: 2, bytes: 900 })
})

t.test('a message that is refused in the end does not count as sent', async t => {
  const history = openHistory(t)
  for (const instance of ['one.2', 'one.3']) {
    history.note(verdict(clock, { instance, stage: 'DATA', recipients: 3 }))
  }
  history.note(verdict(clock, { instance: 'one.3', recipients: 3, action: 'reject no' }))
  const [alice] = await history.top({ ...day(), by: 'messages', most: 1 })
  t.match(alice, { messages: 1, recipients: 3, refused: 1 })
})

t.test(
  'at RCPT a message counts by its recipients, unless its end is asked about, too',
  async t => {
    const history = openHistory(t)
    const at = (server_port: string) => ({ more: { server_address: '192.0.2.1', server_port } })
    const rcpt = { stage: 'RCPT', recipients: 0 }
    for (const _ of [1, 2, 3]) {
      history.note(verdict(clock, { user: 'rcpt', instance: 'one.4', ...rcpt, ...at('25') }))
    }
    history.note(verdict(clock, { user: 'both', instance: 'one.5', ...rcpt, ...at('587') }))
    history.note(verdict(clock, { user: 'both', instance: 'one.5', recipients: 4, ...at('587') }))
    // Now it is known that the end comes: this one is given up before it.
    history.note(verdict(clock, { user: 'both', instance: 'one.6', ...rcpt, ...at('587') }))
    const top = await history.top({ ...day(), by: 'recipients', most: 5 })
    t.strictSame(
      top.map(({ account, messages, recipients }) => [account, messages, recipients]),
      [
        ['both', 1, 4],
        ['rcpt', 1, 3],
      ],
    )
  },
)

t.test('an answer that Postfix did not get is not noted', async t => {
  const history = openHistory(t)
  history.note(verdict(clock, { action: undefined }))
  t.equal(await history.account('alice'), undefined)
})

t.test('the last 50 messages of an account are kept, whatever the others send', async t => {
  const history = openHistory(t)
  for (let number = 1; number <= 120; number++) {
    history.note(verdict(clock, { user: 'alice', queueId: `Q${number}` }))
    history.note(verdict(clock, { user: `other${number}` }))
    // A part of them is in the file then.
    if (number % 35 === 0) await history.hours(0, 0).next()
  }
  const known = await history.account('alice')
  t.strictSame(
    known?.messages.map(one => one.queueId),
    Array.from({ length: 50 }, (_, i) => `Q${120 - i}`),
  )
  t.equal(known?.networks[0]?.messages, 120)
})

t.test('of many networks the latest are kept', async t => {
  const history = openHistory(t)
  for (let number = 0; number < 250; number++) {
    history.note(
      verdict(clock, { client: `198.51.${number}.1`, clientName: `pc${number}.example.org` }),
    )
    if (number % 100 === 99) await history.hours(0, 0).next()
  }
  const known = await history.account('alice')
  t.equal(known?.networks.length, 50)
  t.equal(known?.clients.length, 20)
  t.ok(known?.networks.some(one => one.name === '198.51.249.0/24'))
})

t.test('a span of other hours is summed up of the file', async t => {
  const now = madeClock(clock)
  const history = openHistory(t, { clock: now })
  history.note(verdict(now, { recipients: 5 }))
  now.at += 3 * HOUR
  history.note(verdict(now, { recipients: 7 }))
  // The clock is set back.
  now.at -= 5 * HOUR
  history.note(verdict(now, { recipients: 1 }))
  const sums = async (since: number, until: number) => {
    const [alice] = await history.top({ since, until, by: 'recipients', most: 1 })
    return alice?.recipients ?? 0
  }
  t.equal(await sums(BEGAN - 10 * HOUR, BEGAN + 10 * HOUR), 13)
  t.equal(await sums(BEGAN, BEGAN + HOUR), 5)
  await history.hours(0, 0).next()
  t.equal(await sums(BEGAN - 10 * HOUR, BEGAN + 10 * HOUR), 13)
  t.equal(await sums(BEGAN + 2 * HOUR, BEGAN + 4 * HOUR), 7)
  t.equal(await sums(BEGAN - 2 * HOUR, BEGAN - 2 * HOUR), 1)
  t.equal(await sums(BEGAN + 20 * HOUR, BEGAN + 30 * HOUR), 0)
})

t.test('what is kept of an account can be deleted, and is gone from the disk', async t => {
  const history = openHistory(t)
  for (const user of ['alice', 'bob']) {
    history.note(verdict(clock, { user, clientName: `${user}s-laptop.example.org` }))
    history.note(verdict(clock, { user, action: 'reject no', code: `C${user}` }))
  }
  await history.hours(0, 0).next()
  history.note(verdict(clock, { user: 'alice' }))
  t.strictSame(await history.forget('Alice'), {
    account: 'alice',
    hours: 1,
    messages: 3,
    refusals: 1,
  })
  t.equal(await history.account('alice'), undefined)
  t.strictSame(await history.refusals({ code: 'Calice' }), [])
  t.equal(await history.forget('alice'), undefined)
  const top = await history.top({ ...day(), by: 'messages', most: 5 })
  t.strictSame(
    top.map(one => one.account),
    ['bob'],
  )
  const bytes = filesOf(history.path).join('')
  t.notMatch(bytes, /alice/)
  t.match(bytes, /bob/)
  // It may come back.
  history.note(verdict(clock, { user: 'alice' }))
  t.equal((await history.account('alice'))?.messages.length, 1)
  t.equal((await history.account('bob'))?.messages.length, 2)
})

t.test('what is too old is deleted', async t => {
  const path = join(folder(t), 'history.sqlite')
  const now = madeClock(clock)
  const before = openHistory(t, { path, clock: now })
  before.note(verdict(now, { user: 'old' }))
  before.note(verdict(now, { user: 'old', action: 'reject no', code: 'OLD' }))
  await before.hours(0, 0).next()
  await before.close()
  now.at += 60 * 24 * HOUR
  const history = openHistory(t, { path, clock: now, days: 10 })
  history.note(verdict(now, { user: 'new' }))
  await history.hours(0, 0).next()
  await until(async () => (await history.account('old')) === undefined)
  t.strictSame(await history.refusals({ code: 'OLD' }), [])
  t.ok(await history.account('new'))
  const hours: string[] = []
  for await (const some of history.hours(0, now.at)) hours.push(...some.map(one => one.account))
  t.strictSame(hours, ['new'])
})

t.test('no code comes twice, whatever happens to the clock and the daemon', async t => {
  const path = join(folder(t), 'history.sqlite')
  const now = madeClock(clock)
  const codes: string[] = []
  for (const jump of [0, -3, 2, -2]) {
    now.at += jump * 24 * HOUR
    const history = openHistory(t, { path, clock: now })
    for (let number = 0; number < 100; number++) {
      const code = history.nextCode()
      codes.push(code)
      history.note(verdict(now, { action: 'reject no', code }))
    }
    await history.close()
  }
  t.equal(new Set(codes).size, codes.length)
})

t.test('a code that was sent and is in no file after a kill is not given again', async t => {
  const path = join(folder(t), 'history.sqlite')
  const now = madeClock(clock)
  const before = openHistory(t, { path, clock: now })
  before.note(verdict(now, { action: 'reject no', code: before.nextCode() }))
  const lost = Array.from({ length: 4000 }, () => before.nextCode())
  await before.close()
  const after = openHistory(t, { path, clock: now })
  const given = new Set(Array.from({ length: 4000 }, () => after.nextCode()))
  t.strictSame(
    lost.filter(code => given.has(code)),
    [],
  )
})

t.test(
  'weeks that are over take less room, and are read, changed and deleted as before',
  async t => {
    const path = join(folder(t), 'history.sqlite')
    const now = madeClock(clock)
    const before = openHistory(t, { path, clock: now })
    for (let number = 0; number < 100; number++) {
      before.note(verdict(now, { user: `user${number}`, clientName: `pc${number}.example.org` }))
    }
    await before.hours(0, 0).next()
    await before.close()
    const then = now.at
    now.at += 15 * 24 * HOUR
    const history = openHistory(t, { path, clock: now })
    await history.account('user5')
    const db = new Database(path, { readonly: true })
    t.teardown(() => db.close())
    const isPacked = db.prepare("SELECT min(substr(page, 1, 2) = x'ffff') FROM seen").pluck()
    await until(() => isPacked.get() === 1)
    t.strictSame(
      (await history.account('user5'))?.clients.map(one => one.name),
      ['pc5.example.org'],
    )
    now.at = then
    history.note(verdict(now, { user: 'user5', clientName: 'new.example.org' }))
    await history.hours(0, 0).next()
    t.equal((await history.account('user5'))?.clients.length, 2)
    t.ok(await history.forget('user6'))
    t.equal((await history.account('user5'))?.clients.length, 2)
    t.equal((await history.account('user7'))?.clients.length, 1)
  },
)
