/**
 * What is logged, and where to: values that come from outside stay values, and a reader that does
 * not read costs lines, never an answer.
 */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type Destination, openDestination } from '../../daemon/log/destination.ts'
import { LineBuffer } from '../../daemon/log/line-buffer.ts'
import { addVerdict, logfmtFields, logfmtValue } from '../../daemon/log/logfmt.ts'
import { openLog } from '../../daemon/log/logger.ts'
import { factName } from '../../daemon/policy/facts.ts'
import { Hearing } from '../../daemon/policy/hearing.ts'
import { LedgerEvents } from '../../daemon/policy/ledger-event.ts'
import type { Log } from '../../daemon/policy/ports/log.ts'
import { PolicyRequest } from '../../daemon/policy/request.ts'
import { withCode } from '../../daemon/policy/verdict.ts'
import { VerdictRecord, verdictFields, type Why } from '../../daemon/policy/verdict-record.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { runs } from '../support/fuzz.ts'
import { until } from '../support/policy-client.ts'

/** A reader of logfmt written from its rules, not from our writer. */
function readLogfmt(line: string): [string, string][] {
  const pairs: [string, string][] = []
  const pair = /([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"=]*))(?: |$)/gy
  let end = 0
  for (let match = pair.exec(line); match; match = pair.exec(line)) {
    const [, name = '', quoted, plain = ''] = match
    pairs.push([name, quoted === undefined ? plain : unescaped(quoted)])
    end = pair.lastIndex
  }
  assert.equal(end, line.length, `all of ${JSON.stringify(line)} is pairs`)
  return pairs
}

const NAMED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-f]{2})|u\{([0-9a-f]+)\}|(.))/gs,
    (_whole, byte?: string, code?: string, other?: string) =>
      other === undefined
        ? String.fromCodePoint(Number.parseInt(byte ?? code ?? '', 16))
        : (NAMED[other] ?? other),
  )
}

const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom(...'"\\ =\n\r\t\0', 'a', 'x0', '\u2028', '\u202e', '\x85', '\u{e0001}'),
  }),
)

t.test('no value can look like another field or another line', async t => {
  fc.assert(
    fc.property(nasty, nasty, (user, client) => {
      const line = logfmtFields({ user, client, verdict: 'dunno', rcpt: 3, by: undefined })
      assert.deepEqual(readLogfmt(line), [
        ['user', user.toWellFormed()],
        ['client', client.toWellFormed()],
        ['verdict', 'dunno'],
        ['rcpt', '3'],
      ])
      assert.ok(!/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line), 'nothing that a terminal obeys')
    }),
    { numRuns: runs(1000) },
  )
  t.equal(logfmtValue('alice@example.org'), 'alice@example.org', 'what is plain is not quoted')
  t.equal(logfmtValue(''), '""')
  t.equal(logfmtValue('x verdict=ok'), '"x verdict=ok"')
})

const textOf = ({ bytes, length }: LineBuffer): string => bytes.toString('utf8', 0, length)

interface Described {
  readonly attributes: Readonly<Record<string, string>>
  readonly facts: Readonly<Record<string, string | number>>
  readonly decided?: string | undefined
  readonly sent?: string | undefined
  readonly code?: string
  readonly observed?: string | undefined
  readonly by: string
  readonly why: Why
  readonly ms: number
}

const quiet = { debug: 0 } as Log

/** A record as it is when its answer has left. */
function recordOf(told: Described): VerdictRecord {
  const { attributes, facts, decided, sent, code = '', observed, by, why, ms } = told
  const request = new PolicyRequest(new Map(Object.entries(attributes)), { id: 1, endpoint: '1' })
  const options = {
    log: quiet,
    clock: systemClock,
    isTraced: false,
    events: new LedgerEvents(),
    ledger: undefined,
    defaultDomain: '',
    cannotTakeBack: () => undefined,
  }
  const hearing = new Hearing(options, request, 'host', 0)
  hearing.endedAt = ms
  Object.assign(hearing.facts, facts)
  if (observed !== undefined) hearing.object({ action: observed, by })
  const decision = decided === undefined ? undefined : { action: decided, by }
  const names = { client: [factName('country')], decision: [factName('used'), factName('limit')] }
  // As it is when it is sent (policy/judged.ts).
  const coded = code === '' ? sent : withCode(sent ?? '', code)
  return new VerdictRecord(systemClock, hearing, decision, coded, why, names, code)
}

