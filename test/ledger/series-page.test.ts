/** Rolling windows: a page of series is compared with a list of everything that was counted. */

import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { PackedCounts } from '../../daemon/ledger/count-page.ts'
import { BUCKETS } from '../../daemon/ledger/period.ts'
import { SeriesPage } from '../../daemon/ledger/series-page.ts'
import { SharedNames } from '../../daemon/ledger/shared-names.ts'
import { Name } from '../../daemon/memory/name.ts'
import { runs } from '../support/fuzz.ts'

const SEED = 7
const NO_LIMIT = Number.POSITIVE_INFINITY
const nothing = (): void => undefined

/** What was counted, by bucket: the rules, written down as simply as possible. */
class Model {
  readonly buckets = new Map<number, number>()

  used(current: number): number {
    const live = [...this.buckets].filter(([bucket]) => bucket >= current - BUCKETS)
    return live.reduce((sum, [, amount]) => sum + amount, 0)
  }

  /** What has left the window never comes back. */
  forget(current: number): void {
    for (const bucket of [...this.buckets.keys()]) {
      if (bucket < current - BUCKETS) this.buckets.delete(bucket)
    }
  }

  add(bucket: number, count: number, limit: number, current: number): number | undefined {
    for (const [former, amount] of [...this.buckets]) {
      if (former > current + BUCKETS) {
        this.forget(current)
        this.buckets.delete(former)
        this.#put(current + BUCKETS, this.#amount(current + BUCKETS) + amount)
      }
    }
    const used = this.used(current)
    const place = Math.min(bucket, current + BUCKETS)
    if (place < current - BUCKETS) return used + count > limit ? undefined : used
    const change = Math.max(count, -this.#amount(place))
    if (used + change > limit) return undefined
    if (change !== 0) this.forget(current)
    this.#put(place, this.#amount(place) + change)
    return used + change
  }

  fitsFrom(count: number, limit: number, current: number): number | undefined {
    if (count > limit) return undefined
    // Nothing is left when the last one, a window ahead, has left the window.
    for (let later = current; later <= current + 2 * BUCKETS + 1; later++) {
      const left = [...this.buckets].filter(
        ([bucket]) => Math.min(bucket, current + BUCKETS) >= later - BUCKETS,
      )
      if (left.reduce((sum, [, amount]) => sum + amount, 0) + count <= limit) return later
    }
    throw new Error('it never fits')
  }

  #amount(bucket: number): number {
    return this.buckets.get(bucket) ?? 0
  }

  #put(bucket: number, amount: number): void {
    this.buckets.set(bucket, amount)
  }
}

/** As the file would have it. */
function packed(page: SeriesPage, names?: Buffer): PackedCounts {
  const one = page.pack()
  const all = one.names ?? names
  if (!all) throw new Error('there are no names')
  return { sums: Buffer.from(one.sums), names: Buffer.from(all) }
}

const ACCOUNTS = ['alice', 'bob', 'jörg']

const step = fc.record({
  account: fc.constantFrom(...ACCOUNTS),
  /** The clock, in buckets: mostly on, sometimes far, sometimes back. */
  moved: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(0, 0, 1, 1, 2, 5, 30) },
    { weight: 1, arbitrary: fc.integer({ min: -300, max: 300 }) },
  ),
  /** Where it is counted, before or after the current bucket. */
  offset: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: -70, max: 70 }) },
  ),
  count: fc.integer({ min: -5, max: 9 }),
  limit: fc.constantFrom(0, 5, 20, 100, NO_LIMIT),
  packs: fc.boolean(),
})

