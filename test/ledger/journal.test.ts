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
import type { Decided } from '../../daemon/ledger/decided.ts'
import { Journal } from '../../daemon/ledger/journal.ts'
import { JOURNAL_FILE_BYTES } from '../../daemon/ledger/journal-files.ts'
import { type CountingPeriod, Periods } from '../../daemon/ledger/period.ts'
import { runs } from '../support/fuzz.ts'

const START = { file: 0, offset: 0 }
const now = Date.UTC(2026, 10, 20, 12)
const HOUR = 3_600_000
const periods = new Periods()
const TODAY = periods.named('limit', '2026-11-20')

/** Where something is counted. */
interface Place {
  readonly period: CountingPeriod
  readonly bucket: number
  readonly subject: string
}

function write(journal: Journal, account: string, used: number, instance = `m${used}`): void {
  journal.record.sum(TODAY, 0, account, used, now)
  decide(journal, `${account} ${instance}`)
  journal.settle()
}

function decide(journal: Journal, message: string, period = TODAY): void {
  const entries = [{ period, bucket: 0, subject: 'alice', amount: 1 }]
  const decided: Decided = {
    accepted: true,
    refusedBy: '',
    stage: 'END-OF-MESSAGE',
    at: now,
    queue: '',
    entries,
  }
  journal.record.decision(message, decided, true)
}

/** Everything in the journal, in words. */
function said(journal: Journal, most = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = []
  journal.read(START, most, {
    periods,
    sum: ({ counter, name }, _, account, used) =>
      lines.push(`${counter} ${name} ${textOf(account)} ${used}`),
    decision: (message, { entries }) => lines.push(`${textOf(message)} ${entries[0]?.amount}`),
  })
  return lines
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const ledger = (folder: string): string => join(folder, 'ledger.sqlite')
const first = (folder: string): string => join(folder, 'ledger.journal-0')

t.test('what was settled is read again, in its order', async t => {
  for (const durability of ['normal', 'full'] as const) {
    const folder = t.testdir()
    const journal = new Journal(ledger(folder), durability, START)
    write(journal, 'alice', 1)
    write(journal, 'bob', 2)
    journal.record.sum(TODAY, 0, 'never settled', 3, now)
    const expected = [
      'limit 2026-11-20 alice 1',
      'alice m1 1',
      'limit 2026-11-20 bob 2',
      'bob m2 1',
    ]
    const next = new Journal(ledger(folder), durability, START)
    t.same(said(next), expected)
    write(next, 'carol', 3)
    const last = new Journal(ledger(folder), durability, START)
    t.same(said(last).slice(4), ['limit 2026-11-20 carol 3', 'carol m3 1'])
    t.equal(last.loss, undefined)
    t.equal(statSync(first(folder)).mode & 0o777, 0o600)
  }
})

t.test('a file that ends anywhere is read up to its last whole record', async t => {
  const folder = t.testdir()
  const path = first(folder)
  const journal = new Journal(ledger(folder), 'normal', START)
  const ends: number[] = []
  for (let used = 1; used <= 5; used++) {
    write(journal, 'alice', used)
    ends.push(statSync(path).size)
  }
  const whole = readFileSync(path)
  for (let size = whole.length; size >= 0; size--) {
    truncateSync(path, size)
    const cut = new Journal(ledger(folder), 'normal', START)
    const expected = ends.filter(end => end <= size).length
    if (said(cut).length !== 2 * expected) t.fail(`${said(cut).length / 2} at ${size}`)
    if (size % 40 !== 0) continue
    // What comes next is read too, and nothing of what was cut.
    write(cut, 'next', 9)
    t.same(said(new Journal(ledger(folder), 'normal', START)).slice(2 * expected), [
      'limit 2026-11-20 next 9',
      'next m9 1',
    ])
    writeFileSync(path, whole)
  }
})

t.test('a damaged record costs itself, and the operator is told', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
  write(journal, 'alice', 1)
  const size = statSync(first(folder)).size
  write(journal, 'bob', 2)
  write(journal, 'carol', 3)
  const bytes = readFileSync(first(folder))
  bytes.writeUInt8(0x5a, size + 30)
  writeFileSync(first(folder), bytes)
  const next = new Journal(ledger(folder), 'normal', START)
  t.match(next.loss, /ledger\.journal-0 was damaged/)
  t.same(
    said(next).filter(line => line.includes(' m')),
    ['alice m1 1', 'carol m3 1'],
  )
})