t.test('the line of a verdict says what any other line of its fields would', async t => {
  const number = fc.oneof(fc.nat(2000), fc.maxSafeInteger(), fc.double())
  const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined })
  const fields = fc.record({
    attributes: fc.record({
      instance: fc.oneof(nasty, fc.constant('1a2b.6a1b.0')),
      sasl_username: nasty,
      client_address: nasty,
      recipient_count: fc.nat().map(String),
      size: fc.nat().map(String),
    }),
    facts: fc.record(
      { country: nasty, used: number, limit: fc.oneof(number, fc.constant('unlimited')) },
      { requiredKeys: [] },
    ),
    decided: optional(nasty),
    sent: optional(nasty),
    code: fc.constantFrom('', 'K3F-9QT'),
    observed: optional(nasty),
    by: nasty,
    why: fc.constantFrom<Why>('decided', 'observed', 'late', 'failed', 'uncounted', 'gone'),
  })
  const line = new LineBuffer(1)
  fc.assert(
    fc.property(fields, fc.integer({ min: 0, max: 2 ** 39 }), (verdict, microseconds) => {
      line.cutTo(0)
      line.text('é')
      const record = recordOf({ ...verdict, ms: microseconds / 1000 })
      addVerdict(line, record)
      const { ms: _, ...others } = verdictFields(record)
      const ms = (microseconds / 1000).toFixed(3)
      assert.equal(textOf(line), `é${logfmtFields(others)} ms=${ms}`.toWellFormed())
    }),
    { numRuns: runs(1000) },
  )
  for (const time of [-0.001, Number.NaN, 1e10]) {
    line.cutTo(0)
    line.milliseconds(time)
    t.equal(textOf(line), String(time), 'a time that no request takes is said as it is')
  }
})

/** A destination that only collects. */
function collected(): { lines: string[]; destination: Destination } {
  const lines: string[] = []
  const destination: Destination = {
    write: line => void lines.push(line),
    compose(put) {
      const line = new LineBuffer(1)
      put(line)
      lines.push(textOf(line))
    },
    dropped: 0,
    flush: () => Promise.resolve(),
    redirect: () => Promise.resolve(),
  }
  return { lines, destination }
}

const verdict = recordOf({
  attributes: {
    instance: 'a.1',
    sasl_username: 'alice b',
    client_address: '192.0.2.1',
    recipient_count: '2',
    size: '100',
  },
  facts: { country: 'DE', used: 3, limit: 'unlimited' },
  sent: 'dunno',
  by: '',
  why: 'decided',
  ms: 0.5,
})

t.test(
  'a verdict line says what was sent, and what was decided where that is something else',
  async t => {
    const attributes = { instance: 'a.1', sasl_username: 'alice', recipient_count: '1' }
    const one = { attributes, facts: {}, by: 'limit', ms: 1 }
    const lines = [
      recordOf({ ...one, decided: 'reject no', sent: 'reject no', why: 'decided' }),
      recordOf({ ...one, observed: 'reject no', sent: 'dunno', why: 'observed' }),
      recordOf({ ...one, decided: 'reject no', sent: 'defer later', why: 'uncounted' }),
      recordOf({ ...one, decided: 'reject no', why: 'gone' }),
      recordOf({ ...one, why: 'late' }),
    ].map(record => {
      const line = new LineBuffer(1)
      addVerdict(line, record)
      return textOf(line).replace(/^.* size=0 /, '')
    })
    t.strictSame(lines, [
      'verdict="reject no" by=limit ms=1.000',
      'verdict=dunno observed="reject no" by=limit ms=1.000',
      'verdict="defer later" why=uncounted decided="reject no" by=limit ms=1.000',
      'why=gone decided="reject no" by=limit ms=1.000',
      'why=late by="" ms=1.000',
    ])
  },
)

async function everything(debug: number, format: 'logfmt' | 'json', priorities: boolean) {
  const { lines, destination } = collected()
  const log = await openLog(destination, { debug, format, priorities }, () => 1_795_179_600_000)
  log.error('an error', { plugin: 'x' })
  log.warning('a warning')
  log.verdict(verdict)
  log.notice('a notice')
  log.connection('a connection')
  log.trace('a trace')
  return lines
}

