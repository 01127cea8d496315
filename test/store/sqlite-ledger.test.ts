/** The ledger's file: one owner, newer schemas, forgetting. */

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { type Decided, REMEMBERED } from '../../daemon/policy/decided.ts'
import { openLedger } from '../../daemon/policy/ledger.ts'
import { Name } from '../../daemon/policy/name.ts'
import { openLedgerFile } from '../../daemon/store/ledger-file.ts'
import { openSqliteLedger, type SqliteLedgerStore } from '../../daemon/store/sqlite-ledger.ts'

const now = Date.UTC(2026, 10, 20, 12)

const named = new Name(0)

function remember(store: SqliteLedgerStore, message: string, decided: Partial<Decided> = {}): void {
  store.remember(named.of(message), { ...counted, ...decided }, true)
}

const counted: Decided = {
  day: '2026-11-20',
  accepted: true,
  counted: 1,
  stage: 'END-OF-MESSAGE',
  at: now,
}

function recalled(store: SqliteLedgerStore): [message: string, Decided][] {
  const decided: [string, Decided][] = []
  store.recall((message, one) => decided.push([Buffer.from(message).toString(), one]))
  return decided
}

t.test('a second daemon on the same state is told that the first has it', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const first = openSqliteLedger(path, 'normal')
  first.addWithin('default', 'alice', '2026-11-20', 1, 10)
  first.settle()
  t.throws(() => openSqliteLedger(path, 'normal'), /in use by another daemon/)
  first.close()
  const second = openSqliteLedger(path, 'full')
  t.equal(second.used('default', 'alice', '2026-11-20'), 1)
  second.close()
})

t.test('a file of a newer version is refused, and not touched', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const db = new Database(path)
  db.pragma('user_version = 99')
  db.close()
  t.throws(() => openSqliteLedger(path, 'normal'), /newer version \(schema 99/)
})

t.test('a file that is no database is refused with its name', async t => {
  const folder = t.testdir({
    'ledger.sqlite': 'this is not a database, it only looks like one'.repeat(40),
  })
  t.throws(() => openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal'), /ledger\.sqlite: /)
})

t.test('old days are forgotten in steps, the rest stays', async t => {
  const store = openSqliteLedger(join(t.testdir(), 'ledger.sqlite'), 'normal')
  for (let user = 0; user < 900; user++) {
    store.addWithin('default', `u${user}`, '2026-08-01', 1, 10)
    store.addWithin('other', `u${user}`, '2026-08-21', 1, 10)
    store.addWithin('other', `u${user}`, '2026-11-20', 1, 10)
  }
  store.settle()
  let steps = 0
  while (store.forget('2026-08-22')) {
    store.settle()
    steps++
    if (steps > 1000) throw new Error('it does not end')
  }
  t.ok(steps >= 64, `${steps} steps`)
  const days = new Set([...store.sums()].map(([, day]) => day))
  t.same([...days], ['2026-11-20'])
  t.equal(store.used('other', 'u899', '2026-11-20'), 1)
  store.close()
})

t.test('of a day that is forgotten nothing is left in the file', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  for (let user = 0; user < 500; user++) {
    store.addWithin('limit', `u${user}`, '2026-07-01', 1, 10)
  }
  store.addWithin('limit', 'alice', '2026-11-20', 1, 10)
  store.close()
  const again = openSqliteLedger(path, 'normal')
  while (again.forget('2026-08-22'));
  again.close()
  const db = new Database(path, { readonly: true })
  for (const table of ['sums', 'names', 'period']) {
    t.equal(db.prepare(`SELECT count(*) FROM ${table}`).pluck().get(), 1, table)
  }
  db.close()
})

t.test('half a page is damage, whichever half is gone', async t => {
  for (const table of ['sums', 'names']) {
    const path = join(t.testdir(), 'ledger.sqlite')
    const store = openSqliteLedger(path, 'normal')
    store.addWithin('limit', 'alice', '2026-11-20', 1, 10)
    store.close()
    const db = new Database(path)
    db.exec(`DELETE FROM ${table}`)
    db.close()
    const next = openSqliteLedger(path, 'normal')
    const damage = { name: 'LookupError', message: /counts of 2026-11-20 are damaged/ }
    t.throws(() => next.used('limit', 'alice', '2026-11-20'), damage)
    t.throws(() => [...next.sums()], damage)
    next.abandon()
  }
})

