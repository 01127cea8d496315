/** The ledger's file: one owner, newer schemas, forgetting. */

import { execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import t from 'tap'
import type { Decided } from '../../daemon/ledger/decided.ts'
import { REMEMBERED } from '../../daemon/ledger/decided-messages.ts'
import { openLedgerFile } from '../../daemon/ledger/file.ts'
import { openLedger } from '../../daemon/ledger/ledger.ts'
import { bucketAt } from '../../daemon/ledger/period.ts'
import { openSqliteLedger, type SqliteLedger } from '../../daemon/ledger/sqlite-ledger.ts'
import type { LedgerEvent } from '../../daemon/policy/ports/ledger.ts'
import { runs } from '../support/fuzz.ts'

const now = Date.UTC(2026, 10, 20, 12)

function remember(store: SqliteLedger, message: string, decided: Partial<Decided> = {}): void {
  store.remember(message, { ...counted(store), ...decided }, true)
}

function counted(store: SqliteLedger): Decided {
  const period = store.periods.named('default', '2026-11-20')
  return {
    accepted: true,
    refusedBy: '',
    stage: 'END-OF-MESSAGE',
    at: now,
    queue: '',
    entries: [{ period, bucket: 0, subject: 'alice', amount: 1 }],
  }
}

/** Counts on a day, at noon; what is used then. */
function add(
  store: SqliteLedger,
  [counter, subject, day]: readonly [counter: string, subject: string, day: string],
  count: number,
  limit = 10,
): number | undefined {
  const at = Date.parse(`${day}T12:00:00Z`)
  return store.addWithin(store.periods.named(counter, day), subject, 0, count, limit, at)
}

function used(store: SqliteLedger, counter: string, subject: string, day: string): number {
  return store.used(store.periods.named(counter, day), subject, now)
}

function recalled(store: SqliteLedger): [message: string, Decided][] {
  const decided: [string, Decided][] = []
  store.recall((message, one) => decided.push([Buffer.from(message).toString(), one]))
  return decided
}

/** A request at the end of a message of alice's. */
function asked(instance: string, limit: number, counter = 'default'): LedgerEvent {
  const window = { name: '2026-11-20', endsAt: now + 1 }
  return {
    account: 'alice',
    stage: 'END-OF-MESSAGE',
    instance,
    connection: 1,
    service: '',
    recipient: '',
    recipients: 1,
    bytes: 0,
    queueId: '',
    mostRecipients: Number.POSITIVE_INFINITY,
    now,
    claims: [{ counter, subject: 'alice', window, unit: 'recipients', limit }],
  }
}

t.test('a second daemon on the same state is told that the first has it', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const first = openSqliteLedger(path, 'normal')
  add(first, ['default', 'alice', '2026-11-20'], 1, 10)
  first.settle()
  t.throws(() => openSqliteLedger(path, 'normal'), /in use by another daemon/)
  first.close()
  const second = openSqliteLedger(path, 'full')
  t.equal(used(second, 'default', 'alice', '2026-11-20'), 1)
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
    add(store, ['default', `u${user}`, '2026-08-01'], 1, 10)
    add(store, ['other', `u${user}`, '2026-08-21'], 1, 10)
    add(store, ['other', `u${user}`, '2026-11-20'], 1, 10)
  }
  store.settle()
  let steps = 0
  while (store.fold());
  while (store.forgetBefore('2026-08-22')) {
    store.settle()
    steps++
    if (steps > 1000) throw new Error('it does not end')
  }
  t.ok(steps >= 64, `${steps} steps`)
  const days = new Set([...store.sums()].map(([{ name }]) => name))
  t.same([...days], ['2026-11-20'])
  t.equal(used(store, 'other', 'u899', '2026-11-20'), 1)
  store.close()
})

