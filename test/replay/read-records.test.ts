/** What is read of logs and traces: whichever form, however packed, and what is skipped. */

import { execFileSync } from 'node:child_process'
import { appendFileSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { readRecords } from '../../daemon/replay/read-records.ts'
import type { Recorded } from '../../daemon/replay/record.ts'
import { logFiles } from '../../daemon/replay/rotation.ts'
import { readTraceLine } from '../../daemon/replay/trace.ts'
import { TraceReader } from '../../daemon/replay/trace-reader.ts'
import { missingPrograms } from '../../scripts/servers/server.ts'

const NOW = Date.UTC(2026, 11, 1, 12)
const fixture = join(import.meta.dirname, '../fixtures/maillog/postfix-3.7.log')

interface Read {
  readonly records: readonly Recorded[]
  /** `file:line: why`, the file without its folder. */
  readonly damaged: readonly string[]
  readonly unreadable: readonly string[]
  readonly recognized: readonly string[]
  readonly files: readonly string[]
}

const base = (path: string): string => path.split('/').at(-1) ?? ''

async function read(...names: string[]): Promise<Read> {
  const files = await logFiles(names, NOW)
  const records: Recorded[] = []
  const damaged: string[] = []
  const unreadable: string[] = []
  const recognized: string[] = []
  for await (const portion of readRecords({
    files,
    damaged: ({ file, line }, why) => damaged.push(`${base(file)}:${line}: ${why}`),
    unreadable: (file, why) => unreadable.push(`${base(file)}: ${why}`),
    recognized: file => recognized.push(base(file)),
  })) {
    records.push(...portion)
  }
  return { records, damaged, unreadable, recognized, files: files.map(({ name }) => base(name)) }
}

/** Files in a folder, each last written at noon of that first of December. */
function folderOf(t: Test, files: Readonly<Record<string, string | Buffer>>): string {
  const folder = t.testdir()
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), content)
    utimesSync(join(folder, name), NOW / 1000, NOW / 1000)
  }
  return folder
}

/** One accepted message of alice's with three recipients, in a log's lines. */
function message(stamp: (program: string) => string, id = '6F419242229', user = 'alice'): string {
  return [
    `${stamp('submission/smtpd')}${id}: client=c.example.net[198.51.100.7], sasl_method=PLAIN, sasl_username=${user}`,
    `${stamp('cleanup')}${id}: message-id=<1@example.org>`,
    `${stamp('qmgr')}${id}: from=<alice@example.org>, size=362, nrcpt=3 (queue active)`,
    `${stamp('smtp')}${id}: to=<bob@example.net>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)`,
    `${stamp('qmgr')}${id}: removed`,
    '',
  ].join('\n')
}

const at = (time: string) => (program: string) => `${time} mail postfix/${program}[12]: `
const ACCEPTED = {
  protocol_state: 'END-OF-MESSAGE',
  queue_id: '6F419242229',
  sender: 'alice@example.org',
  recipient_count: '3',
  size: '362',
  client_address: '198.51.100.7',
  client_name: 'c.example.net',
  sasl_method: 'PLAIN',
  sasl_username: 'alice',
}

for (const [form, stamp, time] of [
  ['RFC 3164', at('Nov 30 20:41:02'), new Date(2026, 10, 30, 20, 41, 2).getTime()],
  ['RFC 3339', at('2026-11-30T20:41:02.5+00:00'), Date.UTC(2026, 10, 30, 20, 41, 2, 500)],
  [
    'RFC 5424',
    (program: string) => `<22>1 2026-11-30T20:41:02.123456+01:00 mail postfix/${program} 12 - - `,
    Date.UTC(2026, 10, 30, 19, 41, 2, 123),
  ],
  [
    'a multi-instance name',
    (program: string) => `Nov 30 20:41:02 mail postfix-out/${program}[12]: `,
    new Date(2026, 10, 30, 20, 41, 2).getTime(),
  ],
] as const) {
  t.test(`an accepted message is one request at its end: ${form}`, async t => {
    const folder = folderOf(t, { log: message(stamp) })
    const { records, damaged } = await read(join(folder, 'log'))
    t.equal(records.length, 1)
    t.equal(records[0]?.t, time)
    t.match(Object.fromEntries(records[0]?.attributes ?? []), ACCEPTED)
    t.strictSame(damaged, [])
  })
}