t.test('what is behind a wrong length or a gap is still found, and it is said', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
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
    const next = new Journal(ledger(folder), 'normal', START)
    t.equal(messages(next), expected, what)
    t.match(next.loss, /ledger\.journal-0 was damaged: counts of the last minutes/, what)
    t.equal(next.place.offset, bytes.length, `${what}: it goes on behind the last record`)
    write(next, 'dave', 4)
    t.equal(messages(new Journal(ledger(folder), 'normal', START)), `${expected} m4`, what)
  }
  // Nobody has heard an answer that rests on what was never whole.
  for (const rest of [Buffer.alloc(4096), noise, half]) {
    writeFileSync(first(folder), Buffer.concat([whole, rest]))
    const next = new Journal(ledger(folder), 'normal', START)
    t.equal(messages(next), 'm1 m2 m3')
    t.equal(next.loss, undefined, 'behind the last record nothing is missed')
    next.close()
  }
})

t.test('a journal that is gone is missed, and its numbers do not come again', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
  write(journal, 'alice', 1)
  const { place } = journal
  rmSync(first(folder))
  t.equal(journal.isDetached, true)
  const next = new Journal(ledger(folder), 'normal', place)
  t.match(next.loss, /is missing/)
  write(next, 'bob', 2)
  t.ok(next.place.file > place.file)
  t.equal(next.isDetached, false)
})

t.test('of decisions the newest are read, in whole records, from however many files', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
  const large = 'x'.repeat(60_000)
  for (let used = 1; used <= 200; used++) write(journal, 'alice', used, `${large}${used}`)
  decide(journal, 'one of two')
  decide(journal, 'two of two')
  journal.settle()
  t.ok(journal.place.file > 2, `${journal.place.file} files`)
  const newest = (most: number) =>
    said(new Journal(ledger(folder), 'normal', START), most)
      .filter(line => !line.startsWith('limit'))
      .map(line => line.replaceAll('x', ''))
  t.same(newest(0), [])
  t.same(newest(1), ['one of two 1', 'two of two 1'])
  t.same(newest(3), ['alice 200 1', 'one of two 1', 'two of two 1'])
  t.equal(newest(150)[0], 'alice 53 1')
  t.equal(newest(202)[0], 'alice 1 1')
  t.equal(newest(1000).length, 202)
})