t.test('of a day that is forgotten nothing is left in the file', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  for (let user = 0; user < 500; user++) {
    add(store, ['limit', `u${user}`, '2026-07-01'], 1, 10)
  }
  add(store, ['limit', 'alice', '2026-11-20'], 1, 10)
  store.close()
  const again = openSqliteLedger(path, 'normal')
  while (again.forgetBefore('2026-08-22'));
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
    add(store, ['limit', 'alice', '2026-11-20'], 1, 10)
    store.close()
    const db = new Database(path)
    db.exec(`DELETE FROM ${table}`)
    db.close()
    const next = openSqliteLedger(path, 'normal')
    const damage = { name: 'LookupError', message: /counts of 2026-11-20 are damaged/ }
    t.throws(() => used(next, 'limit', 'alice', '2026-11-20'), damage)
    t.throws(() => [...next.sums()], damage)
    next.abandon()
  }
})

t.test('a sum that no counting gives is damage', async t => {
  for (const sum of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
    const path = join(t.testdir(), 'ledger.sqlite')
    const store = openSqliteLedger(path, 'normal')
    add(store, ['limit', 'alice', '2026-11-20'], 1, 10)
    store.close()
    const db = new Database(path)
    db.prepare('UPDATE sums SET sums = ?').run(Buffer.from(Float64Array.of(sum).buffer))
    db.close()
    const next = openSqliteLedger(path, 'normal')
    const damage = { name: 'LookupError', message: /counts of 2026-11-20 are damaged/ }
    t.throws(() => used(next, 'limit', 'alice', '2026-11-20'), damage, String(sum))
    next.abandon()
  }
})

t.test('of messages asked about twice the last 50,000 are known after a restart', async t => {
  const folder = t.testdir()
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  const event = (number: number, stage: 'DATA' | 'END-OF-MESSAGE') => ({
    ...asked(`m${number}`, 1e9),
    stage,
  })
  const ledger = openLedger(store)
  const extra = 20_000
  for (let i = 0; i < REMEMBERED + extra; i++) {
    ledger.judge(event(i, 'DATA'))
    ledger.judge(event(i, 'END-OF-MESSAGE'))
    if (i % 100 === 99) ledger.settle()
    if (store.shouldFoldNow) while (store.fold());
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
    add(many, ['limit', name(user), '2026-11-20'], 1, 10)
  }
  many.close()
  const store = openSqliteLedger(path, 'normal')
  t.equal(store.shouldFoldNow, false)
  for (let user = 0; user < 20_000; user++) used(store, 'limit', name(user), '2026-11-20')
  t.equal(store.shouldFoldNow, true, 'each page has been read')
  store.fold()
  t.equal(store.shouldFoldNow, false)
  t.equal(used(store, 'limit', name(599_999), '2026-11-20'), 1)
  store.close()
})

t.test('days in no order are forgotten by date, and no day gets the place of another', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const file = openLedgerFile(path, 'normal')
  // The clock was wrong twice.
  const days = ['2027-06-01', '2026-08-01', '2026-11-20', '2026-07-01']
  const ids = days.map(day => file.addPeriod('default', day, day))
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
    file
      .periods()
      .map(({ name }) => name)
      .toSorted(),
    ['2026-11-20', '2027-06-01'],
  )
  for (const { period, number } of edges) {
    const isKept = period === ids[0] || period === ids[2]
    t.same(file.readPage(period, number), isKept ? accounts(period, number) : undefined)
  }
  const next = file.addPeriod('default', '2026-11-21', '2026-11-21')
  t.notOk(ids.includes(next), 'the last one was forgotten, its number is not free')
  while (file.forgetBefore('2028-01-01'));
  file.close()
  const later = openLedgerFile(path, 'normal')
  t.equal(later.findPeriod('default', '2026-11-21'), undefined)
  const last = later.addPeriod('default', '2026-11-21', '2026-11-21')
  t.notOk([...ids, next].includes(last), 'nor is it after a restart')
  t.same(later.findPeriod('default', '2026-11-21'), { id: last, written: '2026-11-21' })
  later.close()
})

t.test('a clock that goes back to a forgotten day counts it from nothing', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  add(store, ['default', 'alice', '2026-11-20'], 1, 10)
  add(store, ['default', 'alice', '2026-08-01'], 5, 10)
  store.settle()
  while (store.fold());
  while (store.forgetBefore('2026-08-22'));
  t.equal(used(store, 'default', 'alice', '2026-08-01'), 0)
  add(store, ['default', 'alice', '2026-11-21'], 2, 10)
  add(store, ['default', 'alice', '2026-08-01'], 3, 10)
  store.close()
  const next = openSqliteLedger(path, 'normal')
  t.same([...next.sums()].map(([{ name }, , , amount]) => `${name} ${amount}`).toSorted(), [
    '2026-08-01 3',
    '2026-11-20 1',
    '2026-11-21 2',
  ])
  next.close()
})