t.test('a sum that no counting gives is damage', async t => {
  for (const sum of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
    const path = join(t.testdir(), 'ledger.sqlite')
    const store = openSqliteLedger(path, 'normal')
    store.addWithin('limit', 'alice', '2026-11-20', 1, 10)
    store.close()
    const db = new Database(path)
    db.prepare('UPDATE sums SET sums = ?').run(Buffer.from(Float64Array.of(sum).buffer))
    db.close()
    const next = openSqliteLedger(path, 'normal')
    const damage = { name: 'LookupError', message: /counts of 2026-11-20 are damaged/ }
    t.throws(() => next.used('limit', 'alice', '2026-11-20'), damage, String(sum))
    next.abandon()
  }
})

t.test('of messages asked about twice the last 50,000 are known after a restart', async t => {
  const folder = t.testdir()
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  const event = (number: number, stage: 'DATA' | 'END-OF-MESSAGE') => ({
    scope: 'limit',
    account: 'alice',
    stage,
    instance: `m${number}`,
    connection: 1,
    service: '',
    recipient: '',
    recipients: 1,
    limit: 1e9,
    day: { name: '2026-11-20', endsAt: now + 1 },
    now,
  })
  const ledger = openLedger(store)
  const extra = 20_000
  for (let i = 0; i < REMEMBERED + extra; i++) {
    ledger.judge(event(i, 'DATA'))
    ledger.judge(event(i, 'END-OF-MESSAGE'))
    if (i % 100 === 99) ledger.settle()
    if (store.isFull) while (store.forget('2026-01-01'));
  }
  const next = afterKill(folder, join(folder, 'copy'))
  t.equal(recalled(next).length, 2 * REMEMBERED, 'and no more are read')
  const again = openLedger(next)
  const isKnown = (number: number) => again.judge(event(number, 'END-OF-MESSAGE'))
  t.match(isKnown(extra), { repeated: true })
  t.match(isKnown(extra - 1), { repeated: false })
  next.close()
  store.close()
})

t.test('who has read many accounts gives memory back before a minute is over', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const many = openSqliteLedger(path, 'normal')
  const name = (user: number): string => `user-with-a-long-name-${user}@mail.example.org`
  for (let user = 0; user < 600_000; user++) {
    many.addWithin('limit', name(user), '2026-11-20', 1, 10)
  }
  many.close()
  const store = openSqliteLedger(path, 'normal')
  t.equal(store.isFull, false)
  for (let user = 0; user < 20_000; user++) store.used('limit', name(user), '2026-11-20')
  t.equal(store.isFull, true, 'each page has been read')
  store.forget('2026-11-20')
  t.equal(store.isFull, false)
  t.equal(store.used('limit', name(599_999), '2026-11-20'), 1)
  store.close()
})

t.test('days in no order are forgotten by date, and no day gets the place of another', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const file = openLedgerFile(path, 'normal')
  // The clock was wrong twice.
  const days = ['2027-06-01', '2026-08-01', '2026-11-20', '2026-07-01']
  const ids = days.map(day => file.addPeriod('default', day))
  const accounts = (id: number, number: number) => ({
    sums: Buffer.from(`sums ${number} of ${id}`),
    names: Buffer.from(`names ${number} of ${id}`),
  })
  const edges = ids.flatMap(id => [0, 255].map(number => ({ period: id, number })))
  file.writePages(
    edges.map(at => ({ ...at, ...accounts(at.period, at.number) })),
    () => undefined,
  )
  while (file.forgetBefore('2026-08-22'));
  t.same(
    file.periods().map(({ day }) => day),
    ['2027-06-01', '2026-11-20'],
  )
  for (const { period, number } of edges) {
    const isKept = period === ids[0] || period === ids[2]
    t.same(file.readPage(period, number), isKept ? accounts(period, number) : undefined)
  }
  const next = file.addPeriod('default', '2026-11-21')
  t.notOk(ids.includes(next), 'the last one was forgotten, its number is not free')
  while (file.forgetBefore('2028-01-01'));
  file.close()
  const later = openLedgerFile(path, 'normal')
  t.equal(later.findPeriod('default', '2026-11-21'), undefined)
  const last = later.addPeriod('default', '2026-11-21')
  t.notOk([...ids, next].includes(last), 'nor is it after a restart')
  t.equal(later.findPeriod('default', '2026-11-21'), last)
  later.close()
})

