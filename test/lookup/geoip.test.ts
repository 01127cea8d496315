import { execFileSync, spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import fc from 'fast-check'
import { Reader } from 'maxmind'
import t from 'tap'
import { type CountryDatabase, openCountryDatabase } from '../../daemon/lookup/geoip.ts'
import { isSealed, sealed } from '../../daemon/lookup/mmdb-check.ts'
import { type CountryRange, type MmdbOptions, writeMmdb } from '../../daemon/lookup/mmdb-writer.ts'
import { convert } from '../../daemon/lookup/tor-geoip.ts'
import { formatIPv4, formatIPv6 } from '../../daemon/net/address.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { runs } from '../support/fuzz.ts'

const builtAt = new Date('2026-10-28T05:00:00Z')
const networks: CountryRange[] = [
  { first: '192.0.2.0', last: '192.0.2.255', code: 'DE' },
  { first: '198.51.100.7', last: '198.51.100.93', code: 'AT' },
  { first: '203.0.113.0', last: '203.0.113.127', code: 'EU' },
  { first: '203.0.113.128', last: '203.0.113.255', code: '??' },
  { first: '2001:db8::', last: '2001:db8:0:ffff:ffff:ffff:ffff:ffff', code: 'CH' },
]
const sample = (options: Partial<MmdbOptions> = {}) => writeMmdb(networks, { builtAt, ...options })

/** A database under test: its file, what it logged, and a way to replace the file. */
function world(t: { teardown(handler: () => void): unknown }, file?: Buffer, pollMilliseconds = 0) {
  const directory = mkdtempSync(join(tmpdir(), 'geoip-'))
  const path = join(directory, 'country.mmdb')
  const events: { event: string; fields: Record<string, unknown> }[] = []
  if (file) writeFileSync(path, file)
  const log = (event: string, fields: Record<string, unknown>) =>
    void events.push({ event, fields })
  const database = openCountryDatabase({ path, log, pollMilliseconds })
  t.teardown(() => {
    database.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    database,
    path,
    directory,
    events,
    /** The names of what was logged since the last call. */
    logged: () => events.splice(0).map(({ event }) => event),
    replace(content: Buffer) {
      writeFileSync(`${path}.new`, content)
      renameSync(`${path}.new`, path)
    },
  }
}

for (const recordShape of ['country', 'registered_country', 'country_code'] as const) {
  for (const recordSize of [24, 28] as const) {
    t.test(`records {${recordShape}} in a ${recordSize}-bit tree are understood`, async t => {
      const { database } = world(t, sample({ recordShape, recordSize }))
      t.equal(database.country('192.0.2.0'), 'DE')
      t.equal(database.country('192.0.2.255'), 'DE')
      t.equal(database.country('192.0.3.0'), undefined)
      t.equal(database.country('198.51.100.6'), undefined)
      t.equal(database.country('198.51.100.7'), 'AT')
      t.equal(database.country('198.51.100.93'), 'AT')
      t.equal(database.country('198.51.100.94'), undefined)
      t.equal(database.country('2001:db8:0:1::25'), 'CH')
      t.equal(database.country('2001:db8:1::'), undefined)
    })
  }
}

t.test('an IPv4-mapped address is the IPv4 address, whether or not the file has it', async t => {
  for (const mappedAlias of [true, false]) {
    const file = sample({ mappedAlias })
    const { database } = world(t, file)
    t.equal(database.country('::ffff:192.0.2.1'), 'DE')
    t.equal(database.country('::FFFF:c000:0201'), 'DE')
    const foreign = new Reader(file)
    t.equal(
      foreign.get('::ffff:192.0.2.1') !== null,
      mappedAlias,
      'other readers, with the alias only',
    )
  }
})

t.test('an address that carries an IPv4 address is in the country of that address', async t => {
  // Who announces the relay's prefix is of no interest, and nor is where the relay is.
  const relays = ['2002::', '2001::', '64:ff9b::'].map(first => {
    return {
      first,
      last: first === '64:ff9b::' ? '64:ff9b::ffff:ffff' : `${first}ffff`,
      code: 'JP',
    }
  })
  const { database } = world(t, writeMmdb([...networks, ...relays], { builtAt }))
  t.equal(database.country('2002:c000:201::1'), 'DE')
  t.equal(database.country('64:ff9b::192.0.2.1'), 'DE')
  t.equal(database.country('2001:0:53aa:64c:0:63bf:3fff:fdfe'), 'DE')
  t.equal(database.country('2002:c633:6407::1'), 'AT')
  t.equal(database.country('2002::1'), undefined, 'what is unknown inside is unknown')
  t.equal(database.country('64:ff9b::10.0.0.1'), undefined)
  const ipv4 = networks.filter(({ first }) => first.includes('.'))
  const { database: small } = world(t, writeMmdb(ipv4, { builtAt, ipVersion: 4 }))
  t.equal(small.country('2002:c000:201::1'), 'DE', 'also in a database of IPv4 alone')
})

t.test('a database of IPv4 alone does not answer for IPv6', async t => {
  const ipv4 = networks.filter(({ first }) => first.includes('.'))
  const { database } = world(t, writeMmdb(ipv4, { builtAt, ipVersion: 4 }))
  t.equal(database.country('192.0.2.1'), 'DE')
  // Its first 32 bits are those of 192.0.2.1.
  t.equal(database.country('c000:201::1'), undefined)
})

t.test('codes that are not a country are returned as they are', async t => {
  const { database } = world(t, sample())
  t.equal(database.country('203.0.113.1'), 'EU')
  t.equal(database.country('203.0.113.200'), '??')
})

t.test('anything but an address has no country', async t => {
  const { database } = world(t, sample())
  for (const nonsense of ['', 'unknown', '192.0.2', '192.0.2.1 ', '[::1]', '\0', 'x'.repeat(1e5)]) {
    t.equal(database.country(nonsense), undefined)
  }
})

t.test('the database has its age and origin', async t => {
  const { database, events } = world(t, sample({ databaseType: 'X-Country', description: 'by me' }))
  t.same(database.builtAt, builtAt)
  t.equal(database.ageDays(new Date('2026-11-20T00:00:00Z')), 22)
  t.match(database.state, {
    status: 'current',
    problem: undefined,
    format: 'mmdb',
    description: 'X-Country: by me',
    failedLookups: 0,
  })
  t.match(events, [{ event: 'geoip_loaded', fields: { format: 'mmdb' } }])
})

t.test('a file replaced by rename during lookups is picked up', async t => {
  const { database, replace } = world(t, sample(), 1)
  for (const code of ['FR', 'IT', 'FR', 'IT', 'PL']) {
    replace(writeMmdb([{ first: '192.0.2.0', last: '192.0.2.255', code }], { builtAt }))
    const met = new Set<string | undefined>()
    while (database.country('192.0.2.1') !== code) {
      for (let i = 0; i < 100; i++) met.add(database.country('192.0.2.1'))
      await pause(1)
    }
    t.ok(met.size <= 1, 'the old answer until the new one')
  }
  t.equal(database.state.status, 'current')
})

t.test('a file truncated at any place is refused, and the previous one stays', async t => {
  const whole = sample({ description: 'so that the metadata is of some length' })
  const { database, path, logged } = world(t, whole)
  logged()
  const cuts = fc.sample(fc.nat(whole.length - 1), { numRuns: 100, seed: 1 })
  for (const cut of [0, 1, whole.length - 1, whole.length - 2, ...cuts]) {
    writeFileSync(path, whole.subarray(0, cut))
    const refused = !database.reload()
    const lines = logged()
    if (!refused || lines.join() !== 'geoip_refused' || database.country('192.0.2.1') !== 'DE') {
      t.fail(`cut at ${cut} of ${whole.length}`, { lines })
    }
  }
  t.equal(database.state.status, 'stale')
  t.match(database.state.problem, /cut short/)
  writeFileSync(path, whole)
  t.ok(database.reload())
  t.match(database.state, { status: 'current', problem: undefined })
})

t.test('what is no database is not read, however much there is of it', async t => {
  const refused = (path: string): string | undefined => {
    const database = openCountryDatabase({ path, log: () => undefined, pollMilliseconds: 0 })
    database.close()
    return database.state.problem
  }
  // Says that it is empty, and has 256 TB.
  t.match(refused('/proc/self/pagemap'), /empty/)
  t.match(refused('/dev/zero'), /not a regular file/)
  const path = join(t.testdir({}), 'large')
  const file = openSync(path, 'w')
  ftruncateSync(file, 900 * 1024 ** 2)
  closeSync(file)
  const before = process.memoryUsage().rss
  t.match(refused(path), /not a MaxMind DB/)
  t.ok(process.memoryUsage().rss - before < 100 * 1024 ** 2)
})

t.test('polling refuses a bad file once, not every time', async t => {
  const { database, path, events, replace } = world(t, sample(), 1)
  const problemAfter = async (change: () => void): Promise<string | undefined> => {
    const before = events.length
    change()
    while (events.length === before) await pause(1)
    await pause(30)
    t.equal(events.length, before + 1, 'one line')
    t.equal(events.at(-1)?.event, 'geoip_refused')
    t.equal(database.country('192.0.2.1'), 'DE')
    t.equal(database.state.status, 'stale')
    return database.state.problem
  }
  t.match(await problemAfter(() => replace(Buffer.alloc(0))), /empty/)
  t.match(await problemAfter(() => replace(Buffer.from('<html>Not found'))), /not a MaxMind DB/)
  t.match(await problemAfter(() => rmSync(path)), /ENOENT/)
  t.match(await problemAfter(() => mkdirSync(path)), /not a regular file/)
  rmSync(path, { recursive: true })
  const before = events.length
  replace(sample())
  while (events.at(-1)?.event !== 'geoip_loaded') await pause(1)
  t.ok(events.length > before)
  t.equal(database.state.status, 'current')
})

t.test('an intact database without countries is refused', async t => {
  const { database, replace } = world(t, sample())
  replace(sample({ recordShape: 'none', databaseType: 'Some-ASN' }))
  t.notOk(database.reload())
  t.match(database.state.problem, /type Some-ASN.*country/)
  replace(writeMmdb([], { builtAt }))
  t.notOk(database.reload())
  t.equal(database.country('192.0.2.1'), 'DE')
})

t.test('without a readable file lookups fail, until there is one', async t => {
  const { database, logged, replace } = world(t)
  t.same(logged(), ['geoip_refused'])
  t.match(database.state, { status: 'absent', problem: /ENOENT/, format: undefined })
  t.equal(database.builtAt, undefined)
  t.equal(database.ageDays(new Date()), undefined)
  t.throws(() => database.country('192.0.2.1'), LookupError)
  replace(sample())
  t.ok(database.reload())
  t.equal(database.country('192.0.2.1'), 'DE')
})

t.test('two databases can be open at the same time', async t => {
  const one = world(t, sample())
  const other = world(
    t,
    writeMmdb([{ first: '192.0.2.0', last: '192.0.2.255', code: 'FR' }], { builtAt }),
  )
  t.equal(one.database.country('192.0.2.1'), 'DE')
  t.equal(other.database.country('192.0.2.1'), 'FR')
  other.database.close()
  t.equal(one.database.country('192.0.2.1'), 'DE')
})

function passesAsSealed(file: Buffer): boolean {
  try {
    return isSealed(file)
  } catch {
    return false
  }
}

t.test('a sealed file is refused after a byte has changed', async t => {
  const file = sealed(sample())
  t.ok(isSealed(file))
  t.equal(world(t, file).database.country('192.0.2.1'), 'DE')
  for (let at = 0; at < file.length; at++) {
    const changed = Buffer.from(file)
    changed.writeUInt8(file.readUInt8(at) ^ (1 << (at & 7)), at)
    if (passesAsSealed(changed)) t.fail(`a change of byte ${at} is not seen`)
    if (passesAsSealed(file.subarray(0, at))) t.fail(`${at} bytes are taken for the whole`)
  }
  // Another country is well-formed: only the checksum tells.
  const damaged = Buffer.from(file)
  damaged.write('FR', file.indexOf('BDE') + 1)
  t.match(world(t, damaged).database.state, {
    status: 'absent',
    problem: /has changed since it was built/,
  })
})

t.test('records that would keep a reader busy for ever are refused', async t => {
  // One record at the start of the data, long enough to be overwritten with others.
  const whole = writeMmdb([{ first: '192.0.2.0', last: '192.0.2.255', code: 'x'.repeat(1000) }], {
    builtAt,
  })
  const data = whole.indexOf('country') - 2
  const problemWith = (record: Buffer): string | undefined => {
    const file = Buffer.from(whole)
    record.copy(file, data)
    return world(t, file).database.state.problem
  }
  const toItself = Buffer.from([0x20, 0])
  t.match(problemWith(toItself), /too many values/)
  // Each array holds the next one twice: 2^100 values in 600 bytes.
  const fan = Array.from({ length: 100 }, (_, level) => {
    const next = (level + 1) * 6
    const pointer = [0x20 | (next >> 8), next & 255]
    return [2, 4, ...pointer, ...pointer]
  })
  t.match(problemWith(Buffer.from([...fan.flat(), 0x42, 0x44, 0x45])), /too many values|too deeply/)
  t.match(problemWith(Buffer.from([...fan.slice(80).flat(), 0x42])), /./)
  // Sixteen million elements announced.
  t.match(problemWith(Buffer.from([31, 4, 0xff, 0xff, 0xff])), /too many values/)
  t.match(problemWith(Buffer.alloc(200, Buffer.from([1, 4]))), /too deeply/)
})

t.test('an inconsistent database is refused with a reason', async t => {
  /** The sample after `at` bytes behind `text` were overwritten. */
  const patched = (text: string, at: number, ...bytes: number[]) => {
    const file = sample()
    file.set(bytes, file.lastIndexOf(text) + text.length + at)
    return file
  }
  const selfReference = () => {
    const file = Buffer.concat([sample(), Buffer.from([0x41, 0x78, 0x20, 0])])
    const metadata = file.lastIndexOf('MaxMind.com') + 'MaxMind.com'.length
    file.set([(file[metadata] ?? 0) + 1], metadata)
    // The value of the new last entry points at itself.
    const offset = file.length - 2 - metadata
    file.set([0x20 | (offset >> 8), offset & 255], file.length - 2)
    return file
  }
  const wrong: [what: string, file: Buffer, problem: RegExp][] = [
    ['a text longer than the file', patched('\x48iso_code', 0, 0x5c), /leaves the file/],
    ['a fraction of two bytes', patched('\x48iso_code', 0, 0x62), /unknown type or size/],
    ['a value of no type', patched('\x47country', 0, 1, 0), /value of no type/],
    ['more nodes than bytes', patched('node_count', 1, 0xff), /does not fit/],
    ['IPv6 that says it is IPv4', patched('ip_version', 1, 4), /deeper than an address/],
    ['another IP version', patched('ip_version', 1, 5), /unknown IP version 5/],
    ['another record size', patched('record_size', 1, 23), /record size/],
    ['metadata without end', selfReference(), /too many values/],
  ]
  for (const [what, file, problem] of wrong) {
    t.match(world(t, file).database.state, { status: 'absent', problem }, what)
  }
})

t.test('a signed number without any bytes is zero', async t => {
  const text = (word: string): number[] => [0x40 | word.length, ...Buffer.from(word)]
  const country = [...text('country'), 0xe1, ...text('iso_code'), ...text('DE')]
  const metadata = [
    [...text('binary_format_major_version'), 0xa1, 2],
    [...text('binary_format_minor_version'), 0xa0],
    [...text('build_epoch'), 0x04, 0x02, 0x65, 0x53, 0xf1, 0x00],
    [...text('database_type'), ...text('X-Country')],
    [...text('ip_version'), 0xa1, 4],
    [...text('node_count'), 0xc1, 1],
    [...text('record_size'), 0xa1, 24],
    [...text('languages'), 0x00, 0x04],
  ]
  // One node: the lower half of all addresses has the record, the upper half has none.
  const tree = [0, 0, 17, 0, 0, 1, ...Buffer.alloc(16)]
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')
  const file = (offset: readonly number[]): Buffer => {
    const record = [0xe2, ...country, ...text('offset'), ...offset]
    return Buffer.from([...tree, ...record, ...marker, 0xe8, ...metadata.flat()])
  }
  for (const zero of [
    [0x00, 0x01],
    [0x01, 0x01, 0x00],
  ]) {
    const { database } = world(t, file(zero))
    t.equal(database.state.problem, undefined)
    t.equal(database.country('8.8.8.8'), 'DE')
  }
})

t.test('a value that does not look like a country code is not a country', async t => {
  const codes = ['de', 'Germany', 'D', '', '1A', 'D\n', 'A1', '\u00e4B', '??', '?']
  const ranges = codes.map((code, n) => ({ first: `192.0.2.${n}`, last: `192.0.2.${n}`, code }))
  const { database } = world(t, writeMmdb(ranges, { builtAt }))
  t.same(
    ranges.map(({ first }) => database.country(first)),
    ['DE', undefined, undefined, undefined, undefined, undefined, 'A1', undefined, '??', undefined],
  )
})

t.test('neighbours of one country share a node', async t => {
  const single = Array.from({ length: 256 }, (_, n) => `192.0.2.${n}`)
  const apart = single.map(address => ({ first: address, last: address, code: 'DE' }))
  const [whole] = networks
  t.ok(whole && writeMmdb(apart, { builtAt }).equals(writeMmdb([whole], { builtAt })))
})

t.test('equal parts of a tree are written once', async t => {
  const pattern = (network: string) => [
    { first: `${network}.7`, last: `${network}.93`, code: 'AT' },
    { first: `${network}.128`, last: `${network}.200`, code: 'DE' },
  ]
  const nodes = (ranges: CountryRange[]) =>
    new Reader(writeMmdb(ranges, { builtAt, mappedAlias: false })).metadata.nodeCount
  const one = pattern('192.0.2')
  const two = [...one, ...pattern('192.0.3')]
  t.equal(nodes(two), nodes(one), 'both sides of a node are the same')
})

t.test('lookups of an unreadable record fail, which is logged once', async t => {
  // More records than are tried at load. The last one gets a key that cannot become a text.
  const ranges = Array.from({ length: 2500 }, (_, n) => {
    const address = formatIPv4(0xc6336400 + n * 2)
    return { first: address, last: address, code: n === 0 ? 'DE' : `no. ${n + 1000}` }
  })
  const file = writeMmdb(ranges, { builtAt })
  const trap = Buffer.from('\xe1\xe2\x48toString\x40\x47valueOf\x40\x40', 'latin1')
  trap.copy(file, file.indexOf('no. 3499') - 20)
  const { database, logged, replace } = world(t, file)
  t.equal(database.state.problem, undefined)
  logged()
  const last = ranges.at(-1)?.first ?? ''
  t.throws(() => database.country(last), LookupError)
  t.throws(() => database.country(last), LookupError)
  t.same(logged(), ['geoip_lookup_failed'])
  t.equal(database.state.failedLookups, 2)
  t.equal(database.country('198.51.100.0'), 'DE')
  replace(sample())
  t.ok(database.reload())
  t.equal(database.country('192.0.2.1'), 'DE')
})

/** Every lookup is a two-character code, nothing, or a LookupError. */
function behaves(database: CountryDatabase, addresses: readonly string[]): boolean {
  return addresses.every(address => {
    try {
      const code = database.country(address)
      return code === undefined || /^[A-Z?][A-Z0-9?]$/.test(code)
    } catch (error) {
      if (error instanceof LookupError) return true
      throw error
    }
  })
}

const addresses = fc.array(
  fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('192.0.2.1', '203.0.113.9')),
  {
    minLength: 3,
    maxLength: 20,
  },
)

t.test('random bytes instead of a database do no harm', async t => {
  const { database, path } = world(t)
  const valid = sample()
  const marker = valid.lastIndexOf('MaxMind.com') - 3
  const endings = [Buffer.alloc(0), valid.subarray(marker), dat([]).subarray(-33)]
  const bytes = fc.uint8Array({ maxLength: 4000 })
  fc.assert(
    fc.property(bytes, fc.constantFrom(...endings), addresses, (body, ending, asked) => {
      writeFileSync(path, Buffer.concat([body, ending]))
      database.reload()
      return behaves(database, asked)
    }),
    { numRuns: runs(400) },
  )
})

t.test('a database with some bytes changed does no harm', async t => {
  for (const valid of [
    sample(),
    sample({ recordShape: 'country_code', recordSize: 28 }),
    dat(['DE', 'US']),
  ]) {
    const { database, path } = world(t)
    const change = fc.tuple(fc.nat(valid.length - 1), fc.nat(255))
    // Most of the file is tree; half the changes go behind it.
    const behind = fc.tuple(
      fc.integer({ min: Math.floor(valid.length * 0.6), max: valid.length - 1 }),
      fc.nat(255),
    )
    let taken = 0
    fc.assert(
      fc.property(
        fc.array(fc.oneof(change, behind), { minLength: 1, maxLength: 8 }),
        addresses,
        (changes, asked) => {
          const file = Buffer.from(valid)
          for (const [at, byte] of changes) file[at] = byte
          writeFileSync(path, file)
          if (database.reload()) taken++
          return behaves(database, asked)
        },
      ),
      { numRuns: runs(300) },
    )
    t.ok(taken > 0, 'some changes go unnoticed, so lookups were really tried')
  }
})

t.test('everything written is found, whatever the ranges', async () => {
  const range = fc
    .tuple(fc.nat(255), fc.nat(255), fc.constantFrom('DE', 'FR', 'US'))
    .map(([a, b, code]) => ({ low: Math.min(a, b), high: Math.max(a, b), code }))
  const { database, path } = world(t)
  fc.assert(
    fc.property(
      fc.array(range, { minLength: 1, maxLength: 12 }),
      fc.boolean(),
      fc.constantFrom(4 as const, 6 as const),
      fc.constantFrom(24 as const, 28 as const),
      (ranges, asIPv6, ipVersion, recordSize) => {
        const written = asIPv6 && ipVersion === 6
        const address = (n: number) =>
          written ? formatIPv6([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]) : formatIPv4(0xc0000200 + n)
        const input = ranges.map(({ low, high, code }) => ({
          first: address(low),
          last: address(high),
          code,
        }))
        writeFileSync(path, writeMmdb(input, { builtAt, ipVersion, recordSize }))
        if (!database.reload()) return false
        return Array.from({ length: 256 }, (_, n) => n).every(n => {
          const expected = ranges.findLast(({ low, high }) => low <= n && n <= high)?.code
          return database.country(address(n)) === expected
        })
      },
    ),
    { numRuns: runs(150) },
  )
})

/** A legacy file: 192.0.2.0/25 is the first country, 192.0.2.128/25 the second. */
function dat(codes: readonly string[]): Buffer {
  const leaf = (code: string | undefined) => 16776960 + ({ DE: 56, US: 225 }[code ?? ''] ?? 0)
  const network = 0xc0000200
  const nodes = Array.from({ length: 24 }, (_, depth) => {
    const bit = (network >>> (31 - depth)) & 1
    const records = [leaf(undefined), leaf(undefined)]
    records[bit] = depth + 1
    return records
  })
  nodes.push([leaf(codes[0]), leaf(codes[1])])
  const tree = Buffer.alloc(nodes.length * 6)
  nodes.flat().forEach((record, i) => {
    tree.writeUIntLE(record, i * 3, 3)
  })
  const text = Buffer.from('\0\0\0GEO-106FREE 20180403 Build')
  return Buffer.concat([tree, text, Buffer.from([0xff, 0xff, 0xff, 1])])
}

t.test('a legacy file is recognised by its contents, not by its name', async t => {
  const whole = dat(['DE', 'US'])
  const { database, path, logged } = world(t, whole)
  t.match(database.state, { status: 'current', format: 'dat' })
  t.same(database.builtAt, new Date('2018-04-03T00:00:00Z'))
  t.equal(database.country('192.0.2.127'), 'DE')
  t.equal(database.country('::ffff:192.0.2.128'), 'US')
  t.equal(database.country('192.0.3.0'), undefined)
  t.equal(database.country('2001:db8::1'), undefined)
  // Files of old end behind the text, without naming their edition.
  writeFileSync(path, whole.subarray(0, -4))
  t.ok(database.reload())
  t.equal(database.country('192.0.2.127'), 'DE')
  logged()
  for (let cut = 0; cut < whole.length - 33; cut++) {
    writeFileSync(path, Buffer.concat([whole.subarray(0, cut)]))
    if (database.reload()) t.fail(`cut at ${cut} of ${whole.length}`)
    if (logged().length !== 1) t.fail(`lines at ${cut}`)
  }
  writeFileSync(path, Buffer.concat([whole.subarray(6, 60), whole.subarray(-33)]))
  t.notOk(database.reload(), 'nodes are missing')
  t.match(database.state.problem, /leaves the file/)
  const end = whole.subarray(-33)
  const chain = Array.from({ length: 40 }, (_, n) => Buffer.from([n + 1, 0, 0, 0, 0xff, 0xff]))
  writeFileSync(path, Buffer.concat([...chain, end]))
  t.notOk(database.reload())
  t.match(database.state.problem, /deeper than an address/)
  t.equal(database.country('192.0.2.127'), 'DE')
})

const debian = '/usr/share/GeoIP'
const absent = existsSync(`${debian}/GeoIP.dat`) ? false : 'no package geoip-database here'
// Where everything is supposed to be installed, an absent package is a failure, not a skip.
const skipDebian = process.env.CI === 'true' ? false : absent

t.test("Debian's legacy files can be read", { skip: skipDebian }, async t => {
  const ipv4 = world(t, readFileSync(`${debian}/GeoIP.dat`)).database
  const ipv6 = world(t, readFileSync(`${debian}/GeoIPv6.dat`)).database
  t.equal(ipv4.state.format, 'dat')
  const known: [string, string][] = [
    ['8.8.8.8', 'US'],
    ['193.99.144.80', 'DE'],
    ['84.112.0.1', 'AT'],
    ['85.0.0.1', 'CH'],
    ['197.210.0.1', 'NG'],
    ['94.100.180.1', 'RU'],
  ]
  for (const [address, code] of known) {
    t.equal(ipv4.country(address), code)
    t.equal(ipv6.country(address), code, 'the IPv6 edition knows IPv4 too')
  }
  t.equal(ipv4.country('2003:e9::1'), undefined)
  t.equal(ipv6.country('2003:e9::1'), 'DE')
  t.equal(ipv6.country('2001:200::1'), 'JP')
})

const header = (generated = 'Wed, 28 Oct 2026 05:00:00 GMT') =>
  [
    '# Location Database Export',
    '#',
    `# Generated: ${generated}`,
    '# Vendor:    Some Project',
    '# License:   CC BY-SA 4.0',
    '#',
    '# This database has been obtained from https://location.example.org/',
    '',
  ].join('\n')
const geoip = `${header()}3221225984,3221226239,DE\n3405803776,3405803903,??\n`
const geoip6 = `${header()}2001:db8::,2001:db8:0:ffff:ffff:ffff:ffff:ffff,CH\n`

t.test('the database is built from the text files, with their date and licence', async t => {
  const { mmdb, notice } = convert({ geoip, geoip6 })
  const { database } = world(t, mmdb)
  t.same(database.builtAt, new Date('2026-10-28T05:00:00Z'))
  t.match(
    database.state.description,
    /Some Project, https:\/\/location.example.org\/, CC BY-SA 4.0/,
  )
  t.match(notice, /Some Project.*CC BY-SA 4.0/)
  t.match(notice, /Data of 2026-10-28/)
  t.match(notice, /Generated: Wed, 28 Oct 2026/, 'the words of the data itself')
  t.equal(database.country('192.0.2.255'), 'DE')
  t.equal(database.country('203.0.113.1'), '??')
  t.equal(database.country('2001:db8::1'), 'CH')
  t.ok(convert({ geoip, geoip6 }).mmdb.equals(mmdb), 'the same bytes again')
  const older = convert({ geoip, geoip6: geoip6.replace('28 Oct', '21 Oct').replace('Wed', 'Wed') })
  t.same(
    world(t, older.mmdb).database.builtAt,
    new Date('2026-10-21T05:00:00Z'),
    'the older date counts',
  )
})

t.test('text in another format is refused, with the line', async t => {
  const mistakes: [geoip: string, problem: RegExp][] = [
    [`${geoip}1,2,Germany\n`, /^geoip:10: expected FIRST,LAST,CC, found "1,2,Germany"/],
    [`${geoip}1,2,DE,x\n`, /^geoip:10: /],
    [`${geoip}1,4294967296,DE\n`, /^geoip:10: /],
    [`${geoip}2001:db8::,2001:db8::1,DE\n`, /^geoip:10: /],
    [`${geoip}9,3,DE\n`, /ends before it begins/],
    [geoip.replace('Generated', 'Made'), /^geoip: the header does not state "Generated:"/],
    [`${header('yesterday')}1,2,DE\n`, /^geoip: "Generated: yesterday" is not a date/],
    [geoip.replace('License', 'Terms'), /"License:"/],
  ]
  for (const [text, problem] of mistakes) {
    t.throws(() => convert({ geoip: text, geoip6 }), { message: problem })
  }
})

t.test('the script writes the database and its notice, or says what is missing', async t => {
  const directory = t.testdir({ data: { geoip, geoip6 }, empty: {} })
  const script = join(import.meta.dirname, '../../scripts/geoip-data.ts')
  const run = (...args: string[]) =>
    execFileSync(process.execPath, [script, ...args], { encoding: 'utf8', stdio: 'pipe' })
  const out = join(directory, 'made/country.mmdb')
  run('--out', out, '--from', join(directory, 'data'))
  t.equal(world(t, readFileSync(out)).database.country('192.0.2.1'), 'DE')
  t.match(readFileSync(`${out}.txt`, 'utf8'), /CC BY-SA 4.0/)
  const failed = spawnSync(process.execPath, [script, '--from', join(directory, 'empty')], {
    encoding: 'utf8',
  })
  t.equal(failed.status, 1)
  t.match(failed.stderr, /^geoip-data: .*empty\/geoip does not exist\n$/)
})
