/**
 * Makes the country database that the daemon ships with.
 *
 *   node scripts/geoip-data.ts --out dist/country.mmdb [--from DIR | --from GEOIP --from GEOIP6]
 *
 * The data is IPFire Location's as Debian maintains it in `tor-geoipdb`: the two text files geoip
 * and geoip6. They are taken from --from, else from the installed package, else from a package
 * fetched with apt into a temporary directory (nothing is installed, root is not needed). The
 * database carries the date, attribution and licence (CC BY-SA 4.0) that the data states itself,
 * and a notice with the same lies beside it as OUT.txt. Same data, same bytes.
 */

import { execFileSync } from 'node:child_process'
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
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { readMmdbAtOnce } from '../daemon/lookup/geoip-mmdb.ts'
import { sealed } from '../daemon/lookup/mmdb-check.ts'
import { formatIPv4, parseIPv6 } from '../daemon/policy/address.ts'
import { type CountryRange, writeMmdb } from './mmdb-writer.ts'

const PACKAGE = 'tor-geoipdb'
const INSTALLED = '/usr/share/tor'

interface Sources {
  readonly geoip: string
  readonly geoip6: string
}

interface DataHeader {
  readonly builtAt: Date
  readonly vendor: string
  readonly license: string
  /** Where its makers say it is from. */
  readonly source: string
  /** The comment lines of the file, without their marks. */
  readonly text: string
}

/** The date of the data, from the texts of geoip and geoip6: the older of both is the honest one. */
export function dateOfSources({ geoip, geoip6 }: Sources): Date {
  const dates = [parseHeader(geoip, 'geoip'), parseHeader(geoip6, 'geoip6')]
  return new Date(Math.min(...dates.map(({ builtAt }) => builtAt.getTime())))
}

/** The database, checked and sealed, and its notice, from the texts of geoip and geoip6. */
export function convert({ geoip, geoip6 }: Sources): { mmdb: Buffer; notice: string } {
  const header = parseHeader(geoip, 'geoip')
  const builtAt = dateOfSources({ geoip, geoip6 })
  const attribution = `${header.vendor}, ${header.source}, ${header.license}`
  const mmdb = writeMmdb(rangesOf(geoip, geoip6), {
    builtAt,
    databaseType: 'univention-mtpolicyd-Country',
    description: `${attribution}; converted from Debian's ${PACKAGE}; data of ${day(builtAt)}`,
  })
  // Throws what is wrong with it.
  readMmdbAtOnce(mmdb)
  const notice = [
    `country.mmdb: ${attribution}`,
    `Data of ${day(builtAt)}, converted from the files geoip and geoip6 of Debian's ${PACKAGE};`,
    `the converted file stays under the licence of the data: ${header.license}.`,
    '',
    'The data says of itself:',
    '',
    header.text,
    '',
  ].join('\n')
  return { mmdb: sealed(mmdb), notice }
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}