t.test(
  'a decision is what it was: of which periods, and when; whose, and who refused it',
  async t => {
    const folder = t.testdir()
    const journal = new Journal(ledger(folder), 'normal', START)
    const hour = periods.named('hour', '~60000')
    const month = periods.named('volume', '2026-11-01')
    const of = (period: CountingPeriod, bucket: number, subject: string, amount: number) => ({
      period,
      bucket,
      subject,
      amount,
    })
    const none = { refusedBy: '', queue: '', entries: [] }
    const all: [string, Decided][] = [
      [
        'm1\nalice',
        { ...none, accepted: true, stage: 'DATA', at: now, entries: [of(TODAY, 0, 'alice', 3)] },
      ],
      [
        'm2\nbob@example.org',
        {
          accepted: true,
          refusedBy: '',
          stage: 'END-OF-MESSAGE',
          at: now + 1.5,
          queue: '4bXyz\n192.0.2.7',
          entries: [
            of(hour, 0xffffffff, 'bob@example.org', 2 ** 40),
            of(month, 0, 'example.org', 0),
            of(TODAY, 0, '', 1),
            of(hour, 0, 'b\nbob@example.org', 1),
          ],
        },
      ],
      ['m3\n', { ...none, accepted: false, refusedBy: 'hour', stage: 'DATA', at: 0 }],
      ['m4\n', { ...none, accepted: true, stage: 'DATA', at: now, entries: [of(hour, 7, '', 1)] }],
      [
        'no account',
        { ...none, accepted: true, stage: 'DATA', at: now, entries: [of(hour, 7, 'x', 1)] },
      ],
      [
        `${'ä'.repeat(40_000)}\nal`,
        { ...none, accepted: true, stage: 'DATA', at: now, entries: [of(hour, 1, 'al', 1)] },
      ],
    ]
    for (const [message, decided] of all) journal.record.decision(message, decided, true)
    journal.settle()
    const read: [string, Decided][] = []
    new Journal(ledger(folder), 'normal', START).read(START, 10, {
      periods,
      decision: (message, decided) => read.push([textOf(message), decided]),
    })
    t.same(read.slice(0, -1), all.slice(0, -1))
    t.equal(read.at(-1)?.[0].length, 0xfffe / 2, 'a name that is too long is cut')
    t.same(read.at(-1)?.[1], all.at(-1)?.[1], 'and nothing else')
    t.equal(read[0]?.[1].entries[0]?.period, TODAY, 'the very period')
  },
)

t.test('what is in the buckets of a window is read with the time it was told', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
  const minute = periods.named('minute', '~1000')
  journal.record.sum(minute, 4_000_000_000, 'alice', 2, now)
  journal.record.sum(TODAY, 0, 'alice', 3, now + 1)
  journal.record.sum(minute, 17, 'bob', 2 ** 50, now + 2)
  const { byteLength } = journal.record
  journal.settle()
  const read: unknown[] = []
  new Journal(ledger(folder), 'normal', START).read(START, 10, {
    periods: new Periods(),
    sum: ({ counter, name }, bucket, subject, used, at) =>
      read.push([counter, name, bucket, textOf(subject), used, at - now]),
  })
  t.same(read, [
    ['minute', '~1000', 4_000_000_000, 'alice', 2, 2],
    ['limit', '2026-11-20', 0, 'alice', 3, 2],
    ['minute', '~1000', 17, 'bob', 2 ** 50, 2],
  ])
  t.ok(byteLength < 150, `a period is named once: ${byteLength} bytes`)
})

t.test('a message has the sums that it made; others precede it', async t => {
  const hour = periods.named('hour', '~60000')
  const accepted = { accepted: true, refusedBy: '', stage: 'DATA', at: now, queue: '' } as const
  const place = fc.record({
    period: fc.constantFrom(TODAY, hour, periods.named('domain', '2026-11-20')),
    bucket: fc.constantFrom(0, 7),
    subject: fc.constantFrom('alice', 'example.org', 'jörg', 'x'.repeat(200)),
  })
  const counted = { used: fc.maxSafeNat(), at: fc.constantFrom(0, 0, 0, 1, 2, -5000) }
  const turn = fc.record({
    message: fc.constantFrom('m\nalice', 'm\njörg', `m\n${'x'.repeat(200)}`),
    entries: fc.array(fc.record({ place, amount: fc.nat(), isTold: fc.boolean(), ...counted })),
    others: fc.array(fc.record({ place, ...counted }), { maxLength: 2 }),
    areOthersFirst: fc.boolean(),
    isLast: fc.boolean(),
  })
  const placed = ({ period, bucket, subject }: Place): string =>
    `${period.counter} ${period.bucketMilliseconds > 0 ? bucket : 0} ${subject}`
  const folder = t.testdir()
  let tries = 0
  const holds = fc.property(fc.array(turn, { minLength: 1 }), turns => {
    const path = join(folder, `ledger${tries++}.sqlite`)
    const journal = new Journal(path, 'normal', START)
    const told: string[] = []
    for (const { message, entries, others, areOthersFirst, isLast } of turns) {
      const own = entries.filter(({ isTold }) => isTold)
      for (const sum of areOthersFirst ? [...others, ...own] : [...own, ...others]) {
        const { period, bucket, subject } = sum.place
        journal.record.sum(period, bucket, subject, sum.used, now + sum.at)
        told.push(`${placed(sum.place)} ${sum.used}`)
      }
      const counts = entries.map(({ place, amount }) => ({ ...place, amount }))
      journal.record.decision(message, { ...accepted, entries: counts }, true)
      told.push([message, ...counts.map(one => `${placed(one)} ${one.amount}`)].join())
      if (isLast) journal.settle()
    }
    journal.settle()
    journal.close()
    const read: string[] = []
    new Journal(path, 'normal', START).read(START, 1000, {
      periods,
      sum: (period, bucket, subject, used) =>
        read.push(`${placed({ period, bucket, subject: textOf(subject) })} ${used}`),
      decision: (message, { entries }) =>
        read.push([textOf(message), ...entries.map(one => `${placed(one)} ${one.amount}`)].join()),
    })
    for (const name of readdirSync(folder)) rmSync(join(folder, name))
    t.strictSame(read, told)
    return t.passing()
  })
  fc.assert(holds, { numRuns: runs(100) })
})