t.test('each debug level says what it promises', async t => {
  t.same(await everything(0, 'logfmt', true), [
    '<3>error: an error plugin=x\n',
    '<4>warning: a warning\n',
  ])
  for (const [level, last] of [
    [
      1,
      '<6>instance=a.1 user="alice b" client=192.0.2.1 country=DE rcpt=2 size=100 ' +
        'verdict=dunno by="" used=3 limit=unlimited ms=0.500\n',
    ],
    [2, '<5>a notice\n'],
    [3, '<6>a connection\n'],
    [4, '<7>a trace\n'],
  ] as const) {
    const lines = await everything(level, 'logfmt', true)
    t.equal(lines.length, level + 2)
    t.equal(lines.at(-1), last)
  }
  const [line] = await everything(1, 'logfmt', false)
  t.match(line, /^2026-11-20T\d\d:\d\d:\d\dZ error: an error plugin=x\n$/)
})

t.test('JSON has one object a line, with level, event and fields', async t => {
  const lines = await everything(4, 'json', true)
  const objects = lines.map(line => JSON.parse(line))
  t.match(objects, [
    { level: 'error', msg: 'an error', plugin: 'x' },
    { level: 'warn', msg: 'a warning' },
    { level: 'info', event: 'verdict', user: 'alice b', verdict: 'dunno' },
    { level: 'info', event: 'notice', msg: 'a notice' },
    { level: 'info', event: 'connection', msg: 'a connection' },
    { level: 'debug', msg: 'a trace' },
  ])
})

const droppedLine = (count: number): string => `${count} lost\n`

/** A named pipe, held open at both ends without anybody reading. */
function fifo(t: Test): Promise<{ writer: number; reader: number }> {
  const path = join(t.testdir(), 'log')
  return new Promise(resolve => {
    spawn('mkfifo', [path]).once('exit', () => {
      const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
      t.teardown(() => {
        closeSync(reader)
        closeSync(writer)
      })
      resolve({ writer, reader })
    })
  })
}

/** What is in the pipe now. */
function readPipe(reader: number): string {
  const buffer = Buffer.alloc(1024 * 1024)
  try {
    return buffer.toString('utf8', 0, readSync(reader, buffer))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return ''
    throw error
  }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

t.test('the lines of one turn are one write, and none is written inside the turn', async t => {
  const { writer, reader } = await fifo(t)
  const destination = openDestination(writer, droppedLine)
  destination.write('one\n')
  destination.write('two\n')
  t.equal(readPipe(reader), '', 'nobody waits for the log')
  let text = ''
  await until(() => {
    text = readPipe(reader)
    return text !== ''
  })
  t.equal(text, 'one\ntwo\n')
})

t.test('a line that cannot be put together leaves nothing behind', async t => {
  const { writer, reader } = await fifo(t)
  const destination = openDestination(writer, droppedLine)
  destination.write('one\n')
  t.throws(() =>
    destination.compose(line => {
      line.text('half a li')
      throw new Error('no more')
    }),
  )
  destination.write('two\n')
  await destination.flush()
  t.equal(readPipe(reader), 'one\ntwo\n')
})

t.test('a pipe nobody reads costs lines, which are counted and told, and nothing else', async t => {
  const { writer, reader } = await fifo(t)
  const destination = openDestination(writer, droppedLine)
  const line = `${'x'.repeat(1023)}\n`
  let written = 0
  while (destination.dropped === 0 && written < 100_000) {
    for (let i = 0; i < 100; i++, written++) destination.write(line)
    await turn()
  }
  t.ok(written < 10_000, `bounded: lines are dropped after ${written} KiB`)
  for (let i = 0; i < 50; i++, written++) destination.write(line)
  const { dropped } = destination

  let text = ''
  await until(() => {
    text += readPipe(reader)
    return text.endsWith(' lost\n')
  })
  t.equal(destination.dropped, dropped)
  const lines = text.split('\n').slice(0, -1)
  t.equal(lines.pop(), `${dropped} lost`)
  t.equal(lines.length, written - dropped, 'all others arrive')
  t.ok(lines.every(arrived => arrived === line.trimEnd()))

  destination.write('after\n')
  await until(() => readPipe(reader) === 'after\n')
})

t.test('a file that cannot be written is no reason to stop', async t => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const destination = openDestination(full, droppedLine)
  destination.write('lost\n')
  await turn()
  const path = join(t.testdir(), 'log')
  const file = openSync(path, 'a')
  t.teardown(() => closeSync(file))
  await new Promise(resolve => setTimeout(resolve, 20))
  destination.redirect(file)
  destination.write('one\n')
  await until(() => readFileSync(path, 'utf8') === 'one\n')
  destination.write('last\n')
  await destination.flush()
  t.equal(readFileSync(path, 'utf8'), 'one\nlast\n', 'flush ends when all is written')
})
