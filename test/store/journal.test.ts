/** The journal: what was written is read again, whatever became of the rest. */

import { spawnSync } from 'node:child_process'
import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { Name } from '../../daemon/policy/name.ts'
import { AccountPage, type PackedAccounts } from '../../daemon/store/account-page.ts'
import { JOURNAL_FILE_BYTES, Journal } from '../../daemon/store/journal.ts'
import { runs } from '../support/fuzz.ts'

const named = new Name(0)
const messageNamed = new Name(0)
const START = { file: 0, offset: 0 }
const now = Date.UTC(2026, 10, 20, 12)

function write(journal: Journal, account: string, used: number, instance = `m${used}`): void {
  journal.record.sum('limit', '2026-11-20', named.of(account), used)
  decide(journal, `${account} ${instance}`)
  journal.settle()
}

function decide(journal: Journal, message: string, day = '2026-11-20'): void {
  journal.record.decision(
    messageNamed.of(message),
    {
      day,
      accepted: true,
      counted: 1,
      stage: 'END-OF-MESSAGE',
      at: now,
    },
    true,
  )
}

/** Everything in the journal, in words. */
function said(journal: Journal, most = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = []
  journal.read(START, most, {
    sum: (scope, day, account, used) => lines.push(`${scope} ${day} ${textOf(account)} ${used}`),
    decision: (message, { counted }) => lines.push(`${textOf(message)} ${counted}`),
  })
  return lines
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const ledger = (folder: string): string => join(folder, 'ledger.sqlite')
const first = (folder: string): string => join(folder, 'ledger.journal-0')

t.test('what was settled is read again, in its order', async t => {
  for (const isDurable of [false, true]) {
    const folder = t.testdir()
    const journal = new Journal(ledger(folder), isDurable, START)
    write(journal, 'alice', 1)
    write(journal, 'bob', 2)
    journal.record.sum('limit', '2026-11-20', named.of('never settled'), 3)
    const expected = [
      'limit 2026-11-20 alice 1',
      'alice m1 1',
      'limit 2026-11-20 bob 2',
      'bob m2 1',
    ]
    const next = new Journal(ledger(folder), isDurable, START)
    t.same(said(next), expected)
    write(next, 'carol', 3)
    const last = new Journal(ledger(folder), isDurable, START)
    t.same(said(last).slice(4), ['limit 2026-11-20 carol 3', 'carol m3 1'])
    t.equal(last.loss, undefined)
    t.equal(statSync(first(folder)).mode & 0o777, 0o600)
  }
})

t.test('a file that ends anywhere is read up to its last whole record', async t => {
  const folder = t.testdir()
  const path = first(folder)
  const journal = new Journal(ledger(folder), false, START)
  const ends: number[] = []
  for (let used = 1; used <= 5; used++) {
    write(journal, 'alice', used)
    ends.push(statSync(path).size)
  }
  const whole = readFileSync(path)
  for (let size = whole.length; size >= 0; size--) {
    truncateSync(path, size)
    const cut = new Journal(ledger(folder), false, START)
    const expected = ends.filter(end => end <= size).length
    if (said(cut).length !== 2 * expected) t.fail(`${said(cut).length / 2} at ${size}`)
    if (size % 40 !== 0) continue
    // What comes next is read too, and nothing of what was cut.
    write(cut, 'next', 9)
    t.same(said(new Journal(ledger(folder), false, START)).slice(2 * expected), [
      'limit 2026-11-20 next 9',
      'next m9 1',
    ])
    writeFileSync(path, whole)
  }
})

t.test('a damaged record costs itself, and the operator is told', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  write(journal, 'alice', 1)
  const size = statSync(first(folder)).size
  write(journal, 'bob', 2)
  write(journal, 'carol', 3)
  const bytes = readFileSync(first(folder))
  bytes.writeUInt8(0x5a, size + 30)
  writeFileSync(first(folder), bytes)
  const next = new Journal(ledger(folder), false, START)
  t.match(next.loss, /ledger\.journal-0 was damaged/)
  t.same(
    said(next).filter(line => line.includes(' m')),
    ['alice m1 1', 'carol m3 1'],
  )
})