t.test('messages are recalled in their order, with the very periods of the store', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'full')
  const decided = (
    from: SqliteLedger,
    amounts: [counter: string, name: string, amount: number][],
  ) => ({
    ...counted(from),
    stage: 'DATA' as const,
    queue: '4bXyz\n192.0.2.7',
    entries: amounts.map(([counter, name, amount]) => {
      const period = from.periods.named(counter, name)
      return { period, bucket: name.startsWith('~') ? 29_000_000 : 0, subject: 'ä', amount }
    }),
  })
  const all = (from: SqliteLedger): [string, Decided][] => [
    ['i1\nä', decided(from, [['limit', '2026-11-19', 2]])],
    ['i2\nb', { ...decided(from, []), accepted: false, refusedBy: 'hour' }],
    [
      'i3\nö',
      decided(from, [
        ['limit', '2026-11-20', 2],
        ['hour', '~60000', 2],
      ]),
    ],
  ]
  for (const [message, one] of all(store)) {
    store.remember(message, one, true)
    store.settle()
  }
  store.close()
  const next = openSqliteLedger(path, 'full')
  const found = recalled(next)
  t.same(found, all(next))
  t.equal(found[2]?.[1].entries[1]?.period, next.periods.named('hour', '~60000'))
  next.close()
})

t.test(
  'a disk that takes nothing more costs the count of that moment and nothing else',
  async t => {
    const path = join(t.testdir(), 'ledger.sqlite')
    const store = openSqliteLedger(path, 'normal')
    const ledger = openLedger(store)
    const event = (instance: string) => asked(instance, 10)
    ledger.judge(event('a'))
    ledger.settle()
    ledger.judge(event('b'))
    store.close()
    // The files are gone for the store: what is asked now cannot be made durable, and says so.
    ledger.judge(event('c'))
    t.throws(() => ledger.settle(), { name: 'LookupError' })
    t.throws(() => ledger.judge(asked('d', 10, 'other')), { name: 'LookupError' })
  },
)

t.test('what was settled is there after a crash, folded or not, and nothing else', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  const count = (account: string, by: number): void => {
    add(store, ['default', account, '2026-11-20'], by, 10)
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
  const all = (of: typeof store) =>
    ['alice', 'bob', 'carol'].map(account => used(of, 'default', account, '2026-11-20'))

  count('alice', 3)
  count('bob', 2)
  remember(store, 'a')
  store.settle()
  const unfolded = afterCrash('unfolded')
  t.same(all(unfolded), [3, 2, 0])
  t.same(recalled(unfolded), [['a', counted(unfolded)]])
  unfolded.close()

  while (store.fold()) t.pass()
  count('alice', 1)
  remember(store, 'b')
  store.settle()
  count('carol', 5)
  remember(store, 'c')
  t.same(all(store), [4, 2, 5])
  const folded = afterCrash('folded')
  t.same(all(folded), [4, 2, 0], 'what was not settled was never answered')
  t.same(
    recalled(folded).map(([message]) => message),
    ['a', 'b'],
  )
  folded.close()
  store.close()
  const reopened = openSqliteLedger(path, 'normal')
  t.same(all(reopened), [4, 2, 5])
  t.equal(add(reopened, ['default', 'alice', '2026-11-20'], 7, 10), undefined)
  reopened.close()
})

function count(store: SqliteLedger, instance: string, account = 'alice'): void {
  add(store, ['default', account, '2026-11-20'], 1, 1e6)
  remember(store, instance)
}

