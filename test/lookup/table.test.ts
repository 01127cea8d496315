/** Lookup tables, each compared with what Postfix and Berkeley DB themselves say of it. */

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { openBerkeleyDb } from '../../daemon/lookup/berkeley-db.ts'
import { bytesInMemory, type Find } from '../../daemon/lookup/bytes.ts'
import { openCdb } from '../../daemon/lookup/cdb.ts'
import { openPlainTable, openTable } from '../../daemon/lookup/table.ts'
import { readTextTable } from '../../daemon/lookup/text-table.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { runs } from '../support/fuzz.ts'
import {
  askPostmap,
  knowsTableType,
  loadBerkeleyDb,
  postmap,
  toolsMissing,
  usePostfixConfig,
} from '../support/postfix-tables.ts'

const noPostmap = toolsMissing('postmap', 'postconf')
const noDbLoad = toolsMissing('db_load')
if (!noPostmap) usePostfixConfig(t.testdir())
const hasCdb = !noPostmap && knowsTableType('cdb')
if (process.env.CI && !hasCdb) throw new Error('not installed: postfix-cdb')
const noCdb = hasCdb ? false : noPostmap || 'not installed: postfix-cdb'

/** The monotonic clock, which these tests turn on. */
let ahead = 0
const realNow = performance.now.bind(performance)
performance.now = () => realNow() + ahead

function later(seconds: number): void {
  ahead += seconds * 1000
}

/** As if a file had been written so long ago. */
function age(path: string, seconds: number): void {
  const then = Date.now() / 1000 - seconds
  utimesSync(path, then, then)
}

const ENTRIES = new Map(
  Array.from({ length: 100_000 }, (_, i) => [
    i % 3 === 0 ? `user${i}@example.org` : `198.51.${i % 256}.${i >> 8}`,
    i % 5 === 0 ? 'OK' : `reject ${'no '.repeat(i % 30)}${i}`,
  ]),
)
const SOURCE = [...ENTRIES].map(([key, value]) => `${key}\t${value}\n`).join('')

t.test('100,000 entries made by postmap are found as postmap finds them', async t => {
  for (const type of ['hash', 'btree', 'cdb', 'texthash']) {
    const skip = noPostmap || (type === 'cdb' && noCdb)
    await t.test(type, { skip }, async t => {
      const path = join(t.testdir(), 'map')
      if (type === 'texthash') writeFileSync(path, SOURCE)
      else postmap(type, path, SOURCE)
      const table = openTable(`${type}:${path}`)
      t.equal(table.problem(), undefined)
      const keys = [...ENTRIES.keys()]
      const some = keys.filter((_, i) => i % 10 === 0)
      const all = [...keys, ...some.map(key => `${key}x`), ...some.map(key => key.slice(1))]
      const postfix = askPostmap(`${type}:${path}`, all)
      t.equal(postfix.size, ENTRIES.size)
      t.equal(
        all.find(key => table.get(key) !== postfix.get(key)),
        undefined,
      )
      t.equal(table.get('USER0@Example.ORG'), 'OK', 'keys are folded')
      t.equal(table.get(''), undefined)
      table.close()
      t.throws(() => table.get('a'), LookupError, 'closed')
    })
  }
})

t.test(
  'items of any size, on pages of any size, in any byte order',
  { skip: noDbLoad },
  async t => {
    const sizes = [0, 1, 100, 250, 500, 511, 512, 513, 2000, 16_300, 65_000, 300_000]
    const entries = sizes.flatMap(size => [
      [`value${size}`, 'v'.repeat(size)] as const,
      [`key${size}${'k'.repeat(Math.min(size, 20_000))}`, `${size}`] as const,
    ])
    const others = Array.from({ length: 2000 }, (_, i) => [`other${i}`, `${i}`] as const)
    const folder = t.testdir()
    for (const type of ['hash', 'btree'] as const) {
      for (const options of [
        ['db_pagesize=512'],
        ['db_pagesize=65536'],
        ['db_lorder=4321'],
        ['db_lorder=1234', 'db_pagesize=1024'],
        ['chksum=1'],
      ]) {
        const name = `${type} ${options.join(' ')}`
        const path = join(folder, name)
        loadBerkeleyDb(path, [...entries, ...others], type, options)
        const plain = openPlainTable(path)
        t.equal(plain.problem(), undefined, name)
        for (const [key, value] of [...entries, ...others]) {
          if (plain.get(key) !== value) t.fail(`${name}: ${key.slice(0, 20)}`)
        }
        t.equal(plain.get('other'), undefined)
        t.equal(plain.get('OTHER1'), undefined, 'a plain table tells cases apart')
        plain.close()
        const asTable = openTable(path)
        t.equal(asTable.get('Other7'), '7', 'keys without NUL are found, too')
        asTable.close()
      }
    }
  },
)