const LOCAL = at('Nov 30 20:41:02')
const LOCAL_TIME = new Date(2026, 10, 30, 20, 41, 2).getTime()
const RECEIVED = '2026-11-30T21:00:00.238986028Z'
for (const [form, wrap] of Object.entries({
  'docker compose logs': (line: string) => `postfix-mailcow_1    | ${line}`,
  'docker compose logs -t': (line: string) => `mail-postfix-1  | ${RECEIVED} ${line}`,
  'docker logs -t': (line: string) => `${RECEIVED} ${line}`,
  Kubernetes: (line: string) => `${RECEIVED} stdout F ${line}`,
  'a file of Docker': (line: string) =>
    JSON.stringify({ log: `${line}\n`, stream: 'stdout', time: RECEIVED })
      .replaceAll('<', '\\u003c')
      .replaceAll('>', '\\u003e'),
  'grep in several files': (line: string) => `/var/log/mail.log.1:${line}`,
})) {
  t.test(`what collects the logs of containers is no part of a line: ${form}`, async t => {
    const lines = message(LOCAL).trimEnd().split('\n').map(wrap)
    const { records, damaged } = await read(join(folderOf(t, { log: lines.join('\n') }), 'log'))
    t.strictSame(damaged, [])
    t.equal(records.length, 1)
    t.equal(records[0]?.t, LOCAL_TIME)
    t.match(Object.fromEntries(records[0]?.attributes ?? []), ACCEPTED)
  })
}

for (const time of ['2026-11-30 20:41:02', '2026-11-30T20:41:02']) {
  t.test(`a time with its year, but without a zone, is local: ${time}`, async t => {
    const { records } = await read(join(folderOf(t, { log: message(at(time)) }), 'log'))
    t.strictSame(
      records.map(({ t }) => t),
      [LOCAL_TIME],
    )
  })
}

for (const login of ['Müller, Hans', 'alice@example.org']) {
  t.test(`a login is read whole: ${login}`, async t => {
    const more = ', sasl_sender=x, orig_queue_id=5F419242229, orig_client=unknown[192.0.2.1]'
    const log = message(LOCAL).replace('sasl_username=alice', `sasl_username=${login}${more}`)
    const { records } = await read(join(folderOf(t, { log }), 'log'))
    t.strictSame(
      records.map(({ attributes }) => attributes.get('sasl_username')),
      [login],
    )
  })
}

t.test('a client’s port and a long queue id are read, as Postfix 3.11 writes them', async t => {
  const stamp = at('2026-11-30T20:41:02+00:00')
  const log = message(stamp, '4jdbv42YQfzKqQ4').replace('[198.51.100.7]', '[198.51.100.7]:5000')
  const { records } = await read(join(folderOf(t, { log }), 'log'))
  t.match(Object.fromEntries(records[0]?.attributes ?? []), {
    queue_id: '4jdbv42YQfzKqQ4',
    client_address: '198.51.100.7',
  })
})

t.test('of a real log, exactly the accepted mail of users is there', async t => {
  const lines = readFileSync(fixture, 'utf8').split('\n')
  const users = lines.flatMap(line => /: (\w+): client=.*sasl_username=/.exec(line)?.[1] ?? [])
  const accepted = lines.flatMap(line => /: (\w+): from=.*nrcpt=/.exec(line)?.[1] ?? [])
  const { records, damaged } = await read(fixture)
  const ids = records.map(({ attributes }) => attributes.get('queue_id'))
  t.strictSame(ids, [...new Set(accepted.filter(id => users.includes(id)))])
  t.ok(ids.length > 5)
  t.strictSame(damaged, [])
})