/** The state as a kill would leave it at this moment, opened by the next daemon. */
function afterKill(folder: string, copy: string): SqliteLedger {
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
  t.equal(used(last, 'default', 'alice', '2026-11-20'), 21, 'what was counted after is there')
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
  while (store.fold());
  countAll('other')
  t.equal(store.fold(), true, 'folding has begun')
  for (const user of users) count(store, `late of ${user}`, user)
  store.fold()
  const next = afterKill(folder, join(folder, 'copy'))
  const late = new Set(recalled(next).map(([message]) => message))
  for (const user of users.slice(0, 300)) {
    const isCounted = used(next, 'default', user, '2026-11-20') === 2
    if (isCounted && !late.has(`late of ${user}`)) t.fail(`${user} would be counted twice`)
  }
  t.pass('whoever has been counted is known')
  next.close()
  store.close()
})

t.test('refusals alone fill no disk: what they leave is folded like everything else', async t => {
  const folder = t.testdir()
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  for (let i = 0; i < 200_000; i++) {
    remember(store, `a long name of an instance ${i}`, { accepted: false, entries: [] })
    if (i % 100 === 0) store.settle()
    if (store.shouldFoldNow) while (store.fold());
  }
  t.equal(store.shouldFoldNow, false)
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

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Counts in the last hour at a moment; what is used then. */
function addRolling(store: SqliteLedger, subject: string, count: number, at: number, limit = 10) {
  const period = store.periods.named('hour', '~60000')
  return store.addWithin(period, subject, bucketAt(period, at), count, limit, at)
}

function usedInTheHour(store: SqliteLedger, subject: string, at: number): number {
  return store.used(store.periods.named('hour', '~60000'), subject, at)
}

t.test('an hour that rolls is there after a restart, and after a kill, folded or not', async t => {
  const folder = t.testdir()
  const path = join(folder, 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  t.equal(addRolling(store, 'alice', 4, now), 4)
  t.equal(addRolling(store, 'alice', 5, now + 30 * MINUTE), 9)
  store.settle()
  const check = (one: SqliteLedger, what: string) => {
    t.equal(usedInTheHour(one, 'alice', now + 59 * MINUTE), 9, what)
    t.equal(usedInTheHour(one, 'alice', now + 61 * MINUTE), 5, what)
    t.equal(usedInTheHour(one, 'alice', now + 91 * MINUTE), 0, what)
    const hour = one.periods.named('hour', '~60000')
    t.equal(one.fitsAt(hour, 'alice', 2, 10, now + 40 * MINUTE), now + 61 * MINUTE, what)
    t.equal(one.fitsAt(hour, 'alice', 1, 10, now + 40 * MINUTE), now + 40 * MINUTE, 'at once')
    t.equal(one.fitsAt(hour, 'alice', 11, 10, now + 40 * MINUTE), undefined, 'never')
  }
  check(store, 'at work')
  const unfolded = afterKill(folder, join(folder, 'unfolded'))
  check(unfolded, 'in the journal')
  unfolded.close()
  while (store.fold());
  t.equal(addRolling(store, 'alice', 2, now + 40 * MINUTE), undefined, 'it would be too much')
  check(store, 'in the file')
  t.equal(addRolling(store, 'alice', 2, now + 61 * MINUTE), 7)
  store.settle()
  const later = afterKill(folder, join(folder, 'later'))
  t.equal(usedInTheHour(later, 'alice', now + 61 * MINUTE), 7)
  later.close()
  store.close()
  const last = openSqliteLedger(path, 'normal')
  t.equal(usedInTheHour(last, 'alice', now + 61 * MINUTE), 7)
  last.close()
})

t.test(
  'counts of calendar and rolling windows are the same after any kill, whatever the clock does',
  async t => {
    const folder = t.testdir()
    const one = fc.record({
      account: fc.constantFrom('alice', 'bob'),
      window: fc.constantFrom('~60000', '~1000', '2026-11-20'),
      moved: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: 0, max: 5 * MINUTE }) },
        { weight: 1, arbitrary: fc.integer({ min: -2 * HOUR, max: 2 * HOUR }) },
      ),
      count: fc.integer({ min: -2, max: 4 }),
      next: fc.constantFrom('settle', 'settle', 'settle', 'nothing', 'fold', 'kill', 'restart'),
    })
    let copies = 0
    fc.assert(
      fc.property(fc.array(one, { maxLength: 60 }), steps => {
        const state = (): string => join(folder, `state${copies}`)
        mkdirSync(join(folder, `state${++copies}`))
        let store = openSqliteLedger(join(state(), 'ledger.sqlite'), 'normal')
        let at = now
        // What has left the window need not come back with the clock.
        let latest = now
        const read = () =>
          ['alice', 'bob'].flatMap(account =>
            ['~60000', '~1000', '2026-11-20'].map(name =>
              store.used(store.periods.named('limit', name), account, latest),
            ),
          )
        for (const { account, window, moved, count: by, next } of steps) {
          at += moved
          latest = Math.max(latest, at)
          const period = store.periods.named('limit', window)
          store.addWithin(period, account, bucketAt(period, at), by, 20, at)
          if (next !== 'nothing') store.settle()
          if (next === 'fold') while (store.fold());
          const before = String(read())
          if (next === 'kill') {
            const killed = store
            const folderBefore = state()
            copies++
            store = afterKill(folderBefore, state())
            killed.abandon()
          } else if (next === 'restart') {
            store.close()
            store = openSqliteLedger(join(state(), 'ledger.sqlite'), 'normal')
          }
          const after = String(read())
          if (after !== before) throw new Error(`${next}: ${after} instead of ${before}`)
        }
        store.close()
      }),
      { numRuns: runs(40) },
    )
    t.ok(copies > 40)
  },
)

