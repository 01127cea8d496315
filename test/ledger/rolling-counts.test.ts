/** Rolling windows: series are compared with a list of everything that was counted. */

import fc from 'fast-check'
import t from 'tap'
import { BUCKETS } from '../../daemon/ledger/period.ts'
import { Subjects } from '../../daemon/ledger/subjects.ts'
import { Name } from '../../daemon/memory/name.ts'
import { runs } from '../support/fuzz.ts'
import {
  DAY,
  HOUR,
  type PageFile,
  readWindow,
  sumsOf,
  writeWindow,
} from '../support/window-file.ts'

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
      let told = readWindow(HOUR, new Map()).counts
      const name = new Name(SEED)
      let window = readWindow(HOUR, new Map())
      const file: PageFile = new Map()
      let current = 10_000
      for (const { account, moved, offset, count, limit, packs } of steps) {
        current += moved
        const model = models.get(account) ?? new Model()
        name.of(account)
        const { counts } = window
        const tell = (bucket: number, used: number) => told.set(name, bucket, used, current)
        same('used', counts.used(name, current), model.used(current))
        const fits = count > 0 ? counts.fitsFrom(name, count, limit, current) : 0
        same('fits', fits, count > 0 ? model.fitsFrom(count, limit, current) : 0)
        const answer = counts.addWithin(name, current + offset, count, limit, current, tell)
        same('answer', answer, model.add(current + offset, count, limit, current))
        same('then', counts.used(name, current), model.used(current))
        same('told', told.used(name, current), model.used(current))
        if (answer === undefined) refused++
        if (!packs) continue
        const written = writeWindow(window, file)
        for (const [account, one] of models) {
          if (written.includes(name.of(account).hash >>> 24)) one.forget(current)
        }
        window = readWindow(HOUR, file)
        told = readWindow(HOUR, file).counts
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
        const { counts } = readWindow(HOUR, new Map())
        const name = new Name(SEED).of('alice')
        const accepted: number[] = []
        let now = 1_700_000_000_123
        for (const after of gaps) {
          now += after
          const bucket = Math.floor(now / WIDTH)
          const since = (milliseconds: number) =>
            accepted.filter(at => at > now - milliseconds).length
          const isAccepted = counts.addWithin(name, bucket, 1, LIMIT, bucket, nothing) !== undefined
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
  const { counts } = readWindow(HOUR, new Map())
  const name = new Name(SEED).of('alice')
  for (const bucket of [100, 110, 120]) counts.addWithin(name, bucket, 3, 10, bucket, nothing)
  for (const [count, from] of [
    [1, 120],
    [2, 161],
    [4, 161],
    [5, 171],
    [7, 171],
    [10, 181],
  ] as const) {
    t.equal(counts.fitsFrom(name, count, 10, 120), from, `${count} more`)
    if (from === 120) continue
    t.ok(counts.used(name, from) + count <= 10)
    t.notOk(counts.used(name, from - 1) + count <= 10)
  }
  t.equal(counts.fitsFrom(name, 11, 10, 120), undefined, 'more than the limit never does')
})

t.test(
  'a clock that goes back forgets nothing, and what was in the future becomes the past',
  async t => {
    const window = readWindow(HOUR, new Map())
    const { counts } = window
    const name = new Name(SEED).of('alice')
    counts.addWithin(name, 1000, 3, 10, 1000, nothing)
    counts.addWithin(name, 970, 4, 10, 970, nothing)
    t.equal(counts.used(name, 970), 7)
    t.equal(counts.addWithin(name, 970, 4, 10, 970, nothing), undefined)
    t.same(sumsOf(window), [
      ['alice', 970, 4],
      ['alice', 1000, 3],
    ])
    t.equal(counts.used(name, 1031), 3)
    t.equal(counts.used(name, 1061), 0)
  },
)

t.test('a clock that was wrong by a year holds nobody back for a year', async t => {
  const { counts } = readWindow(HOUR, new Map())
  const name = new Name(SEED).of('alice')
  const year = 525_600
  counts.addWithin(name, 1000 + year, 10, 10, 1000 + year, nothing)
  t.equal(counts.used(name, 1000), 10)
  const told: unknown[] = []
  const tell = (...one: unknown[]) => told.push(one)
  t.equal(counts.addWithin(name, 1000, 1, 10, 1000, tell), undefined, 'it counts')
  t.same(told, [[1060, 10]], 'the journal is told, although nothing was counted')
  t.equal(counts.fitsFrom(name, 1, 10, 1000), 1121)
  t.equal(counts.addWithin(name, 1121, 1, 10, 1121, tell), 1)
})

t.test('however the clock jumps, a series has two windows’ buckets at most', async t => {
  const window = readWindow(HOUR, new Map())
  const { counts } = window
  const name = new Name(SEED).of('alice')
  for (let i = 0; i < 5000; i++) {
    const current = 100_000 + ((i * 7919) % 3000)
    counts.addWithin(name, current, 1, NO_LIMIT, current, nothing)
  }
  t.ok(sumsOf(window).length <= 2 * BUCKETS + 1)
})