t.test('what is used is what was counted in the window, whatever the clock does', async t => {
  let refused = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), steps => {
      const models = new Map(ACCOUNTS.map(account => [account, new Model()]))
      /** As the file and the journal have it. */
      let told = SeriesPage.empty(new SharedNames(SEED))
      const name = new Name(SEED)
      let page = SeriesPage.empty(new SharedNames(SEED))
      let names: Buffer | undefined
      let current = 10_000
      for (const { account, moved, offset, count, limit, packs } of steps) {
        current += moved
        const model = models.get(account) ?? new Model()
        name.of(account)
        const tell = (bucket: number, used: number) => told.set(name, bucket, used, current)
        same('used', page.used(name, current), model.used(current))
        const fits = count > 0 ? page.fitsFrom(name, count, limit, current) : 0
        same('fits', fits, count > 0 ? model.fitsFrom(count, limit, current) : 0)
        const answer = page.addWithin(name, current + offset, count, limit, current, tell)
        same('answer', answer, model.add(current + offset, count, limit, current))
        same('then', page.used(name, current), model.used(current))
        same('told', told.used(name, current), model.used(current))
        if (answer === undefined) refused++
        if (!packs || !page.isDirty) continue
        for (const one of models.values()) one.forget(current)
        const file = packed(page, names)
        page.noteWritten()
        names = file.names
        page = SeriesPage.unpack(new SharedNames(SEED), file)
        told = SeriesPage.unpack(new SharedNames(SEED), file)
      }
    }),
    { numRuns: runs(500) },
  )
  t.ok(refused > 300, `${refused} were refused`)
})