t.test('a text table means the same as to Postfix', { skip: noPostmap }, async t => {
  const text = [
    '# comment',
    '   # another',
    'plain value',
    'long one',
    '   two',
    '# in between',
    '',
    '\tthree   ',
    'UPPER Case Kept',
    'plain second',
    '"with blank" quoted',
    'back\\ slash escaped',
    '"open quote',
    'alone',
    'crlf line\r',
    'tab\tby tab',
    'umlaut jörg',
    'colon: value',
    'last no newline',
  ].join('\n')
  const path = join(t.testdir(), 'map')
  writeFileSync(path, text)
  const table = openTable(`texthash:${path}`)
  const keys = ['plain', 'long', 'upper', 'UPPER', '"with blank"', 'back\\ slash', '"open', 'alone']
  keys.push('crlf', 'tab', 'umlaut', 'colon:', 'last', '#', 'two', 'three', '"with')
  const postfix = askPostmap(`texthash:${path}`, keys)
  t.equal(postfix.size, 11)
  for (const key of keys) t.equal(table.get(key), postfix.get(key), key)
})

t.test('changes by postmap are noticed, and never used half-way', { skip: noPostmap }, async t => {
  for (const type of ['hash', 'btree']) {
    const path = join(t.testdir(), type)
    const file = `${path}.db`
    const empty = `${path}-empty`
    postmap(type, path, SOURCE)
    postmap(type, empty, '# nothing\n')
    const table = openTable(`${type}:${path}`)
    t.equal(table.get('user0@example.org'), 'OK')
    const full = readFileSync(file)
    const nothing = readFileSync(`${empty}.db`)

    // This is how postmap begins.
    writeFileSync(file, nothing)
    age(file, 5)
    later(2)
    t.equal(table.get('user0@example.org'), 'OK', 'empty for 5 s')
    // This is how it goes on: its first page comes last.
    writeFileSync(file, Buffer.concat([nothing.subarray(0, 4096), full.subarray(4096)]))
    age(file, 5)
    later(2)
    t.equal(table.get('user0@example.org'), 'OK', 'without the new first page')
    age(file, 20)
    later(2)
    t.equal(table.get('user0@example.org'), 'OK', 'nor when postmap was killed')
    t.match(table.problem(), /never finished/)
    writeFileSync(file, full.subarray(0, -4096))
    age(file, 20)
    later(2)
    t.equal(table.get('user0@example.org'), 'OK', 'cut off')
    t.match(table.problem(), /pages are missing/)

    postmap(type, path, 'user0@example.org REJECT\n')
    later(0.5)
    t.equal(table.get('user0@example.org'), 'OK', 'looked at once a second')
    later(2)
    t.equal(table.get('user0@example.org'), 'OK', 'too fresh')
    age(file, 2)
    later(2)
    t.equal(table.get('user0@example.org'), 'REJECT')
    t.equal(table.problem(), undefined)
    writeFileSync(file, nothing)
    age(file, 11)
    later(2)
    t.equal(table.get('user0@example.org'), undefined, 'really empty')
    table.close()
  }
})

