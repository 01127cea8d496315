/** Measures in force and on disk: what outlives the process, what ends, and what a damaged file costs. */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MeasureBook, MOST_MEASURES } from '../../daemon/measures/book.ts'
import type { Measure } from '../../daemon/policy/ports/measures.ts'

const NOON = Date.UTC(2026, 10, 20, 12)
const HOUR = 3_600_000
const DAY = 24 * HOUR

function place(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'measures-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'state/measures.json')
  const lines: string[] = []
  const log = {
    error: (message: string) => void lines.push(`error: ${message}`),
    event: (message: string, fields = {}) =>
      void lines.push(`${message} ${Object.values(fields).join(' ')}`.replace(/ +/g, ' ').trim()),
  }
  /** As a new process finds it. */
  const open = (now = NOON): MeasureBook => {
    const book = new MeasureBook(file, () => log)
    book.open(now)
    return book
  }
  return { folder, file, lines, open }
}

const head = (account: string, until?: number) => ({
  ...{ account, until, at: NOON, by: 'anna', why: 'hacked' },
})
const block = (account: string, until?: number): Measure => ({
  kind: 'block',
  ...head(account, until),
})
const allow = (account: string, ...countries: string[]): Measure => ({
  ...{ kind: 'allow', ...head(account, NOON + DAY), countries },
})
const limit = (account: string, window: string, threshold: number): Measure => ({
  ...{ kind: 'limit', ...head(account, NOON + DAY), window, threshold },
})

t.test('what is ordered is in force at once, and in a new process', async t => {
  const { file, open } = place(t)
  const book = open()
  t.equal(book.isEmpty, true)
  t.notOk(existsSync(file), 'nobody has ordered anything')
  book.order(block('alice'), NOON)
  book.order(allow('alice', 'ES', 'PT'), NOON)
  book.order(limit('alice', 'day', 5000), NOON)
  book.order(limit('alice', '1h', Number.POSITIVE_INFINITY), NOON)
  for (const one of [book, open()]) {
    t.equal(one.isEmpty, false)
    t.match(one.of('alice', NOON), {
      block: { by: 'anna', why: 'hacked', at: NOON },
      allow: { countries: ['ES', 'PT'], until: NOON + DAY },
      limits: [
        { window: '1h', threshold: Number.POSITIVE_INFINITY },
        { window: 'day', threshold: 5000 },
      ],
    })
    t.equal(one.of('bob', NOON), undefined)
  }
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.strictSame(readdirSync(join(file, '..')), ['measures.json'], 'nothing is left beside it')
})

t.test('another order of the same kind replaces the former one, which ends', async t => {
  const { open, lines } = place(t)
  const book = open()
  book.order(block('alice'), NOON)
  t.match(book.order(block('alice', NOON + HOUR), NOON + 1), [{ until: undefined }])
  book.order(limit('alice', 'day', 10), NOON)
  t.strictSame(book.order(limit('alice', '1h', 3), NOON), [], 'another window is another limit')
  t.match(book.order(limit('alice', 'day', 20), NOON), [{ threshold: 10 }])
  t.equal(open().inForce(NOON).length, 3)
  t.match(open().ended, [
    { how: 'replaced', endedBy: 'anna', endedAt: NOON + 1, measure: { kind: 'block' } },
    { how: 'replaced', measure: { kind: 'limit', threshold: 10 } },
  ])
  t.match(lines.slice(0, 3), [
    'measure ordered alice block anna hacked',
    'measure replaced alice block anna hacked anna',
    'measure ordered alice block 2026-11-20T13:00:00.000Z anna hacked',
  ])
})

t.test('release ends all measures of the account, and of no other', async t => {
  const { open } = place(t)
  const book = open()
  for (const one of [block('alice'), block('bob'), allow('alice', 'ES')]) book.order(one, NOON)
  t.match(book.release('alice', 'bert', NOON + HOUR), [{ kind: 'block' }, { kind: 'allow' }])
  t.strictSame(book.release('alice', 'bert', NOON + HOUR), [])
  t.equal(open().of('alice', NOON + HOUR), undefined)
  t.match(open().of('bob', NOON + HOUR), { block: {} })
  t.match(open().ended, [
    { how: 'released', endedBy: 'bert', endedAt: NOON + HOUR },
    { how: 'released', endedBy: 'bert' },
  ])
})