t.test('mail of others, deferred mail and attempts to log in are no requests', async t => {
  const stamp = at('Nov 30 20:41:02')
  const log = [
    `${stamp('smtpd')}AAAAAA1: client=mx.example.net[192.0.2.1]`,
    `${stamp('qmgr')}AAAAAA1: from=<a@example.net>, size=1, nrcpt=1 (queue active)`,
    `${stamp('smtpd')}warning: c[192.0.2.2]: SASL LOGIN authentication failed: bad, sasl_username=eve`,
    message(stamp),
    // The queue is run again.
    `${stamp('qmgr')}6F419242229: from=<alice@example.org>, size=362, nrcpt=3 (queue active)`,
    'Nov 30 20:41:02 mail dovecot: imap-login: Login: user=<alice>, nrcpt=1',
    '',
  ].join('\n')
  const { records, damaged } = await read(join(folderOf(t, { log }), 'log'))
  t.equal(records.length, 1)
  t.strictSame(damaged, [])
})

t.test('a sender who writes like Postfix makes no other message', async t => {
  const stamp = at('Nov 30 20:41:02')
  const log = [
    `${stamp('smtpd')}AAAAAA1: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=eve`,
    `${stamp('smtpd')}BBBBBB2: client=c[192.0.2.1], sasl_method=PLAIN, sasl_username=bob`,
    `${stamp('qmgr')}AAAAAA1: from=<"BBBBBB2: from=<x>, size=1, nrcpt=9 "@d>, size=5, nrcpt=2 (queue active)`,
    `${stamp('smtpd')}CCCCCC3: client=x: client=y[192.0.2.1], sasl_method=PLAIN, sasl_username=\u001b[31m`,
    '',
  ].join('\n')
  const { records } = await read(join(folderOf(t, { log }), 'log'))
  const told = records.map(({ attributes }) => [
    attributes.get('sasl_username'),
    attributes.get('recipient_count'),
  ])
  t.strictSame(told, [['eve', '2']])
})

t.test('a damaged line is named, and the others are read', async t => {
  const stamp = at('Nov 30 20:41:02')
  const broken = message(at('Nov 31 99:41:02'), 'AAAAAA1')
  const log = `${message(stamp)}\0\0\xff\n${broken}${message(stamp, 'BBBBBB2')}`
  const { records, damaged } = await read(join(folderOf(t, { log }), 'log'))
  t.equal(records.length, 2)
  t.strictSame(damaged, ['log:7: expected time, host and program of a line of Postfix'])
})

t.test(
  'rotated files are read in the order of their contents, however they are packed',
  async t => {
    const hasXz = missingPrograms(['xz']).length === 0
    const old = message(at('Nov 27 10:00:00'), 'AAAAAA4')
    const folder = folderOf(t, {
      'mail.log': message(at('Nov 30 10:00:00'), 'AAAAAA1'),
      'mail.log.1': message(at('Nov 29 10:00:00'), 'AAAAAA2'),
      'mail.log.2.gz': gzipSync(message(at('Nov 28 10:00:00'), 'AAAAAA3')),
      'mail.log-20261127.zst': zstdCompressSync(old),
      ...(hasXz && {
        'mail.log.4.xz': execFileSync('xz', ['-c'], {
          input: message(at('Nov 26 10:00:00'), 'AAAAAA5'),
        }),
      }),
      'mail.log.bak': message(at('Nov 1 10:00:00'), 'BBBBBB1'),
      'mail.err': 'other',
    })
    const expected = [...(hasXz ? ['AAAAAA5'] : []), 'AAAAAA4', 'AAAAAA3', 'AAAAAA2', 'AAAAAA1']
    const ids = ({ records }: Read) => records.map(({ attributes }) => attributes.get('queue_id'))
    t.strictSame(ids(await read(join(folder, 'mail.log'))), expected, 'one name stands for all')
    const two = ['mail.log', 'mail.log.1'].map(name => join(folder, name))
    t.strictSame(ids(await read(...two)), ['AAAAAA2', 'AAAAAA1'], 'of several, only those')
    t.strictSame(ids(await read(join(folder, 'mail.log.1'))), ['AAAAAA2'])
  },
)

