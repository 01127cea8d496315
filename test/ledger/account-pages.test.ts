/** The sums in memory: names that windows share, and what is dropped and read again. */

import fc from 'fast-check'
import t from 'tap'
import { AccountPages } from '../../daemon/ledger/account-pages.ts'
import { openLedgerFile, PAGES } from '../../daemon/ledger/file.ts'
import { BUCKETS, bucketAt, Periods } from '../../daemon/ledger/period.ts'
import { Subjects } from '../../daemon/ledger/subjects.ts'
import { WindowPages } from '../../daemon/ledger/window-pages.ts'
import { Name } from '../../daemon/memory/name.ts'
import { runs } from '../support/fuzz.ts'

const now = Date.UTC(2026, 10, 20, 12)
const nothing = (): void => undefined

t.test(
  'names that no window has any more are dropped, and the windows have what they had',
  async t => {
    const subjects = new Subjects(3)
    const periods = new Periods()
    const name = new Name(3)
    const day = new WindowPages(periods.named('limit', '2026-11-20'), subjects)
    const hour = new WindowPages(periods.named('limit', '~60000'), subjects)
    const windows = [day, hour]
    for (let page = 0; page < PAGES; page++) for (const one of windows) one.load(page, undefined)
    const users = 100_000
    for (let user = 0; user < users; user++) {
      hour.counts.addWithin(name.of(`user${user}`), 100, 1, 10, 100, nothing)
      if (user % 10 === 0) day.counts.set(name.of(`user${user}`), 0, user)
    }
    hour.counts.addWithin(name.of('user777'), 300, 5, 10, 300, nothing)
    const count = () => {
      let all = 0
      for (let page = 0; page < PAGES; page++) all += subjects.countIn(page)
      return all
    }
    t.equal(count(), users)
    for (let page = 0; page < PAGES; page++) {
      hour.pack(page)
      subjects.tidy(
        page,
        subject => windows.some(({ counts }) => counts.has(subject)),
        (from, to) => {
          for (const one of windows) one.move(from, to)
        },
      )
    }
    t.equal(count(), users / 10 + 1)
    for (let user = 0; user < users; user++) {
      name.of(`user${user}`)
      if (day.counts.used(name, 0) !== (user % 10 === 0 ? user : 0)) t.fail(`${user} of the day`)
      if (hour.counts.used(name, 300) !== (user === 777 ? 5 : 0)) t.fail(`${user} of the hour`)
    }
    t.equal(day.counts.addWithin(name.of('new'), 0, 2, 10, 0, nothing), 2)
    t.equal(hour.counts.used(name, 300), 0)
    const { names } = day.pack(name.hash >>> 24)
    t.ok(names?.includes('new') && names.includes('user'), 'the file has them by name')
  },
)

t.test('little memory changes no sum: pages are dropped, and read again', async t => {
  const step = fc.record({
    user: fc.nat(8),
    window: fc.constantFrom('~60000', '~1000', '2026-11-20', '2026-11-21'),
    moved: fc.constantFrom(0, 0, 10, 1000, 60_000),
    count: fc.integer({ min: -2, max: 5 }),
    action: fc.constantFrom('nothing', 'nothing', 'nothing', 'write', 'trim'),
  })
  let refused = 0
  fc.assert(
    fc.property(fc.array(step, { minLength: 150, maxLength: 400 }), steps => {
      const file = openLedgerFile(':memory:', 'normal')
      const periods = new Periods()
      const little = new AccountPages(file, 0, periods)
      const name = new Name(file.seed)
      let at = now
      /** Buckets, and what is in them. */
      const model = new Map<string, [bucket: number, amount: number][]>()
      for (const { user, window, moved, count, action } of steps) {
        at += moved
        const period = periods.named('limit', window)
        const bucket = bucketAt(period, at)
        const found = little.addWithin(
          period,
          name.of(`user${user}`),
          bucket,
          count,
          6,
          at,
          nothing,
        )
        const key = `${window} ${user}`
        const buckets = model.get(key) ?? []
        model.set(key, buckets)
        const live = buckets.filter(([of]) => of >= bucket - BUCKETS)
        const here: [number, number] = live.find(([of]) => of === bucket) ?? [bucket, 0]
        const used = live.reduce((sum, [, amount]) => sum + amount, 0)
        const change = Math.max(count, -here[1])
        const expected = used + change > 6 ? undefined : used + change
        if (found !== expected) throw new Error(`${found} instead of ${expected}`)
        if (expected === undefined) refused++
        else {
          here[1] += change
          if (!buckets.includes(here)) buckets.push(here)
        }
        if (action === 'nothing') continue
        const changed = action === 'write' ? little.changed() : []
        file.writePages(
          changed.map(({ period: { id = 0 }, number, window }) => {
            const { sums, names } = window.pack(number)
            return {
              period: id,
              number,
              sums: Buffer.from(sums),
              names: names && Buffer.from(names),
            }
          }),
          () => undefined,
        )
        for (const { window, number } of changed) window.states.isWritten(number)
        little.trim()
      }
      file.close()
    }),
    { numRuns: runs(60) },
  )
  t.ok(refused > 0, `${refused} were refused`)
})

t.test('a damaged page is refused every time, and never taken for an empty one', async t => {
  const file = openLedgerFile(':memory:', 'normal')
  const periods = new Periods()
  const name = new Name(file.seed).of('alice')
  for (const window of ['2026-11-20', '~60000']) {
    const period = periods.named('limit', window)
    const pages = new AccountPages(file, 0, periods)
    pages.addWithin(period, name, bucketAt(period, now), 3, 10, now, nothing)
    const [changed] = pages.changed()
    const { id } = changed?.period ?? {}
    if (!changed || id === undefined) throw new Error('nothing to write')
    const { sums, names } = changed.window.pack(changed.number)
    const spoilt = Buffer.from(sums)
    if (window.startsWith('~')) spoilt.fill(0xff)
    else spoilt.writeDoubleLE(Number.NaN)
    file.writePages([{ period: id, number: changed.number, sums: spoilt, names }], () => undefined)
    const again = new AccountPages(file, 0, periods)
    for (const time of ['first', 'second']) {
      t.throws(() => again.used(period, name, now), /damaged/, `${window}, the ${time} time`)
    }
  }
  file.close()
})
