/** Folding: idle, folding, held; and what a failure or a backup in between leaves behind. */

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { AccountPages } from '../../daemon/ledger/account-pages.ts'
import type { LedgerFile, PackedPage } from '../../daemon/ledger/file.ts'
import { Folding } from '../../daemon/ledger/folding.ts'
import { Journal } from '../../daemon/ledger/journal.ts'
import type { JournalPlace } from '../../daemon/ledger/journal-files.ts'
import { bucketAt, type CountingPeriod, Periods } from '../../daemon/ledger/period.ts'
import { Name } from '../../daemon/memory/name.ts'

const periods = new Periods()
const DAY = periods.named('limit', '2026-11-20')
const HOUR = periods.named('hour', '~60000')
const now = Date.UTC(2026, 10, 20, 12)

/** Pages and a journal in front of a file that only notes what is written to it. */
class Bench {
  isFull = false
  /** Pages in the file, by number, as their sums' bytes. */
  readonly pages = new Map<number, string>()
  /** Periods in the file, and when they were written. */
  readonly #periods: string[] = []
  writes = 0
  place: JournalPlace = { file: 0, offset: 0 }
  readonly journal: Journal
  readonly folding: Folding
  readonly #pages: AccountPages
  readonly #name = new Name(1)

  constructor(t: Test) {
    const file = this.#file()
    this.#pages = new AccountPages(file, Number.POSITIVE_INFINITY, periods)
    this.journal = new Journal(join(t.testdir(), 'ledger.sqlite'), 'normal', this.place)
    this.folding = new Folding(file, this.journal, this.#pages, () => this.journal.settle())
  }

  count(account: string, used: number, period: CountingPeriod = DAY): void {
    const name = this.#name.of(account)
    const bucket = bucketAt(period, now)
    this.#pages.set(period, name, bucket, used, now)
    this.journal.record.sum(period, bucket, account, used, now)
    this.folding.noteChange()
  }

  /** Enough for several steps. */
  countMany(from: number): void {
    for (let i = from; i < from + 60_000; i++) this.count(`user${i}@mail.example.org`, 1)
    this.journal.settle()
  }

  get periods(): readonly string[] {
    return this.#periods
  }

  foldCompletely(): void {
    while (this.folding.fold());
  }

  #file(): LedgerFile {
    const write = (pages: Iterable<PackedPage>, folded: () => JournalPlace | undefined): void => {
      if (this.isFull) throw new Error('disk full')
      this.writes++
      for (const { period, number, sums } of pages) {
        this.pages.set(256 * (period - 1) + number, sums.toString('hex'))
      }
      this.place = folded() ?? this.place
    }
    return {
      seed: 1,
      folded: () => this.place,
      findPeriod: () => undefined,
      addPeriod: (_counter, name, written) => this.#periods.push(`${name} ${written}`),
      noteWritten: () => undefined,
      periods: () => [],
      readPage: () => undefined,
      writePages: write,
      forgetBefore: () => false,
      services: () => [],
      putService: () => undefined,
      setDurability: () => undefined,
      isDetached: () => false,
      backUp: () => Promise.resolve(),
      close: () => undefined,
    }
  }
}

t.test('changes are written in steps, and the journal’s place with the last of them', async t => {
  const bench = new Bench(t)
  bench.countMany(0)
  const begun = bench.journal.place
  t.equal(bench.folding.fold(), true)
  t.same(bench.place, { file: 0, offset: 0 }, 'a crash here reads the journal from its beginning')
  bench.count('late', 1)
  bench.foldCompletely()
  t.same(bench.place, begun, 'where the folding began')
  bench.foldCompletely()
  t.same(bench.place, bench.journal.place, 'what came meanwhile goes with the next folding')
  const { writes } = bench
  bench.foldCompletely()
  t.equal(bench.writes, writes, 'nothing has changed, nothing is written')
})

for (const [when, steps] of [
  ['first', 0],
  ['second', 1],
] as const) {
  t.test(`a ${when} step that fails loses nothing: the next one writes it`, async t => {
    const bench = new Bench(t)
    bench.countMany(0)
    for (let step = 0; step < steps; step++) t.equal(bench.folding.fold(), true)
    bench.isFull = true
    t.throws(() => bench.folding.fold(), /disk full/)
    t.throws(() => bench.folding.fold(), /disk full/)
    bench.isFull = false
    bench.foldCompletely()
    t.same(bench.place, bench.journal.place)
    t.equal(bench.pages.size, 256)
  })
}

t.test(
  'nothing is written while a backup is made; then folding continues where it was',
  async t => {
    const bench = new Bench(t)
    bench.countMany(0)
    t.equal(bench.folding.fold(), true)
    const { writes } = bench
    await bench.folding.hold(async () => {
      t.equal(bench.folding.isHeld, true)
      t.equal(bench.folding.fold(), false)
      await t.rejects(
        bench.folding.hold(async () => undefined),
        'one at a time',
      )
    })
    t.equal(bench.writes, writes)
    t.equal(bench.folding.isHeld, false)
    bench.foldCompletely()
    t.same(bench.place, bench.journal.place)
  },
)

t.test('a backup that fails holds nothing for good', async t => {
  const bench = new Bench(t)
  bench.count('alice', 1)
  await t.rejects(bench.folding.hold(() => Promise.reject(new Error('disk full'))))
  bench.foldCompletely()
  t.equal(bench.pages.size, 1)
})

t.test('a close during a backup writes everything', async t => {
  const bench = new Bench(t)
  bench.count('alice', 1)
  await bench.folding.hold(async () => bench.folding.foldAll())
  t.same(bench.place, bench.journal.place)
  t.equal(bench.folding.isHeld, false)
})

t.test('records that the journal dropped make a folding due, which saves their sums', async t => {
  const bench = new Bench(t)
  bench.count('alice', 1)
  t.equal(bench.folding.isDue, false)
  bench.journal.drop()
  t.equal(bench.folding.isDue, true)
  bench.foldCompletely()
  t.equal(bench.pages.size, 1)
  t.equal(bench.journal.hasDropped, false)
})

t.test('the more a folding has written, the more is counted before the next one is due', t => {
  const bench = new Bench(t)
  const long = 'x'.repeat(4000)
  const countSome = (used: number): void => {
    for (let i = 0; i < 2200; i++) bench.count(`${i}${long}`, used)
    bench.journal.settle()
  }
  countSome(1)
  t.equal(bench.folding.isDue, true, '8.8 MB of journal')
  for (let i = 0; i < 60_000; i++) bench.count(`${i}${long}`, 1)
  bench.journal.settle()
  bench.foldCompletely()
  t.equal(bench.folding.isDue, false)
  countSome(2)
  t.equal(bench.folding.isDue, false, '240 MB were written, so 8.8 are few')
  countSome(3)
  t.equal(bench.folding.isDue, true)
  bench.foldCompletely()
  countSome(4)
  t.equal(bench.folding.isDue, true, 'that time only sums were written')
  t.end()
})

t.test(
  'pages of all windows are written in one folding, with the day of their last count',
  async t => {
    const bench = new Bench(t)
    bench.countMany(0)
    for (let i = 0; i < 3000; i++) bench.count(`user${i}@mail.example.org`, 1, HOUR)
    bench.foldCompletely()
    t.same(bench.place, bench.journal.place)
    t.equal(bench.pages.size, 512)
    t.same(bench.periods, ['2026-11-20 2026-11-20', '~60000 2026-11-20'])
  },
)
