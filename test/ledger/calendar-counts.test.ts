/** The sums of a day: what the file has of them is what they were. */

import fc from 'fast-check'
import t from 'tap'
import type { PackedCounts } from '../../daemon/ledger/counts.ts'
import { Name } from '../../daemon/memory/name.ts'
import { runs } from '../support/fuzz.ts'
import { DAY, type PageFile, readWindow, sumsOf, writeWindow } from '../support/window-file.ts'

t.test('a day is what it was when it is read back, however large its sums', async () => {
  const used = fc.oneof(fc.nat(), fc.constantFrom(0xffffffff, 0xfffffffe, 2 ** 32, 2 ** 40, 0))
  const sums = fc.dictionary(fc.string({ maxLength: 8 }), used)
  fc.assert(
    fc.property(sums, fc.nat(), (all, seed) => {
      const day = readWindow(DAY, new Map(), { seed })
      const name = new Name(seed)
      for (const [account, sum] of Object.entries(all)) {
        // Twice: a large sum may become a small one, and the other way round.
        day.counts.set(name.of(account), 0, 2 ** 33 - sum)
        day.counts.set(name.of(account), 0, sum)
      }
      const file: PageFile = new Map()
      writeWindow(day, file)
      const read = readWindow(DAY, file, { seed })
      if (sumsOf(read).length !== Object.keys(all).length) throw new Error('other accounts')
      for (const [account, sum] of Object.entries(all)) {
        const found = read.counts.used(name.of(account), 0)
        if (found !== sum) throw new Error(`${account} has ${found} instead of ${sum}`)
      }
    }),
    { numRuns: runs(200) },
  )
})

t.test('noise in the place of a page is refused', async t => {
  const { page, good, accounts } = fullPage()
  const name = new Name(7)
  const whole = Buffer.concat([good.sums, good.names])
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) })
  const lengths = fc.tuple(fc.nat(good.sums.length), fc.nat(good.names.length))
  let refused = 0
  fc.assert(
    fc.property(fc.array(change, { minLength: 1 }), lengths, (changes, [sums, names]) => {
      const bytes = Buffer.from(whole)
      for (const { at, byte } of changes) bytes.writeUInt8(byte, at)
      const cut = {
        sums: bytes.subarray(0, sums),
        names: bytes.subarray(good.sums.length, good.sums.length + names),
      }
      try {
        const read = readWindow(DAY, new Map([[page, cut]]))
        for (const account of accounts) read.counts.used(name.of(account), 0)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        refused++
      }
    }),
    { numRuns: runs(500) },
  )
  t.ok(refused > 100, `${refused} were refused`)
  for (const piece of ['sums', 'names'] as const) {
    const cut = new Map([[page, { ...good, [piece]: good[piece].subarray(0, -1) }]])
    t.throws(() => readWindow(DAY, cut), RangeError, `${piece} cut short`)
    const none = new Map([[page, { ...good, [piece]: Buffer.alloc(0) }]])
    t.throws(() => readWindow(DAY, none), RangeError, `no ${piece}`)
  }
  t.throws(() => readWindow(DAY, new Map([[page + 1, good]])), RangeError, 'of another page')
})

/** A page of 50 accounts, as the file has it. */
function fullPage() {
  const day = readWindow(DAY, new Map())
  const name = new Name(7)
  const accounts: string[] = []
  for (let user = 0; accounts.length < 50; user++) {
    if (name.of(`user${user}`).hash >>> 24 !== 9) continue
    accounts.push(`user${user}`)
    day.counts.set(name, 0, user)
  }
  const file: PageFile = new Map()
  const [page = 0] = writeWindow(day, file)
  const good = file.get(page)
  if (!good) throw new Error('nothing was written')
  return { page, good, accounts }
}

t.test('names are written once, and again when an account has come', async t => {
  const [name, other] = [new Name(7).of('alice'), new Name(7)]
  const page = name.hash >>> 24
  // Of the same page.
  let user = 0
  while (other.of(`user${user}`).hash >>> 24 !== page) user++
  const day = readWindow(DAY, new Map())
  day.counts.set(name, 0, 1)
  const file: PageFile = new Map()
  writeWindow(day, file)
  day.counts.set(name, 0, 2)
  t.equal(day.pack(page).names, undefined)
  writeWindow(day, file)
  const read = readWindow(DAY, file)
  t.same(sumsOf(read), [['alice', 0, 2]])
  read.counts.set(name, 0, 3)
  t.equal(read.pack(page).names, undefined, 'nor are those that were read')
  read.counts.set(other, 0, 1)
  writeWindow(read, file)
  t.same(sumsOf(readWindow(DAY, file)), [
    ['alice', 0, 3],
    [`user${user}`, 0, 1],
  ])
  t.equal(read.pack(page).names, undefined)
})

t.test('a page is read from wherever its bytes begin, and grows without a warning', async t => {
  const warnings: string[] = []
  const note = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const { page, good, accounts } = fullPage()
  const name = new Name(7)
  const moved = (bytes: Buffer): Buffer => Buffer.concat([Buffer.alloc(1), bytes]).subarray(1)
  const elsewhere: PackedCounts = { sums: moved(good.sums), names: moved(good.names) }
  for (const packed of [good, elsewhere]) {
    const read = readWindow(DAY, new Map([[page, packed]]))
    for (let i = 0; i < 100; i++) read.counts.set(name.of(`new${i}`), 0, i)
    const [account = ''] = accounts
    t.equal(read.counts.used(name.of(account), 0), Number(account.slice('user'.length)))
    t.equal(read.counts.used(name.of('new99'), 0), 99)
  }
  await new Promise(resolve => setImmediate(resolve))
  t.same(warnings, [])
})