function same(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what}: ${found} instead of ${expected}`)
}

t.test(
  'no interval of the window’s length has more than the limit, and nobody waits longer than a sixtieth more',
  async t => {
    const LIMIT = 10
    const WIDTH = 1000
    let acceptedInAll = 0
    const LENGTH = BUCKETS * WIDTH
    const gap = fc.oneof(fc.nat(500), fc.nat(20_000), fc.constantFrom(LENGTH, LENGTH - 1, WIDTH))
    fc.assert(
      fc.property(fc.array(gap, { minLength: 20, maxLength: 200 }), gaps => {
        const page = SeriesPage.empty(new SharedNames(SEED))
        const name = new Name(SEED).of('alice')
        const accepted: number[] = []
        let now = 1_700_000_000_123
        for (const after of gaps) {
          now += after
          const bucket = Math.floor(now / WIDTH)
          const since = (milliseconds: number) =>
            accepted.filter(at => at > now - milliseconds).length
          const isAccepted = page.addWithin(name, bucket, 1, LIMIT, bucket, nothing) !== undefined
          if (isAccepted) accepted.push(now)
          if (isAccepted) acceptedInAll++
          if (since(LENGTH) > LIMIT) throw new Error('more than the limit')
          const isHeldBack = !isAccepted && since(LENGTH + WIDTH) < LIMIT
          if (isHeldBack) throw new Error('held back for too long')
        }
      }),
      { numRuns: runs(500) },
    )
    t.ok(acceptedInAll > 1000, `${acceptedInAll} were accepted`)
  },
)

t.test('what fits, fits at the moment that was said, and no bucket before', async t => {
  const page = SeriesPage.empty(new SharedNames(SEED))
  const name = new Name(SEED).of('alice')
  for (const bucket of [100, 110, 120]) page.addWithin(name, bucket, 3, 10, bucket, nothing)
  for (const [count, from] of [
    [1, 120],
    [2, 161],
    [4, 161],
    [5, 171],
    [7, 171],
    [10, 181],
  ] as const) {
    t.equal(page.fitsFrom(name, count, 10, 120), from, `${count} more`)
    if (from === 120) continue
    t.ok(page.used(name, from) + count <= 10)
    t.notOk(page.used(name, from - 1) + count <= 10)
  }
  t.equal(page.fitsFrom(name, 11, 10, 120), undefined, 'more than the limit never does')
})

t.test(
  'a clock that goes back forgets nothing, and what was in the future becomes the past',
  async t => {
    const page = SeriesPage.empty(new SharedNames(SEED))
    const name = new Name(SEED).of('alice')
    page.addWithin(name, 1000, 3, 10, 1000, nothing)
    page.addWithin(name, 970, 4, 10, 970, nothing)
    t.equal(page.used(name, 970), 7)
    t.equal(page.addWithin(name, 970, 4, 10, 970, nothing), undefined)
    t.same(
      [...page.sums()],
      [
        ['alice', 970, 4],
        ['alice', 1000, 3],
      ],
    )
    t.equal(page.used(name, 1031), 3)
    t.equal(page.used(name, 1061), 0)
  },
)

t.test('a clock that was wrong by a year holds nobody back for a year', async t => {
  const page = SeriesPage.empty(new SharedNames(SEED))
  const name = new Name(SEED).of('alice')
  const year = 525_600
  page.addWithin(name, 1000 + year, 10, 10, 1000 + year, nothing)
  t.equal(page.used(name, 1000), 10)
  const told: unknown[] = []
  const tell = (...one: unknown[]) => told.push(one)
  t.equal(page.addWithin(name, 1000, 1, 10, 1000, tell), undefined, 'it counts')
  t.same(told, [[1060, 10]], 'the journal is told, although nothing was counted')
  t.equal(page.fitsFrom(name, 1, 10, 1000), 1121)
  t.equal(page.addWithin(name, 1121, 1, 10, 1121, tell), 1)
})

t.test('however the clock jumps, a series has two windows’ buckets at most', async t => {
  const page = SeriesPage.empty(new SharedNames(SEED))
  const name = new Name(SEED).of('alice')
  for (let i = 0; i < 5000; i++) {
    const current = 100_000 + ((i * 7919) % 3000)
    page.addWithin(name, current, 1, NO_LIMIT, current, nothing)
  }
  t.ok([...page.sums()].length <= 2 * BUCKETS + 1)
})

t.test('accounts whose window is empty are dropped when the page is written', async t => {
  const page = SeriesPage.empty(new SharedNames(SEED))
  const name = new Name(SEED)
  const sizes: number[] = []
  for (let hour = 0; hour < 20; hour++) {
    for (let user = 0; user < 500; user++) {
      page.addWithin(name.of(`user${hour}.${user}`), hour * 60, 1, 10, hour * 60, nothing)
    }
    const { sums, names } = packed(page)
    page.noteWritten()
    sizes.push(sums.length + names.length)
    t.equal(SeriesPage.unpack(new SharedNames(SEED), { sums, names }).used(name, hour * 60), 1)
  }
  t.ok(Math.max(...sizes) < 3.5 * (sizes[0] ?? 0), sizes.join(' '))
  t.ok(page.byteLength < 300_000, String(page.byteLength))
})

t.test('an account that was dropped from a page is counted afresh', async t => {
  const page = SeriesPage.empty(new SharedNames(SEED))
  const name = new Name(SEED)
  for (let user = 0; user < 100; user++) {
    page.addWithin(name.of(`user${user}`), 100, 1, 10, 100, nothing)
  }
  page.addWithin(name.of('user7'), 500, 2, 10, 500, nothing)
  packed(page)
  t.same([...page.sums()], [['user7', 500, 2]])
  t.equal(page.addWithin(name.of('user8'), 500, 3, 10, 500, nothing), 3)
  t.same(read(t, packed(page)), [
    ['user7', 500, 2],
    ['user8', 500, 3],
  ])
})

function read(t: Test, file: PackedCounts): unknown[] {
  t.ok(file.sums.length > 0)
  return [...SeriesPage.unpack(new SharedNames(SEED), file).sums()]
}

t.test('noise in the place of a page is refused', async t => {
  const page = SeriesPage.empty(new SharedNames(SEED))
  const name = new Name(SEED)
  for (let i = 0; i < 200; i++) {
    page.addWithin(name.of(`user${i % 50}`), i, 1, 10, i, nothing)
  }
  const good = packed(page)
  const whole = Buffer.concat([good.sums, good.names])
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) })
  const cut = fc.tuple(fc.nat(12), fc.nat(12))
  let refused = 0
  fc.assert(
    fc.property(fc.array(change, { minLength: 1 }), cut, (changes, [sums, names]) => {
      const bytes = Buffer.from(whole)
      for (const { at, byte } of changes) bytes.writeUInt8(byte, at)
      const length = good.sums.length
      const spoilt = {
        sums: bytes.subarray(0, length - (sums % 4)),
        names: bytes.subarray(length, bytes.length - (names % 3)),
      }
      try {
        const noisy = SeriesPage.unpack(new SharedNames(SEED), spoilt)
        for (let i = 0; i < 60; i++) noisy.used(name.of(`user${i}`), 100)
        for (let i = 0; i < 60; i++) {
          noisy.addWithin(name.of(`user${i}`), 200, 1, 10, 200, nothing)
        }
        SeriesPage.unpack(new SharedNames(SEED), packed(noisy, spoilt.names))
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        refused++
      }
    }),
    { numRuns: runs(500) },
  )
  t.ok(refused > 100, `${refused} were refused`)
})
