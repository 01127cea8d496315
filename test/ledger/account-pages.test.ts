/** The sums in memory: names that windows share, and what is dropped and read again. */

import fc from 'fast-check'
import t from 'tap'
import { AccountPage } from '../../daemon/ledger/account-page.ts'
import { AccountPages } from '../../daemon/ledger/account-pages.ts'
import { openLedgerFile } from '../../daemon/ledger/file.ts'
import { BUCKETS, bucketAt, Periods } from '../../daemon/ledger/period.ts'
import { SeriesPage } from '../../daemon/ledger/series-page.ts'
import { SharedNames } from '../../daemon/ledger/shared-names.ts'
import { Name } from '../../daemon/memory/name.ts'
import { runs } from '../support/fuzz.ts'

const now = Date.UTC(2026, 10, 20, 12)
const nothing = (): void => undefined

t.test('names that no page has any more are dropped, and the pages have what they had', async t => {
  const shared = new SharedNames(3)
  const name = new Name(3)
  const day = AccountPage.empty(shared)
  const hour = SeriesPage.empty(shared)
  for (let user = 0; user < 1000; user++) {
    hour.addWithin(name.of(`user${user}`), 100, 1, 10, 100, nothing)
    if (user % 10 === 0) day.set(name.of(`user${user}`), 0, user)
  }
  hour.addWithin(name.of('user777'), 300, 5, 10, 300, nothing)
  hour.pack()
  t.equal(shared.count, 1000)
  shared.tidy([day.members, hour.members])
  t.equal(shared.count, 101)
  for (let user = 0; user < 1000; user++) {
    name.of(`user${user}`)
    if (day.used(name) !== (user % 10 === 0 ? user : 0)) t.fail(`${user} of the day`)
    if (hour.used(name, 300) !== (user === 777 ? 5 : 0)) t.fail(`${user} of the hour`)
  }
  t.equal(day.addWithin(name.of('new'), 0, 2, 10, 0, nothing), 2)
  t.equal(hour.used(name, 300), 0)
  const names = day.pack().names
  t.equal([...day.sums()].length, 101)
  t.ok(names?.includes('user990') && names.includes('new'), 'the file has them by name')
})

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
          changed.map(({ period: { id = 0 }, number, page }) => {
            const { sums, names } = page.pack()
            return {
              period: id,
              number,
              sums: Buffer.from(sums),
              names: names && Buffer.from(names),
            }
          }),
          () => undefined,
        )
        for (const { page } of changed) page.noteWritten()
        little.trim()
      }
      file.close()
    }),
    { numRuns: runs(60) },
  )
  t.ok(refused > 0, `${refused} were refused`)
})