t.test('a measure ends at its moment by itself, and then in the records', async t => {
  const { open, lines } = place(t)
  const book = open()
  book.order(block('alice', NOON + HOUR), NOON)
  book.order(allow('alice', 'ES'), NOON)
  t.match(book.of('alice', NOON + HOUR - 1), { block: {}, allow: {} })
  t.match(book.of('alice', NOON + HOUR), { block: undefined, allow: {} })
  t.equal(book.of('alice', NOON + DAY), undefined)
  t.equal(book.inForce(NOON + HOUR).length, 1)
  t.strictSame(book.ended, [], 'not recorded yet')
  book.keep(NOON + HOUR + 5000)
  book.keep(NOON + HOUR + 6000)
  t.match(open().ended, [{ how: 'expired', endedAt: NOON + HOUR, endedBy: '' }])
  t.equal(lines.filter(line => line.startsWith('measure expired')).length, 1)
  t.match(open().of('alice', NOON), { block: undefined }, 'a clock that is set back brings nothing')
})

t.test('an account is the same with and without the default domain', async t => {
  const { open } = place(t)
  const book = open()
  book.order(block('alice@example.org'), NOON)
  t.equal(book.of('alice', NOON), undefined)
  book.foldWith('example.org')
  t.match(book.of('alice', NOON), { block: {} })
  t.match(book.of('alice@example.org', NOON), { block: {} })
  t.equal(book.of('alice@example.net', NOON), undefined)
  t.equal(book.release('alice', 'anna', NOON).length, 1)
})

t.test('a reset is recorded, and is never in force', async t => {
  const { open } = place(t)
  const windows = ['day', '1h']
  const book = open()
  book.note({ kind: 'reset', ...head('alice'), until: undefined, windows })
  t.equal(open().isEmpty, true)
  t.match(open().ended, [{ how: 'done', measure: { kind: 'reset', windows } }])
})

t.test('records are kept for 90 days', async t => {
  const { open } = place(t)
  const book = open()
  book.order(block('alice', NOON + HOUR), NOON)
  book.order(block('bob', NOON + 91 * DAY), NOON)
  book.keep(NOON + HOUR)
  book.keep(NOON + 91 * DAY)
  t.match(open().ended, [{ measure: { account: 'bob' } }])
  t.equal(open().ended.length, 1)
})

t.test('ten thousand measures are in force, and not one more', async t => {
  const { file, open } = place(t)
  const at = new Date(NOON).toISOString()
  const measures = Array.from({ length: MOST_MEASURES }, (_, i) => {
    return { kind: 'block', account: `user${i}`, at, by: 'anna', why: '' }
  })
  mkdirSync(join(file, '..'))
  writeFileSync(file, JSON.stringify({ version: 1, measures, ended: [] }))
  const book = open()
  t.match(book.of('user9999', NOON), { block: { account: 'user9999' } })
  t.throws(() => book.order(block('one-more'), NOON), /there are 10000 measures already; release/)
  t.equal(book.of('one-more', NOON), undefined)
  book.order(block('user7', NOON + HOUR), NOON)
  t.equal(open().inForce(NOON).length, MOST_MEASURES, 'another order for one of them')
  for (let i = 0; i < 3; i++) book.release(`user${i}`, 'anna', NOON)
  book.order(block('one-more'), NOON)
  t.match(open().of('one-more', NOON), { block: {} })
})