function parseHeader(text: string, file: string): DataHeader {
  const end = text.search(/^[^#]/m)
  const lines = text
    .slice(0, end < 0 ? text.length : end)
    .split('\n')
    .map(line => line.replace(/^# ?/, ''))
  const field = (name: string): string => {
    const line = lines.find(candidate => candidate.startsWith(`${name}:`))
    if (line === undefined) throw new Error(`${file}: the header does not state "${name}:"`)
    return line.slice(name.length + 1).trim()
  }
  const builtAt = new Date(field('Generated'))
  if (Number.isNaN(builtAt.getTime())) {
    throw new Error(`${file}: "Generated: ${field('Generated')}" is not a date`)
  }
  return {
    builtAt,
    vendor: field('Vendor'),
    license: field('License'),
    source: /obtained from (https:\S+)/.exec(lines.join('\n'))?.[1] ?? 'location database',
    text: lines.join('\n').trim(),
  }
}

function* rangesOf(geoip: string, geoip6: string): Generator<CountryRange> {
  const ipv4 = (text: string): string | undefined =>
    /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 ? formatIPv4(Number(text)) : undefined
  const ipv6 = (text: string): string | undefined => (parseIPv6(text) ? text : undefined)
  yield* linesOf(geoip, 'geoip', ipv4)
  yield* linesOf(geoip6, 'geoip6', ipv6)
}

/** `FIRST,LAST,CC`. A line of another form means another format: nothing is guessed. */
function* linesOf(
  text: string,
  file: string,
  address: (text: string) => string | undefined,
): Generator<CountryRange> {
  let number = 0
  for (const line of text.split('\n')) {
    number++
    if (line === '' || line.startsWith('#')) continue
    const [first = '', last = '', code = '', ...more] = line.trimEnd().split(',')
    const range = { first: address(first), last: address(last), code }
    if (!range.first || !range.last || !/^(?:[A-Z][A-Z0-9]|\?\?)$/.test(code) || more.length > 0) {
      throw new Error(`${file}:${number}: expected FIRST,LAST,CC, found "${line.slice(0, 60)}"`)
    }
    yield { first: range.first, last: range.last, code }
  }
}

/** Where the texts come from, in order; what was tried in vain is collected for the message. */
function findSources(from: readonly string[], scratch: string): Sources {
  if (from.length > 0) return sourcesIn(from)
  const tried: string[] = []
  for (const attempt of [() => sourcesIn([INSTALLED]), () => fetchPackage(scratch)]) {
    try {
      return attempt()
    } catch (error) {
      tried.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new Error(
    [
      `no GeoIP data found:`,
      ...tried.map(text => `  - ${text.trim().replaceAll('\n', '\n    ')}`),
      `Install Debian's package ${PACKAGE}, or run "apt-get update" if apt knows no such package,`,
      `or unpack it elsewhere and name its directory usr/share/tor with --from.`,
    ].join('\n'),
  )
}

/** One directory, or the two files in any order. */
function sourcesIn(from: readonly string[]): Sources {
  const files = from.flatMap(path =>
    existsSync(path) && statSync(path).isDirectory()
      ? ['geoip', 'geoip6'].map(name => join(path, name))
      : [path],
  )
  const read = (name: string): string => {
    const path = files.find(candidate => basename(candidate) === name)
    if (path === undefined) throw new Error(`no file named ${name} in ${from.join(' ')}`)
    if (!existsSync(path)) throw new Error(`${path} does not exist`)
    return readFileSync(path, 'utf8')
  }
  return { geoip: read('geoip'), geoip6: read('geoip6') }
}

function fetchPackage(scratch: string): Sources {
  const policy = run('apt-cache', ['policy', PACKAGE], scratch)
  const known = /^\s+Candidate: (?!\(none\))/m.test(policy)
  if (!known && process.getuid?.() === 0) run('apt-get', ['update', '-q'], scratch)
  run('apt-get', ['download', '-q', PACKAGE], scratch)
  const deb = readdirSync(scratch).find(name => name.endsWith('.deb'))
  if (deb === undefined) throw new Error(`apt-get download ${PACKAGE} left no package`)
  run('dpkg-deb', ['-x', deb, 'unpacked'], scratch)
  return sourcesIn([join(scratch, 'unpacked/usr/share/tor')])
}

function run(program: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(program, args, {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      // apt translates its labels otherwise.
      env: { ...process.env, LC_ALL: 'C' },
    })
  } catch (error) {
    // Without stderr the program did not start at all.
    const stderr = error instanceof Error && 'stderr' in error ? error.stderr : undefined
    const reason = typeof stderr === 'string' && stderr !== '' ? stderr : String(error)
    throw new Error(`${program} ${args.join(' ')} failed: ${reason}`)
  }
}

function write(path: string, content: Buffer | string): void {
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
}

function main(): void {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: 'dist/country.mmdb' },
      from: { type: 'string', multiple: true, default: [] },
    },
  })
  const scratch = mkdtempSync(join(tmpdir(), 'geoip-data-'))
  try {
    const { mmdb, notice } = convert(findSources(values.from, scratch))
    mkdirSync(dirname(values.out), { recursive: true })
    write(values.out, mmdb)
    write(`${values.out}.txt`, notice)
    console.log(`${values.out}: ${notice.split('\n', 2).join(' ')}`)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

if (import.meta.main) {
  try {
    main()
  } catch (error) {
    console.error(`geoip-data: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}