t.test('a message that began before the log was rotated is found in the next file', async t => {
  const [begun = '', ...rest] = message(at('Nov 30 23:59:59')).split('\n')
  const folder = folderOf(t, { 'mail.log.1': `${begun}\n`, 'mail.log': rest.join('\n') })
  const { records } = await read(join(folder, 'mail.log'))
  t.strictSame(
    records.map(({ attributes }) => attributes.get('sasl_username')),
    ['alice'],
  )
})

t.test('the year of a log is the last that fits the time of its file', async t => {
  const december = message(at('Dec 31 23:59:00'), 'AAAAAA1')
  const january = message(at('Jan  1 00:01:00'), 'AAAAAA2')
  const folder = folderOf(t, { log: december + january })
  const writtenAt = Date.UTC(2025, 0, 1, 6) / 1000
  utimesSync(join(folder, 'log'), writtenAt, writtenAt)
  const { records } = await read(join(folder, 'log'))
  t.strictSame(
    records.map(({ t }) => new Date(t).getFullYear()),
    [2024, 2025],
  )
})

t.test('an archive that is cut off is read as far as it goes, and that is told', async t => {
  const whole = gzipSync(
    Array.from({ length: 5000 }, (_, i) => message(at('Nov 30 10:00:00'), `AAAA${i}`)).join(''),
  )
  const folder = folderOf(t, { 'log.gz': whole.subarray(0, whole.length - 2000) })
  const { records, unreadable } = await read(join(folder, 'log.gz'))
  t.ok(records.length > 100)
  t.match(unreadable, [/^log\.gz: .*end of file/i])
})

t.test('an empty file is nothing, and a binary one is named', async t => {
  const folder = folderOf(t, { empty: '', binary: Buffer.from([0, 1, 2, 255, 10, 13, 0]) })
  t.match(await read(join(folder, 'empty')), { records: [], recognized: [], unreadable: [] })
  t.match(await read(join(folder, 'binary')), {
    records: [],
    recognized: [],
    unreadable: ['binary: neither a trace nor a log of Postfix'],
  })
  const dovecot = 'Nov 30 10:00:00 mail dovecot: imap-login: Login: user=<a>\n'.repeat(40_000)
  const late = `${dovecot}Nov 30 10:00:00 mail postfix/master[1]: daemon started\n`
  const mixed = folderOf(t, { log: late })
  t.match(await read(join(mixed, 'log')), { records: [], recognized: ['log'], unreadable: [] })
  const quiet = folderOf(t, { log: 'Nov 30 10:00:00 mail postfix/master[1]: daemon started\n' })
  t.match(await read(join(quiet, 'log')), { records: [], recognized: ['log'], unreadable: [] })
})

t.test('a file that grows while it is read is read to some end', async t => {
  const folder = folderOf(t, { log: message(at('Nov 30 10:00:00')) })
  const path = join(folder, 'log')
  const files = await logFiles([path], NOW)
  const ignore = (): void => undefined
  const records = readRecords({ files, damaged: ignore, unreadable: ignore, recognized: ignore })
  const first = await records.next()
  appendFileSync(path, message(at('Nov 30 10:00:01'), 'AAAAAA1').slice(0, -40))
  t.equal(first.value?.length, 1)
  for await (const _ of records);
})

const LINE = { t: NOW, conn: 'c1', request: { request: 'smtpd_access_policy', size: '1' } }