t.test('answers are complete while postmap writes', { skip: noPostmap }, async t => {
  const path = join(t.testdir(), 'map')
  postmap('hash', path, `always 0\n${SOURCE}`)
  const table = openTable(`hash:${path}`)
  const seen = new Set<string | undefined>()
  let isWriting = true
  const writing = (async () => {
    for (let round = 1; round <= 3; round++) {
      writeFileSync(path, `always ${round}\n${SOURCE}`)
      await new Promise<void>((resolve, reject) => {
        import('node:child_process').then(({ execFile }) =>
          execFile('postmap', [`hash:${path}`], error => (error ? reject(error) : resolve())),
        )
      })
    }
    isWriting = false
  })()
  const patience = Date.now() + 30_000
  while (Date.now() < patience && (isWriting || !seen.has('3'))) {
    // As if a second had gone by: the file is looked at each time.
    later(1)
    seen.add(await table.get('always'))
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  await writing
  t.ok(seen.has('0') && seen.has('3'))
  t.strictSame(
    [...seen].filter(value => value === undefined),
    [],
    'never a table without the key',
  )
  table.close()
})

t.test('a file that appears, disappears and appears again', async t => {
  const path = join(t.testdir(), 'map')
  const table = openTable(`texthash:${path}`)
  t.equal(table.problem(), `${path}: there is no such file`)
  t.throws(() => table.get('a'), LookupError)
  writeFileSync(path, 'a 1\n')
  t.throws(() => table.get('a'), LookupError, 'looked for once a second')
  later(1)
  t.equal(table.get('a'), '1', 'at once where there was nothing')
  writeFileSync(path, 'a 2\n')
  age(path, 2)
  later(1)
  t.equal(table.get('a'), '2')
  rmSync(path)
  later(1)
  t.equal(table.get('a'), '2', 'what is known stays for a minute')
  t.match(table.problem(), /no such file/)
  later(61)
  t.throws(() => table.get('a'), { message: `${path}: there is no such file` })
  mkdirSync(path)
  later(1)
  t.throws(() => table.get('a'), /not a regular file/)
  rmSync(path, { recursive: true })
  execFileSync('mkfifo', [path])
  later(1)
  t.throws(() => table.get('a'), /not a regular file/, 'and is not opened')
  rmSync(path)
  writeFileSync(path, 'a 3\n')
  later(1)
  t.equal(table.get('a'), '3')
  t.equal(table.problem(), undefined)
})

t.test('the name of the file may have the ending that Postfix adds', async t => {
  const folder = t.testdir()
  const path = join(folder, 'map')
  for (const [name, file] of [
    [`hash:${path}`, `${path}.db`],
    [`btree:${path}`, `${path}.db`],
    [`cdb:${path}`, `${path}.cdb`],
    [path, path],
  ] as const) {
    t.equal(openTable(name).problem(), `${file}: there is no such file`)
  }
  const source = join(folder, 'source')
  writeFileSync(source, 'a 1\n')
  t.equal(
    openTable(`hash:${source}`).problem(),
    `${source}.db: there is no such file; run postmap on ${source}`,
    'what postmap makes is missing, but not what it is made from',
  )
  if (noDbLoad) return
  loadBerkeleyDb(`${path}.db`, [['a', 'plain']])
  t.equal(openTable(path).get('a'), 'plain', 'without .db')
  t.equal(openTable(`${path}.db`).get('a'), 'plain', 'with .db')
  t.equal(openTable(`hash:${path}`).get('a'), 'plain')
})

t.test('a file in another format is refused with a reason', async t => {
  const path = join(t.testdir(), 'map')
  const meta = (fields: Readonly<Record<number, number>>): Buffer => {
    const page = Buffer.alloc(512)
    for (const [at, value] of Object.entries(fields)) page.writeUInt32LE(value, Number(at))
    return page
  }
  const hash = { 12: 0x061561, 16: 9, 20: 512 }
  for (const [content, reason] of [
    [Buffer.from('192.0.2.1 OK\n'), /shorter than 512 bytes/],
    [Buffer.from('192.0.2.1 OK\n'.repeat(100)), /not a Berkeley DB file/],
    [meta({ 0: 0x061561 }), /1\.85/],
    [meta({ ...hash, 16: 5 }), /version 5/],
    [meta({ ...hash, 20: 1000 }), /pages of 1000/],
    [meta({ ...hash, 24: 1 }), /encrypted/],
    [meta({ ...hash, 36: 3 }), /partitioned/],
    [meta({ ...hash, 32: 7 }), /pages are missing/],
    [meta({ ...hash, 48: 2 }), /several databases/],
    [meta(hash), /hash function/],
    [meta({ ...hash, 12: 0x053162, 48: 2 }), /numbers instead of keys/],
    [meta({ ...hash, 12: 0x053162, 48: 0x80 }), /compressed/],
  ] as const) {
    writeFileSync(path, content)
    t.match(openTable(path).problem(), reason)
    t.throws(() => openTable(path).get('a'), LookupError)
    t.match(openPlainTable(path).problem(), reason)
  }
  writeFileSync(`${path}.cdb`, 'short')
  t.match(openTable(`cdb:${path}`).problem(), /ends early/)
  truncateSync(`${path}.cdb`, 0)
  appendFileSync(`${path}.cdb`, Buffer.alloc(2048, 255))
  t.match(openTable(`cdb:${path}`).problem(), /outside the file/)
})

t.test(
  'a damaged file is a failed lookup, never a crash or a loop',
  { skip: noDbLoad },
  async t => {
    const folder = t.testdir()
    const entries = Array.from({ length: 300 }, (_, i) => [`key${i}`, `${i}`.repeat(i)] as const)
    const long = 'k'.repeat(700)
    const files: [string, Buffer, (file: Buffer) => Find][] = []
    const berkeley = (file: Buffer): Find => openBerkeleyDb(bytesInMemory(file)).find
    for (const type of ['hash', 'btree'] as const) {
      const path = join(folder, type)
      loadBerkeleyDb(path, [...entries, [long, 'x']], type, ['db_pagesize=512'])
      files.push([type, readFileSync(path), berkeley])
    }
    if (hasCdb) {
      const path = join(folder, 'map')
      postmap('cdb', path, entries.map(([key, value]) => `${key} ${value}x\n`).join(''))
      files.push(['cdb', readFileSync(`${path}.cdb`), file => openCdb(bytesInMemory(file))])
    }
    const keys = [...entries.map(([key]) => key).filter((_, i) => i % 23 === 0), long, 'absent']
    for (const [type, good, open] of files) {
      const change = fc.record({
        at: fc.oneof(fc.nat(good.length - 1), fc.nat(511), fc.nat(2047)),
        byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 255)),
      })
      let damagedLookups = 0
      fc.assert(
        fc.property(
          fc.array(change, { minLength: 1, maxLength: 30 }),
          fc.oneof(
            { arbitrary: fc.constant(good.length), weight: 4 },
            { arbitrary: fc.nat(good.length), weight: 1 },
          ),
          (changes, length) => {
            const bad = Buffer.from(good.subarray(0, length))
            for (const { at, byte } of changes) if (at < length) bad[at] = byte
            const began = realNow()
            for (const key of keys) {
              try {
                open(bad)(Buffer.from(key))
              } catch (error) {
                if (!(error instanceof LookupError)) throw error
                damagedLookups++
              }
            }
            if (realNow() - began > 5000) throw new Error('it takes too long')
          },
        ),
        { numRuns: runs(1500) },
      )
      t.ok(damagedLookups > 100, `${type}: damage was met`)
    }
  },
)