t.test('what is behind a wrong length or a gap is still found, and it is said', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  const sizes = ['alice', 'bob', 'carol'].map((account, i) => {
    write(journal, account, i + 1)
    return statSync(first(folder)).size
  })
  const whole = readFileSync(first(folder))
  const [bob = 0, carol = 0] = sizes
  const length = whole.readUInt32LE(bob)
  const saying = (bytes: number): Buffer => {
    const damaged = Buffer.from(whole)
    damaged.writeUInt32LE(bytes, bob)
    return damaged
  }
  const filled = (byte: number): Buffer => Buffer.from(whole).fill(byte, bob, carol)
  const gap = (...bytes: Buffer[]): Buffer =>
    Buffer.concat([whole.subarray(0, carol), ...bytes, whole.subarray(carol)])
  const noise = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i * 31) & 255))
  const half = whole.subarray(bob, bob + 30)
  const cases: readonly (readonly [string, Buffer, string])[] = [
    ...[0, 11, 12, length - 1, length + 1, 2 * length + 8, whole.length, 0xffffffff].map(
      bytes => [`a length of ${bytes}`, saying(bytes), 'm1 m3'] as const,
    ),
    ['zeroes in the place of a record', filled(0), 'm1 m3'],
    ['P in the place of a record', filled(0x50), 'm1 m3'],
    ['one byte between records', gap(Buffer.alloc(1)), 'm1 m2 m3'],
    ['zeroes between records', gap(Buffer.alloc(4096)), 'm1 m2 m3'],
    ['noise between records', gap(noise), 'm1 m2 m3'],
    ['half a record between records', gap(Buffer.alloc(1), half), 'm1 m2 m3'],
  ]
  const messages = (from: Journal): string =>
    said(from)
      .flatMap(line => / (m\d) /.exec(line)?.[1] ?? [])
      .join(' ')
  for (const [what, bytes, expected] of cases) {
    writeFileSync(first(folder), bytes)
    const next = new Journal(ledger(folder), false, START)
    t.equal(messages(next), expected, what)
    t.match(next.loss, /ledger\.journal-0 was damaged: counts of the last minutes/, what)
    t.equal(next.place.offset, bytes.length, `${what}: it goes on behind the last record`)
    write(next, 'dave', 4)
    t.equal(messages(new Journal(ledger(folder), false, START)), `${expected} m4`, what)
  }
  // Nobody has heard an answer that rests on what was never whole.
  for (const rest of [Buffer.alloc(4096), noise, half]) {
    writeFileSync(first(folder), Buffer.concat([whole, rest]))
    const next = new Journal(ledger(folder), false, START)
    t.equal(messages(next), 'm1 m2 m3')
    t.equal(next.loss, undefined, 'behind the last record nothing is missed')
    next.close()
  }
})

t.test('a journal that is gone is missed, and its numbers do not come again', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  write(journal, 'alice', 1)
  const { place } = journal
  rmSync(first(folder))
  t.equal(journal.isDetached, true)
  const next = new Journal(ledger(folder), false, place)
  t.match(next.loss, /is missing/)
  write(next, 'bob', 2)
  t.ok(next.place.file > place.file)
  t.equal(next.isDetached, false)
})

t.test('of decisions the newest are read, in whole records, from however many files', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  const large = 'x'.repeat(60_000)
  for (let used = 1; used <= 200; used++) write(journal, 'alice', used, `${large}${used}`)
  decide(journal, 'one of two')
  decide(journal, 'two of two')
  journal.settle()
  t.ok(journal.place.file > 2, `${journal.place.file} files`)
  const newest = (most: number) =>
    said(new Journal(ledger(folder), false, START), most)
      .filter(line => !line.startsWith('limit'))
      .map(line => line.replaceAll('x', ''))
  t.same(newest(0), [])
  t.same(newest(1), ['one of two 1', 'two of two 1'])
  t.same(newest(3), ['alice 200 1', 'one of two 1', 'two of two 1'])
  t.equal(newest(150)[0], 'alice 53 1')
  t.equal(newest(202)[0], 'alice 1 1')
  t.equal(newest(1000).length, 202)
})

t.test('decisions of two days in one record keep their days', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  decide(journal, 'late', '2026-11-19')
  decide(journal, 'early', '2026-11-20')
  journal.settle()
  const days: string[] = []
  new Journal(ledger(folder), false, START).read(START, 10, {
    decision: (message, { day }) => days.push(`${textOf(message)} ${day}`),
  })
  t.same(days, ['late 2026-11-19', 'early 2026-11-20'])
})