t.test('a line of a trace is a record', async t => {
  const record = readTraceLine(JSON.stringify(LINE))
  if (typeof record === 'string') throw new Error(record)
  t.match(record, { t: NOW, conn: 'c1' })
  t.strictSame([...record.attributes], Object.entries(LINE.request))
  t.equal(record.attributes.get('constructor'), undefined)
  t.equal(record.attributes.get('__proto__'), undefined)
  const numbers = readTraceLine(JSON.stringify({ ...LINE, conn: 7, request: { size: 5 } }))
  if (typeof numbers === 'string') throw new Error(numbers)
  t.equal(numbers.conn, '7')
  t.equal(numbers.attributes.get('size'), '5')
})

for (const [what, line, why] of [
  ['no JSON', '{"t":1,', 'expected a JSON object'],
  ['a list', '[1]', 'expected a JSON object'],
  ['no time', { conn: 'c', request: {} }, '"t": expected milliseconds since 1970'],
  ['a time that is a text', { ...LINE, t: '5' }, '"t": expected milliseconds since 1970'],
  ['a time that never is', { ...LINE, t: 1e300 }, '"t": expected milliseconds since 1970'],
  ['no connection', { t: 1, request: {} }, '"conn": expected the name of a connection'],
  ['no request', { t: 1, conn: 'c' }, '"request": expected an object of attributes'],
  [
    'an attribute that is none',
    { ...LINE, request: { size: null } },
    '"request": attribute "size" is not a text',
  ],
  [
    'an attribute that would be two',
    { ...LINE, request: { sender: 'a\nsasl_username=b' } },
    '"request": attribute "sender" has a line break',
  ],
] as const) {
  t.test(`a line of a trace with ${what} is named and skipped`, async t => {
    const bad = typeof line === 'string' ? line : JSON.stringify(line)
    const good = JSON.stringify(LINE)
    const folder = folderOf(t, { trace: `${good}\n\n${bad}\n${good}\n` })
    const { records, damaged } = await read(join(folder, 'trace'))
    t.equal(records.length, 2)
    t.strictSame(damaged, [`trace:3: ${why}`])
  })
}

t.test('a line without an end is skipped, and takes no memory', async t => {
  const good = JSON.stringify(LINE)
  const long = 'x'.repeat(9 * 1024 * 1024)
  const folder = folderOf(t, { trace: `${good}\n${long}\n${good}` })
  const { records, damaged } = await read(join(folder, 'trace'))
  t.equal(records.length, 2)
  t.strictSame(damaged, ['trace:2: the line is too long'])
})

t.test('a line is the same record, whether a pattern or JSON has read it', async t => {
  const request = { a: '1', b: 'ü€😀 [x] {y}', c: '' }
  const plain = { t: NOW + 0.25, conn: 'c 1', request }
  const lines = [
    JSON.stringify(plain),
    JSON.stringify(plain).replaceAll(',"', ', "').replaceAll('":', '": '),
    `${JSON.stringify(plain)}\r`,
    JSON.stringify({ ...plain, t: -5 }),
    JSON.stringify({ ...plain, request: { ...request, a: 'with "quotes" and \\' } }),
    JSON.stringify({ ...plain, request: { b: 'x', a: 'y' } }),
    JSON.stringify({ ...plain, request: { a: 'y', b: 'x', c: 'z', d: 'w' } }),
    JSON.stringify({ ...plain, more: 1 }),
    `${JSON.stringify(plain)}x`,
    JSON.stringify(plain).slice(0, -1),
    JSON.stringify(plain).replace('"1"', '"\u0001"'),
    JSON.stringify(plain).replace('"1"', '"1'),
    JSON.stringify(plain).replace('"t":', '"t":0'),
  ]
  const shown = (record: Recorded | string): unknown =>
    typeof record === 'string' ? record : { ...record, attributes: [...record.attributes] }
  for (const line of lines) {
    const reader = new TraceReader()
    reader.read(JSON.stringify(plain))
    t.strictSame(shown(reader.read(line)), shown(readTraceLine(line)), line)
  }
})