t.test('a clock that goes back within a turn takes no other count with it', async t => {
  const folder = t.testdir()
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  addRolling(store, 'alice', 1, now)
  store.settle()
  addRolling(store, 'alice', 1, now - 1)
  addRolling(store, 'bob', 1, now - 1 - HOUR)
  addRolling(store, 'alice', 1, now)
  store.settle()
  const again = afterKill(folder, join(folder, 'again'))
  t.equal(usedInTheHour(again, 'alice', now), 3)
  t.equal(usedInTheHour(again, 'bob', now - 1 - HOUR), 1)
  again.close()
  store.close()
})

t.test('the sums of a file have every bucket, and another file can take them over', async t => {
  const folder = t.testdir()
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  addRolling(store, 'alice', 4, now)
  addRolling(store, 'alice', 5, now + 30 * MINUTE)
  add(store, ['limit', 'alice', '2026-11-20'], 9)
  store.close()
  const again = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  const other = openSqliteLedger(join(folder, 'other.sqlite'), 'normal')
  other.absorb(again.sums())
  other.close()
  const read = openSqliteLedger(join(folder, 'other.sqlite'), 'normal')
  t.same(
    [...read.sums()].map(([{ counter, name }, ...rest]) => [counter, name, ...rest]).toSorted(),
    [
      ['hour', '~60000', 'alice', now / MINUTE, 4],
      ['hour', '~60000', 'alice', now / MINUTE + 30, 5],
      ['limit', '2026-11-20', 'alice', 0, 9],
    ],
  )
  t.equal(usedInTheHour(read, 'alice', now + 40 * MINUTE), 9)
  read.close()
  again.close()
})

t.test('counts in memory need nothing of the working directory', async t => {
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  process.chdir(t.testdir())
  // Neither can be looked at, as in a directory that is closed to this user.
  for (const name of [':memory:', ':memory:-wal']) symlinkSync(name, name)
  const store = openSqliteLedger(':memory:', 'normal')
  add(store, ['day', 'alice', '2026-11-20'], 1)
  store.close()
})

t.test('of each counter the newest periods are read, and all that roll', async t => {
  const store = openSqliteLedger(':memory:', 'normal')
  for (const day of ['2026-11-18', '2026-11-19', '2026-11-20']) {
    add(store, ['day', 'alice', day], 1)
    add(store, ['month', 'alice', `${day.slice(0, 8)}01`], 1)
  }
  add(store, ['month', 'alice', '2026-09-01'], 1)
  add(store, ['month', 'alice', '2026-10-01'], 1)
  addRolling(store, 'alice', 1, now - 90 * 24 * HOUR)
  t.same([...store.sums(2)].map(([{ counter, name }]) => `${counter} ${name}`).toSorted(), [
    'day 2026-11-19',
    'day 2026-11-20',
    'hour ~60000',
    'month 2026-10-01',
    'month 2026-11-01',
  ])
  store.close()
})