t.test('a clock that goes back to a forgotten day counts it from nothing', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  store.addWithin('default', 'alice', '2026-11-20', 1, 10)
  store.addWithin('default', 'alice', '2026-08-01', 5, 10)
  store.settle()
  while (store.forget('2026-08-22'));
  t.equal(store.used('default', 'alice', '2026-08-01'), 0)
  store.addWithin('default', 'alice', '2026-11-21', 2, 10)
  store.addWithin('default', 'alice', '2026-08-01', 3, 10)
  store.close()
  const next = openSqliteLedger(path, 'normal')
  t.same([...next.sums()].map(([, day, , used]) => `${day} ${used}`).toSorted(), [
    '2026-08-01 3',
    '2026-11-20 1',
    '2026-11-21 2',
  ])
  next.close()
})

t.test('messages are recalled in their order, and none from before the time asked for', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'full')
  const two = { accepted: true, counted: 2, stage: 'DATA' } as const
  const none = { accepted: false, counted: 0, stage: 'END-OF-MESSAGE' } as const
  const all = [
    ['ä', { ...two, day: '2026-11-19', at: now - 3 * 3_600_000 }],
    ['b', { ...none, day: '2026-11-19', at: now - 1_800_000 }],
    ['ö\nlimit', { ...two, day: '2026-11-20', at: now }],
  ] as const
  for (const [message, decided] of all) {
    remember(store, message, decided)
    store.settle()
  }
  store.close()
  const next = openSqliteLedger(path, 'full')
  t.same(recalled(next), all)
  next.close()
})

t.test(
  'a disk that takes nothing more costs the count of that moment and nothing else',
  async t => {
    const path = join(t.testdir(), 'ledger.sqlite')
    const store = openSqliteLedger(path, 'normal')
    const ledger = openLedger(store)
    const event = (instance: string) => ({
      scope: 'default',
      account: 'alice',
      stage: 'END-OF-MESSAGE' as const,
      instance,
      connection: 1,
      service: '',
      recipient: '',
      recipients: 1,
      limit: 10,
      day: { name: '2026-11-20', endsAt: now + 1 },
      now,
    })
    ledger.judge(event('a'))
    ledger.settle()
    ledger.judge(event('b'))
    store.close()
    // The files are gone for the store: what is asked now cannot be made durable, and says so.
    ledger.judge(event('c'))
    t.throws(() => ledger.settle(), { name: 'LookupError' })
    t.throws(() => ledger.judge({ ...event('d'), scope: 'other' }), { name: 'LookupError' })
  },
)

t.test('what was settled is there after a crash, folded or not, and nothing else', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  const count = (account: string, by: number): void => {
    store.addWithin('default', account, '2026-11-20', by, 10)
  }
  /** The files as a kill would leave them, opened by the next daemon. */
  const afterCrash = (name: string) => {
    const copy = join(t.testdirName, `${name}.sqlite`)
    cpSync(path, copy)
    cpSync(`${path}-wal`, `${copy}-wal`)
    const journal = `${join(t.testdirName, 'ledger')}.journal-0`
    cpSync(journal, `${copy.replace(/\.sqlite$/, '')}.journal-0`)
    return openSqliteLedger(copy, 'normal')
  }
  const used = (of: typeof store) =>
    ['alice', 'bob', 'carol'].map(account => of.used('default', account, '2026-11-20'))

  count('alice', 3)
  count('bob', 2)
  remember(store, 'a')
  store.settle()
  const unfolded = afterCrash('unfolded')
  t.same(used(unfolded), [3, 2, 0])
  t.same(recalled(unfolded), [['a', counted]])
  unfolded.close()

  while (store.forget('2026-08-01')) t.pass()
  count('alice', 1)
  remember(store, 'b')
  store.settle()
  count('carol', 5)
  remember(store, 'c')
  t.same(used(store), [4, 2, 5])
  const folded = afterCrash('folded')
  t.same(used(folded), [4, 2, 0], 'what was not settled was never answered')
  t.same(
    recalled(folded).map(([message]) => message),
    ['a', 'b'],
  )
  folded.close()
  store.close()
  const reopened = openSqliteLedger(path, 'normal')
  t.same(used(reopened), [4, 2, 5])
  t.equal(reopened.addWithin('default', 'alice', '2026-11-20', 7, 10), undefined)
  reopened.close()
})