const GOOD = '{"kind":"block","account":"a","at":"2026-11-20T12:00:00Z","by":"","why":""}'
for (const [what, text, why] of [
  ['nothing', '', 'it is not JSON'],
  ['half a file', '{"version": 1, "measures": [', 'it is not JSON'],
  ['another file', '[]', 'the file is not an object'],
  ['no version', '{"measures":[],"ended":[]}', 'expected "version": 1'],
  ['a later version', '{"version":2}', 'a later version of this program has written it (2)'],
  ['no list', '{"version":1,"measures":{},"ended":[]}', '"measures" is not a list'],
  [
    'a measure of no account',
    `{"version":1,"measures":[${GOOD.replace('"a"', '""')}],"ended":[]}`,
    '"account" is empty',
  ],
  [
    'a moment that is none',
    `{"version":1,"measures":[${GOOD.replace('2026-11', '2026-13')}],"ended":[]}`,
    '"at" is not a time',
  ],
  [
    'a kind that is none',
    `{"version":1,"measures":[${GOOD.replace('block', 'bless')}],"ended":[]}`,
    '"kind": expected',
  ],
  [
    'a limit that is no number',
    `{"version":1,"measures":[${GOOD.replace('"block"', '"limit","window":"day","threshold":"-1"')}],"ended":[]}`,
    '"threshold" is not a whole number',
  ],
] as const) {
  t.test(`a file with ${what} is set aside, and the next order begins another`, async t => {
    const { file, lines, open } = place(t)
    mkdirSync(join(file, '..'))
    writeFileSync(file, text)
    const book = open()
    const aside = `${file}.damaged-20261120T120000Z`
    t.equal(readFileSync(aside, 'utf8'), text)
    t.ok(book.isEmpty)
    t.equal(book.problem, lines[0]?.replace('error: ', ''))
    t.match(book.problem, `${file} could not be used: ${why}`)
    t.match(book.problem, `It is ${aside} now; no measure of it is in force`)
    book.order(block('alice'), NOON)
    t.match(open().of('alice', NOON), { block: {} })
    t.equal(readFileSync(aside, 'utf8'), text, 'it is still there')
  })
}

t.test('a file that cannot be read is not replaced, and is in force once it can be', async t => {
  const { file, lines, open } = place(t)
  open().order(block('alice'), NOON)
  const text = readFileSync(file, 'utf8')
  // A folder with its name: root can read any file.
  rmSync(file)
  mkdirSync(file)
  const book = open()
  t.match(book.problem, /no measure is in force, and none can be ordered: cannot read .*EISDIR/)
  t.match(lines.at(-1), /^error: no measure is in force/)
  t.throws(() => book.order(block('bob'), NOON), /cannot read/)
  t.throws(() => book.keep(NOON), /cannot read/)
  rmSync(file, { recursive: true })
  writeFileSync(file, text)
  book.order(block('bob'), NOON)
  t.equal(book.problem, undefined)
  t.match(open().inForce(NOON), [{ account: 'alice' }, { account: 'bob' }])
})

t.test('a file that is deleted or replaced while in use is written again', t => {
  const { file, lines, open } = place(t)
  const book = open()
  book.keep(NOON)
  t.notOk(existsSync(file), 'there is nothing to write')
  book.order(block('alice'), NOON)
  rmSync(file)
  book.keep(NOON)
  t.match(open().of('alice', NOON), { block: {} })
  t.match(lines.at(-1), /^error: .*deleted or replaced while in use; it was written again$/)
  const number = lines.length
  book.keep(NOON)
  t.equal(lines.length, number, 'it is said once')
  writeFileSync(`${file}.other`, 'rubbish')
  renameSync(`${file}.other`, file)
  book.keep(NOON)
  t.match(open().of('alice', NOON), { block: {} })
  t.end()
})

t.test('what cannot be written is not in force, and what is in force stays', async t => {
  const { file, lines, open } = place(t)
  const book = open()
  book.order(block('alice', NOON + HOUR), NOON)
  const text = readFileSync(file, 'utf8')
  const logged = lines.length
  mkdirSync(join(`${file}.new`, 'x'), { recursive: true })
  t.throws(() => book.order(block('bob'), NOON), /nothing was changed: cannot write /)
  t.throws(() => book.release('alice', 'anna', NOON), /nothing was changed/)
  t.equal(book.of('bob', NOON), undefined)
  t.match(book.of('alice', NOON), { block: {} })
  t.throws(() => book.keep(NOON + HOUR), /nothing was changed/)
  t.equal(book.of('alice', NOON + HOUR), undefined, 'it has ended all the same')
  t.equal(readFileSync(file, 'utf8'), text)
  t.equal(lines.length, logged, 'nothing is reported that has not happened')
  rmSync(`${file}.new`, { recursive: true })
  book.order(block('bob'), NOON)
  t.match(open().of('bob', NOON), { block: {} })
})