t.test('a window that nobody has used for long is forgotten, one in use is not', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  const [hour, day] = ['~60000', '~1440000'].map(name => store.periods.named('limit', name))
  if (!hour || !day) return
  const august = Date.UTC(2026, 7, 1, 12)
  for (const period of [hour, day]) {
    store.addWithin(period, 'alice', bucketAt(period, august), 3, 10, august)
  }
  store.addWithin(store.periods.named('month', '2026-08-01'), 'alice', 0, 3, 10, now)
  store.settle()
  while (store.fold());
  // Used again, but not yet written to the file.
  store.addWithin(hour, 'alice', bucketAt(hour, now), 4, 10, now)
  store.settle()
  while (store.forgetBefore('2026-08-22'));
  t.equal(store.used(day, 'alice', august), 0)
  store.close()
  const next = openSqliteLedger(path, 'normal')
  t.same([...next.sums()].map(([{ counter, name }, , , sum]) => [counter, name, sum]).toSorted(), [
    ['limit', '~60000', 4],
    ['month', '2026-08-01', 3],
  ])
  next.close()
})

t.test('a page of a window that is damaged is found out, and nothing else', async t => {
  const path = join(t.testdir(), 'ledger.sqlite')
  const store = openSqliteLedger(path, 'normal')
  addRolling(store, 'alice', 1, now)
  store.close()
  const db = new Database(path)
  db.prepare('UPDATE sums SET sums = ?').run(Buffer.alloc(40, 0x5a))
  db.close()
  const next = openSqliteLedger(path, 'normal')
  const damage = { name: 'LookupError', message: /counts of ~60000 are damaged/ }
  t.throws(() => usedInTheHour(next, 'alice', now), damage)
  next.abandon()
})

/** The state as an earlier version left it at a kill: half of it in the journal (test/fixtures/ledger-3). */
function ofVersion3(folder: string): string {
  for (const name of ['ledger.sqlite', 'ledger.journal-0']) {
    const packed = new URL(`../fixtures/ledger-3/${name}.gz`, import.meta.url)
    writeFileSync(join(folder, name), gunzipSync(readFileSync(packed)))
  }
  return join(folder, 'ledger.sqlite')
}

t.test('an upgrade loses no count, neither of the file nor of the journal', async t => {
  const folder = t.testdir()
  const path = ofVersion3(folder)
  const check = (store: SqliteLedger, more: number, what: string) => {
    const of = (subject: string, day = '2026-11-20') => used(store, 'limit', subject, day)
    t.same(
      [of('alice', '2026-11-18'), of('alice'), of('bob'), of('jörg'), of('carol')],
      [3, 9 + more, 7, 2, 6],
      what,
    )
    t.equal(of('jörg', '2026-11-21'), 9, what)
    t.equal(of('user299@example.org'), 1, what)
    t.equal(used(store, 'weekly', 'bob', '2026-11-20'), 2, what)
  }
  const store = openSqliteLedger(path, 'normal')
  t.equal(store.loss, undefined)
  check(store, 0, 'at once')
  const known = new Map(recalled(store))
  t.match(known.get('a3\nalice'), {
    accepted: true,
    stage: 'END-OF-MESSAGE',
    entries: [{ subject: 'alice', amount: 4, bucket: 0 }],
  })
  t.equal(known.get('c1\ncarol')?.stage, 'DATA')
  t.match(known.get('b2\nbob'), { accepted: false, refusedBy: 'limit', entries: [] })
  add(store, ['limit', 'alice', '2026-11-20'], 1, 100)
  addRolling(store, 'alice', 1, now)
  remember(store, 'new\nalice')
  store.settle()
  const killed = afterKill(folder, join(folder, 'killed'))
  check(killed, 1, 'after a kill')
  t.equal(new Map(recalled(killed)).size, known.size + 1, 'old and new messages in one journal')
  killed.close()
  store.close()
  const next = openSqliteLedger(path, 'normal')
  check(next, 1, 'after a restart')
  t.equal(usedInTheHour(next, 'alice', now), 1)
  while (next.forgetBefore('2026-11-19'));
  t.equal(used(next, 'limit', 'alice', '2026-11-18'), 0, 'old days are known to be old')
  t.equal(used(next, 'limit', 'bob', '2026-11-20'), 7)
  next.close()
})