t.test('accounts whose window is empty are dropped when their page is written', async t => {
  const window = readWindow(HOUR, new Map())
  const file: PageFile = new Map()
  const name = new Name(SEED)
  const sizes: number[] = []
  for (let hour = 0; hour < 20; hour++) {
    for (let user = 0; user < 20_000; user++) {
      const account = name.of(`user${hour}.${user}`)
      window.counts.addWithin(account, hour * 60, 1, 10, hour * 60, nothing)
    }
    writeWindow(window, file)
    const pages = [...file.values()]
    sizes.push(pages.reduce((sum, { sums, names }) => sum + sums.length + names.length, 0))
    t.equal(readWindow(HOUR, file).counts.used(name, hour * 60), 1)
  }
  t.ok(Math.max(...sizes) < 3.5 * (sizes[0] ?? 0), sizes.join(' '))
  t.ok(window.counts.byteLength < 3_000_000, String(window.counts.byteLength))
})

t.test('an account that was dropped is counted afresh', async t => {
  const window = readWindow(HOUR, new Map())
  const { counts } = window
  const name = new Name(SEED)
  for (let user = 0; user < 20_000; user++) {
    counts.addWithin(name.of(`user${user}`), 100, 1, 10, 100, nothing)
  }
  counts.addWithin(name.of('user7'), 500, 2, 10, 500, nothing)
  const file: PageFile = new Map()
  writeWindow(window, file)
  t.same(sumsOf(window), [['user7', 500, 2]])
  t.equal(counts.addWithin(name.of('user8'), 500, 3, 10, 500, nothing), 3)
  writeWindow(window, file)
  const byName = (one: readonly [string, number, number]) => one[0]
  t.same(
    sumsOf(readWindow(HOUR, file)).toSorted((a, b) => byName(a).localeCompare(byName(b))),
    [
      ['user7', 500, 2],
      ['user8', 500, 3],
    ],
  )
})

t.test('names of another window may come first: each window finds its own sums', async t => {
  const subjects = new Subjects(SEED)
  const day = readWindow(DAY, new Map(), { subjects })
  const file: PageFile = new Map()
  const name = new Name(SEED)
  const window = readWindow(HOUR, new Map())
  for (let user = 0; user < 1000; user++) {
    window.counts.addWithin(name.of(`user${user}`), 100, user, NO_LIMIT, 100, nothing)
  }
  writeWindow(window, file)
  for (let user = 999; user >= 0; user -= 3) day.counts.set(name.of(`user${user}`), 0, 1)
  const hour = readWindow(HOUR, file, { subjects })
  hour.counts.addWithin(name.of('user500'), 100, 1, NO_LIMIT, 100, nothing)
  writeWindow(hour, file)
  const again = readWindow(HOUR, file).counts
  for (let user = 1; user < 1000; user++) {
    const used = again.used(name.of(`user${user}`), 100)
    if (used !== user + (user === 500 ? 1 : 0)) t.fail(`user${user} has ${used}`)
  }
})

t.test('noise in the place of a page is refused', async t => {
  const window = readWindow(HOUR, new Map())
  const name = new Name(SEED)
  const accounts: string[] = []
  // All in one page.
  for (let user = 0; accounts.length < 50; user++) {
    if (name.of(`user${user}`).hash >>> 24 === 7) accounts.push(`user${user}`)
  }
  for (let i = 0; i < 200; i++) {
    window.counts.addWithin(name.of(accounts[i % 50] ?? ''), i, 1, 10, i, nothing)
  }
  const file: PageFile = new Map()
  writeWindow(window, file)
  const good = file.get(7)
  if (!good) throw new Error('nothing was written')
  const whole = Buffer.concat([good.sums, good.names])
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) })
  const cut = fc.tuple(fc.nat(12), fc.nat(12))
  let refused = 0
  fc.assert(
    fc.property(fc.array(change, { minLength: 1 }), cut, (changes, [sums, names]) => {
      const bytes = Buffer.from(whole)
      for (const { at, byte } of changes) bytes.writeUInt8(byte, at)
      const { length } = good.sums
      const spoilt = {
        sums: bytes.subarray(0, length - (sums % 4)),
        names: bytes.subarray(length, bytes.length - (names % 3)),
      }
      try {
        const noisy = readWindow(HOUR, new Map([[7, spoilt]]))
        for (const account of accounts) noisy.counts.used(name.of(account), 100)
        for (const account of accounts) {
          noisy.counts.addWithin(name.of(account), 200, 1, 10, 200, nothing)
        }
        const copy: PageFile = new Map([[7, spoilt]])
        writeWindow(noisy, copy)
        readWindow(HOUR, copy)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        refused++
      }
    }),
    { numRuns: runs(500) },
  )
  t.ok(refused > 100, `${refused} were refused`)
})