t.test('what another format has left in a file is not read behind what is written now', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  for (let used = 1; used <= 20; used++) write(journal, 'alice', used)
  journal.close()
  // As a file of the format before: another head, checksums of the number alone.
  const old = readFileSync(first(folder))
  old.write('1', old.indexOf('journal 2') + 'journal '.length)
  for (let start = old.indexOf(0) + 5; start + 8 <= old.length; ) {
    const end = start + 8 + old.readUInt32LE(start)
    old.writeUInt32LE(crc32(old.subarray(start + 8, end), 1), start + 4)
    start = end
  }
  writeFileSync(first(folder), old)
  const next = new Journal(ledger(folder), false, START)
  t.same(said(next), [])
  write(next, 'alice', 100)
  const last = new Journal(ledger(folder), false, START)
  t.equal(last.loss, undefined)
  t.same(said(last), ['limit 2026-11-20 alice 100', 'alice m100 1'])
})

t.test('a copy that somebody has put beside it is not the journal, and stays as it is', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  write(journal, 'alice', 1)
  const copy = `${first(folder)}-20261129`
  cpSync(first(folder), copy)
  write(journal, 'alice', 2)
  const before = readFileSync(copy)
  const next = new Journal(ledger(folder), false, START)
  t.equal(next.loss, undefined)
  t.same(said(next).at(-2), 'limit 2026-11-20 alice 2')
  write(next, 'alice', 3)
  t.same(readFileSync(copy), before)
})

t.test('files are used again, and nothing of their former use is read', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  const instance = 'x'.repeat(4000)
  let written = 0
  for (let round = 0; round < 5; round++) {
    const { place } = journal
    while (journal.bytesSince(place) < JOURNAL_FILE_BYTES) {
      for (let i = 0; i < 50; i++) decide(journal, instance)
      write(journal, 'alice', ++written, 'last')
    }
    journal.release(journal.place, 1500)
    t.ok(readdirSync(folder).length <= 5, readdirSync(folder).join(' '))
  }
  t.ok(journal.place.file >= 5, `file ${journal.place.file}`)
  const sums = said(new Journal(ledger(folder), false, START)).filter(line => /^limit/.test(line))
  t.equal(sums.at(-1), `limit 2026-11-20 alice ${written}`)
  const numbers = sums.map(line => Number(line.split(' ')[3]))
  t.same(
    numbers,
    numbers.toSorted((a, b) => a - b),
    'sums only rise',
  )
  t.ok(numbers.length < written, `${numbers.length} of ${written} are left`)
})

t.test(
  'what cannot be written goes with the next record, and too much of it is given up',
  async t => {
    const folder = t.testdir({ state: {} })
    const state = join(folder, 'state')
    const journal = new Journal(ledger(state), false, START)
    renameSync(state, join(folder, 'away'))
    journal.record.sum('limit', '2026-11-20', named.of('alice'), 1)
    t.throws(() => journal.settle(), /ENOENT/)
    journal.record.sum('limit', '2026-11-20', named.of('alice'), 2)
    renameSync(join(folder, 'away'), state)
    journal.settle()
    t.same(said(journal), ['limit 2026-11-20 alice 1', 'limit 2026-11-20 alice 2'])

    const other = new Journal(
      join(folder, 'gone/ledger.sqlite').replace('gone', 'state'),
      false,
      START,
    )
    rmSync(state, { recursive: true })
    for (let i = 0; i < 300; i++) decide(other, 'x'.repeat(5000))
    t.throws(() => other.settle(), /ENOENT/)
    t.ok(other.hasGivenUp && other.record.isEmpty)
  },
)

t.test('files of the journal with anything in them are read, or passed over', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), false, START)
  for (let used = 1; used <= 20; used++) write(journal, `u${used}`, used)
  const good = readFileSync(first(folder))
  const change = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) })
  fc.assert(
    fc.property(fc.array(change), fc.boolean(), (changes, isNoise) => {
      const bytes = isNoise
        ? Buffer.from(changes.flatMap(({ at, byte }) => [at & 255, byte]))
        : Buffer.from(good)
      for (const { at, byte } of isNoise ? [] : changes) bytes.writeUInt8(byte, at)
      writeFileSync(first(folder), bytes)
      said(new Journal(ledger(folder), false, START))
    }),
    { numRuns: runs(300) },
  )
})