function count(store: SqliteLedgerStore, instance: string, account = 'alice'): void {
  store.addWithin('default', account, '2026-11-20', 1, 1e6)
  remember(store, instance)
}

/** The state as a kill would leave it at this moment, opened by the next daemon. */
function afterKill(folder: string, copy: string): SqliteLedgerStore {
  mkdirSync(copy)
  for (const name of readdirSync(folder)) {
    if (statSync(join(folder, name)).isFile()) cpSync(join(folder, name), join(copy, name))
  }
  return openSqliteLedger(join(copy, 'ledger.sqlite'), 'normal')
}

t.test('a journal that is shorter than what was folded is said, and gone on with', async t => {
  const folder = t.testdir()
  const path = join(folder, 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  for (let i = 0; i < 20; i++) count(store, `m${i}`)
  store.close()
  truncateSync(join(folder, 'ledger.journal-0'), 60)
  const next = openSqliteLedger(path, 'normal')
  t.match(next.loss, /missing/)
  count(next, 'after')
  next.settle()
  const last = afterKill(folder, join(folder, 'copy'))
  t.equal(last.used('default', 'alice', '2026-11-20'), 21, 'what was counted after is there')
  last.close()
  next.close()
})

t.test('no sum is folded whose message is not in the journal', async t => {
  const folder = t.testdir()
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  const users = Array.from({ length: 60_000 }, (_, i) => `user${i}@example.org`)
  const countAll = (prefix: string): void => {
    for (const [i, user] of users.entries()) {
      count(store, `${prefix}${i}`, `${prefix}${user}`)
      if (i % 100 === 0) store.settle()
    }
    store.settle()
  }
  countAll('')
  while (store.forget('2026-01-01'));
  countAll('other')
  t.equal(store.forget('2026-01-01'), true, 'folding has begun')
  for (const user of users) count(store, `late of ${user}`, user)
  store.forget('2026-01-01')
  const next = afterKill(folder, join(folder, 'copy'))
  const late = new Set(recalled(next).map(([message]) => message))
  for (const user of users.slice(0, 300)) {
    const used = next.used('default', user, '2026-11-20')
    if (used === 2 && !late.has(`late of ${user}`)) t.fail(`${user} would be counted twice`)
  }
  t.pass('whoever has been counted is known')
  next.close()
  store.close()
})

t.test('refusals alone fill no disk: what they leave is folded like everything else', async t => {
  const folder = t.testdir()
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  for (let i = 0; i < 200_000; i++) {
    remember(store, `a long name of an instance ${i}`, { accepted: false, counted: 0 })
    if (i % 100 === 0) store.settle()
    if (store.isFull) while (store.forget('2026-01-01'));
  }
  t.equal(store.isFull, false)
  t.ok(readdirSync(folder).length <= 6, readdirSync(folder).join(' '))
  store.close()
})

t.test('something else under the name of a journal is passed over', async t => {
  const folder = t.testdir({ 'ledger.journal-1': {} })
  execFileSync('mkfifo', [join(folder, 'ledger.journal-0')])
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  count(store, 'a')
  store.settle()
  t.ok(statSync(join(folder, 'ledger.journal-2')).isFile())
  store.close()
})