t.test(
  'sums of a message are read with the time it was counted, also when the clock goes back',
  async t => {
    const folder = t.testdir()
    const journal = new Journal(ledger(folder), 'normal', START)
    for (const at of [now, now + 5, now - HOUR, now - HOUR + 1]) {
      journal.record.sum(TODAY, 0, 'alice', 1, at)
      decide(journal, 'm\nalice')
    }
    journal.settle()
    const read: number[] = []
    new Journal(ledger(folder), 'normal', START).read(START, 10, {
      periods,
      sum: (_period, _bucket, _subject, _used, at) => read.push(at - now),
    })
    t.same(read, [5, 5, -HOUR, -HOUR], 'or a turn earlier')
  },
)

t.test('changes are read with the message that they were made for, or by themselves', async t => {
  const week = periods.named('week', '2026-11-16')
  const counted = (inBucket: number) =>
    [TODAY, week].map(period => ({
      ...{ period, bucket: 0, subject: 'alice', amount: 1 },
      ...{ growth: 1, limit: 9, used: inBucket, inBucket },
    }))
  const judged: Omit<Decided, 'entries'> = {
    ...{ accepted: true, refusedBy: '', stage: 'DATA', at: now, queue: '' },
  }
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
  const { record } = journal
  const [one, two, three, four] = [counted(1), counted(2), counted(3), counted(4)]
  record.sums(one, now)
  record.decision('a\nalice', { ...judged, entries: one }, true)
  record.sums(two, now)
  record.sums(three, now - HOUR)
  record.decision('b\nalice', { ...judged, entries: [...three] }, true)
  record.sums(four, now)
  record.sum(TODAY, 0, 'alice', 5, now)
  journal.settle()
  record.sums(counted(6), now)
  t.notOk(record.isEmpty)
  journal.settle()
  journal.close()
  t.same(said(new Journal(ledger(folder), 'normal', START)), [
    ...['limit 2026-11-20 alice 1', 'week 2026-11-16 alice 1', 'a\nalice 1'],
    ...['limit 2026-11-20 alice 2', 'week 2026-11-16 alice 2'],
    ...['limit 2026-11-20 alice 3', 'week 2026-11-16 alice 3', 'b\nalice 1'],
    ...['limit 2026-11-20 alice 4', 'week 2026-11-16 alice 4', 'limit 2026-11-20 alice 5'],
    ...['limit 2026-11-20 alice 6', 'week 2026-11-16 alice 6'],
  ])
})