t.test('a page is what it was when it is read back, and noise is refused', async t => {
  const sums = fc.dictionary(fc.string({ maxLength: 8 }), fc.nat(), { minKeys: 1 })
  fc.assert(
    fc.property(sums, fc.nat(), (all, seed) => {
      const page = AccountPage.empty(seed)
      const name = new Name(seed)
      for (const [account, used] of Object.entries(all)) page.set(name.of(account), used)
      const again = AccountPage.unpack(seed, packed(page))
      const read = Object.fromEntries(again.sums())
      if (JSON.stringify(read) !== JSON.stringify(Object.fromEntries(page.sums())))
        throw new Error('other sums')
    }),
    { numRuns: runs(200) },
  )
  const page = AccountPage.empty(1)
  const name = new Name(1)
  for (let i = 0; i < 50; i++) page.set(name.of(`user${i}`), i)
  const good = packed(page)
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
        const read = AccountPage.unpack(1, cut)
        for (let i = 0; i < 60; i++) read.used(name.of(`user${i}`))
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        refused++
      }
    }),
    { numRuns: runs(500) },
  )
  t.ok(refused > 100, `${refused} were refused`)
  for (const piece of ['sums', 'names'] as const) {
    const cut = { ...good, [piece]: good[piece].subarray(0, -1) }
    t.throws(() => AccountPage.unpack(1, cut), RangeError, `${piece} cut short`)
    const none = { ...good, [piece]: Buffer.alloc(0) }
    t.throws(() => AccountPage.unpack(1, none), RangeError, `no ${piece}`)
  }
})

t.test('names are written once, and again when an account has come', async t => {
  const page = AccountPage.empty(1)
  const name = new Name(1)
  page.set(name.of('alice'), 1)
  const { names } = packed(page)
  page.noteWritten()
  page.set(name.of('alice'), 2)
  t.equal(page.pack().names, undefined)
  const read = AccountPage.unpack(1, { sums: page.pack().sums, names })
  t.same([...read.sums()], [['alice', 2]])
  read.set(name.of('alice'), 3)
  t.equal(read.pack().names, undefined, 'nor are those that were read')
  read.set(name.of('bob'), 1)
  t.same(
    [...AccountPage.unpack(1, packed(read)).sums()],
    [
      ['alice', 3],
      ['bob', 1],
    ],
  )
  read.noteWritten()
  t.equal(read.pack().names, undefined)
})

t.test('a page is read from wherever its bytes begin, and grows without a warning', async t => {
  const warnings: string[] = []
  const note = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const page = AccountPage.empty(1)
  const name = new Name(1)
  page.set(name.of('alice'), 1)
  const { sums, names } = packed(page)
  const moved = (bytes: Buffer): Buffer => Buffer.concat([Buffer.alloc(1), bytes]).subarray(1)
  for (const read of [
    AccountPage.unpack(1, { sums, names }),
    AccountPage.unpack(1, { sums: moved(sums), names: moved(names) }),
  ]) {
    for (let i = 0; i < 100; i++) read.set(name.of(`user${i}`), i)
    t.equal(read.used(name.of('alice')), 1)
    t.equal(read.used(name.of('user99')), 99)
  }
  await new Promise(resolve => setImmediate(resolve))
  t.same(warnings, [])
})

/** A copy of all that is in a page which has not been written yet. */
function packed(page: AccountPage): PackedAccounts {
  const { sums, names } = page.pack()
  return { sums: Buffer.from(sums), names: Buffer.from(names ?? Buffer.of(0, 0, 0, 0)) }
}

t.test('a copy that is taken at any moment can be gone on with', async t => {
  const folder = t.testdir({ copy: {} })
  const journal = new Journal(ledger(folder), true, START)
  for (let used = 1; used <= 30; used++) {
    write(journal, 'alice', used)
    cpSync(first(folder), first(join(folder, 'copy')))
    const copy = new Journal(ledger(join(folder, 'copy')), true, START)
    if (said(copy).length !== used * 2) t.fail(`${said(copy).length} lines after ${used}`)
  }
})

/** Writes a durable journal again and again. */
const TRIES = `
  const { Journal } = await import(process.argv[1])
  const { Name } = await import(process.argv[2])
  const journal = new Journal(process.argv[3], true, { file: 0, offset: 0 })
  let failed = 0
  for (let i = 0; i < 5; i++) {
    journal.record.sum('limit', '2026-11-20', new Name(0).of('alice'), i)
    try { journal.settle() } catch { failed++ }
  }
  console.log(failed)`

t.test('a disk that takes nothing more is not littered with empty files', async t => {
  const folder = t.testdir()
  const of = (path: string): string => new URL(`../../daemon/${path}`, import.meta.url).href
  // No file may have more than 100 KiB: the write fails, as on a full disk.
  const child = spawnSync(
    'bash',
    [
      '-c',
      'ulimit -f 100; trap "" XFSZ; exec "$0" --input-type=module -e "$@"',
      process.execPath,
      TRIES,
      of('store/journal.ts'),
      of('policy/name.ts'),
      ledger(folder),
    ],
    { encoding: 'utf8' },
  )
  t.equal(child.stdout, '5\n', child.stderr)
  t.same(readdirSync(folder), [], 'nothing is left behind')
})
