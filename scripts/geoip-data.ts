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
import { convert, PACKAGE, type Sources } from '../daemon/lookup/tor-geoip.ts'

const INSTALLED = '/usr/share/tor'

/** The places where the texts may be, in order; failed attempts are collected for the message. */
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
      // Otherwise apt translates its labels.
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