t.test('a cycle of pages ends', { skip: noDbLoad }, async t => {
  const path = join(t.testdir(), 'map')
  loadBerkeleyDb(path, [['a', 'x'.repeat(5000)]], 'hash', ['db_pagesize=512'])
  const file = readFileSync(path)
  for (let page = 1; page * 512 < file.length; page++) {
    // The next page of each is itself.
    file.writeUInt32LE(page, page * 512 + 16)
  }
  const { find } = openBerkeleyDb(bytesInMemory(file))
  t.throws(() => find(Buffer.from('a')), /that does not end/)
  t.throws(() => find(Buffer.from('b')), /that does not end/)
})

t.test('any text is a valid text table', async () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'a"\\ \t\r\n#:') }), text => {
      for (const [key, value] of readTextTable(text)) {
        if (key === '' || value === '' || value !== value.trim()) throw new Error(`${key}=${value}`)
      }
    }),
    { numRuns: runs(2000) },
  )
})

t.test('a file too large for memory is read from disk', { skip: noDbLoad }, async t => {
  const path = join(t.testdir(), 'map')
  loadBerkeleyDb(path, [['a', '1']])
  // A hole at the end: it is large without taking place.
  truncateSync(path, 65 * 2 ** 20)
  const table = openTable(path)
  t.equal(table.get('a'), '1')
  t.equal(table.get('b'), undefined)
  const other = `${path}-other`
  loadBerkeleyDb(other, [['a', '2']])
  copyFileSync(other, path)
  age(path, 2)
  later(1)
  t.equal(table.get('a'), '2', 'and held when it is small again')
  table.close()
  truncateSync(path, 0)
  truncateSync(path, 65 * 2 ** 20)
  t.match(openTable(`texthash:${path}`).problem(), /larger than 64 MiB/)
})