t.test('a record may have any number of periods', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
  const many = Array.from({ length: 400 }, (_, i) => periods.named(`limit ${i}`, '~1000'))
  for (const period of many) journal.record.sum(period, 1, 'alice', 1, now)
  const entries = many.map(period => ({ period, bucket: 1, subject: 'alice', amount: 1 }))
  const accepted = { accepted: true, refusedBy: '', stage: 'DATA', at: now, queue: '' } as const
  journal.record.decision('m\nalice', { ...accepted, entries }, true)
  journal.settle()
  let sums = 0
  let decided: Decided | undefined
  new Journal(ledger(folder), 'normal', START).read(START, 10, {
    periods,
    sum: period => {
      if (period !== many[sums++]) t.fail(`another period: ${period.counter}`)
    },
    decision: (_, one) => {
      decided = one
    },
  })
  t.equal(sums, 400)
  t.same(decided?.entries, entries)
})

t.test('what another format has left in a file is not read behind what is written now', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
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
  const next = new Journal(ledger(folder), 'normal', START)
  t.same(said(next), [])
  write(next, 'alice', 100)
  const last = new Journal(ledger(folder), 'normal', START)
  t.equal(last.loss, undefined)
  t.same(said(last), ['limit 2026-11-20 alice 100', 'alice m100 1'])
})

t.test('a copy that somebody has put beside it is not the journal, and stays as it is', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
  write(journal, 'alice', 1)
  const copy = `${first(folder)}-20261129`
  cpSync(first(folder), copy)
  write(journal, 'alice', 2)
  const before = readFileSync(copy)
  const next = new Journal(ledger(folder), 'normal', START)
  t.equal(next.loss, undefined)
  t.same(said(next).at(-2), 'limit 2026-11-20 alice 2')
  write(next, 'alice', 3)
  t.same(readFileSync(copy), before)
})

t.test('files are used again, and nothing of their former use is read', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
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
  const sums = said(new Journal(ledger(folder), 'normal', START)).filter(line =>
    /^limit/.test(line),
  )
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
    const journal = new Journal(ledger(state), 'normal', START)
    renameSync(state, join(folder, 'away'))
    journal.record.sum(TODAY, 0, 'alice', 1, now)
    t.throws(() => journal.settle(), /ENOENT/)
    journal.record.sum(TODAY, 0, 'alice', 2, now)
    renameSync(join(folder, 'away'), state)
    journal.settle()
    t.same(said(journal), ['limit 2026-11-20 alice 1', 'limit 2026-11-20 alice 2'])

    const other = new Journal(
      join(folder, 'gone/ledger.sqlite').replace('gone', 'state'),
      'normal',
      START,
    )
    rmSync(state, { recursive: true })
    for (let i = 0; i < 300; i++) decide(other, 'x'.repeat(5000))
    t.throws(() => other.settle(), /ENOENT/)
    t.ok(other.hasDropped && other.record.isEmpty)
  },
)

t.test('files of the journal with anything in them are read, or passed over', async t => {
  const folder = t.testdir()
  const journal = new Journal(ledger(folder), 'normal', START)
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
      said(new Journal(ledger(folder), 'normal', START))
    }),
    { numRuns: runs(300) },
  )
})

t.test('a copy that is taken at any moment can be gone on with', async t => {
  const folder = t.testdir({ copy: {} })
  const journal = new Journal(ledger(folder), 'full', START)
  for (let used = 1; used <= 30; used++) {
    write(journal, 'alice', used)
    cpSync(first(folder), first(join(folder, 'copy')))
    const copy = new Journal(ledger(join(folder, 'copy')), 'full', START)
    if (said(copy).length !== used * 2) t.fail(`${said(copy).length} lines after ${used}`)
  }
})

/** Writes a durable journal again and again. */
const TRIES = `
  const { Journal } = await import(process.argv[1])
  const journal = new Journal(process.argv[2], 'full', { file: 0, offset: 0 })
  const period = { counter: 'limit', name: '2026-11-20', bucketMilliseconds: 0 }
  let failed = 0
  for (let i = 0; i < 5; i++) {
    journal.record.sum(period, 0, 'alice', i, 0)
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
      of('ledger/journal.ts'),
      ledger(folder),
    ],
    { encoding: 'utf8' },
  )
  t.equal(child.stdout, '5\n', child.stderr)
  t.same(readdirSync(folder), [], 'nothing is left behind')
})