t.test('a live file is read in its current state', { skip: noDbLoad }, async t => {
  const path = join(t.testdir(), 'awl')
  loadBerkeleyDb(path, [['a', '1']])
  const table = openPlainTable(path)
  t.equal(table.get('a'), '1')
  const many = Array.from({ length: 5000 }, (_, i) => [`k${i}`, `${i}`] as const)
  loadBerkeleyDb(path, [['b', '2'], ...many])
  t.equal(table.get('b'), '2', 'the same file, grown')
  t.equal(table.get('k4999'), '4999')
  rmSync(path)
  loadBerkeleyDb(path, [['a', '3']])
  later(1)
  t.equal(table.get('a'), '3', 'another file')
  table.close()
})

t.test('other types are read through postmap', { skip: noPostmap }, async t => {
  const path = join(t.testdir(), 'networks')
  writeFileSync(path, '192.0.2.0/25 OK\n192.0.2.128/25 REJECT   two  words\n')
  const table = openTable(`cidr:${path}`)
  t.equal(table.problem(), undefined)
  const keys = ['192.0.2.1', '192.0.2.200', '198.51.100.1', '-q', 'not an address', '192.0.2.1']
  t.strictSame(await Promise.all(keys.map(async key => table.get(key))), [
    'OK',
    'REJECT   two  words',
    undefined,
    undefined,
    undefined,
    'OK',
  ])
  t.equal(table.get('192.0.2.1'), 'OK', 'known now, and at once')
  t.equal(table.get('198.51.100.1'), undefined)
  for (const odd of ['', 'a\nb', 'a\0b', 'a\tb', 'a'.repeat(5000)])
    t.equal(table.get(odd), undefined)
  writeFileSync(path, '192.0.2.0/24 CHANGED\n')
  later(2)
  t.equal(await table.get('192.0.2.1'), 'CHANGED', 'a change of the file is noticed')
  rmSync(path)
  later(2)
  await t.rejects(async () => table.get('192.0.2.1'), LookupError)
  await t.rejects(async () => table.get('192.0.2.2'), /networks/, 'said by Postfix')
  writeFileSync(path, '192.0.2.0/24 AGAIN\n')
  later(2)
  t.equal(await table.get('192.0.2.1'), 'AGAIN')
  table.close()

  t.equal(await openTable('inline:{a=1, {b = 2 3}}').get('b'), '2 3')
  t.equal(await openTable('static:{all the same}').get('-c'), 'all the same')
  await t.rejects(async () => openTable('nonsense:/x').get('a'), /nonsense/)
})

t.test('one postmap answers all waiting lookups, and cannot keep them waiting', async t => {
  const folder = t.testdir()
  const path = process.env.PATH
  t.teardown(() => {
    process.env.PATH = path
  })
  const pretend = (script: string): void => {
    const program = join(folder, 'postmap')
    writeFileSync(program, `#!/bin/sh\n${script}\n`)
    chmodSync(program, 0o755)
  }
  process.env.PATH = `${folder}:${path}`
  const calls = join(folder, 'calls')
  pretend(`echo "$@" >> ${calls}\nsed 's/$/\tvalue/'`)
  const table = openTable('tcp:192.0.2.1:1')
  const ask = (count: number) =>
    Promise.all(Array.from({ length: count }, async (_, i) => table.get(`key${i}`)))
  t.strictSame(new Set(await ask(100)), new Set(['value']))
  t.equal(readFileSync(calls, 'utf8'), '-q - tcp:192.0.2.1:1\n', 'one process')
  await ask(100)
  t.equal(readFileSync(calls, 'utf8').split('\n').length, 2, 'kept')
  later(61)
  await ask(100)
  t.equal(readFileSync(calls, 'utf8').split('\n').length, 3, 'for a minute')
  t.equal((await ask(1000)).length, 1000)

  later(61)
  pretend('echo "postmap: warning: something" >&2; exit 1')
  t.equal(await table.get('none'), undefined, 'a warning is no failure')
  pretend('exit 3')
  await t.rejects(async () => table.get('slow'), /exit status 3/)
  later(2)
  process.env.PATH = folder
  rmSync(join(folder, 'postmap'))
  // Where the machine has a postmap, it is still found in /usr/sbin, and says what it thinks.
  await t.rejects(async () => table.get('slow'), LookupError)
  const closing = openTable('tcp:192.0.2.1:1')
  const open = (async () => closing.get('a'))()
  closing.close()
  await t.rejects(open, /closed/)
})
