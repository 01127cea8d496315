/**
 * `mtpolicyctl geoip update [--from DIR]`: the host's country database from the data of Debian's
 * tor-geoipdb, when that is newer than the one that comes with the program.
 *
 * dpkg calls it whenever that data changes, and at every upgrade of this package. Older data is never
 * preferred: then a database that an earlier call made is taken away again, if it is not newer
 * either. The daemon notices the new file by itself; only when another file comes first from now on
 * is it told. Data that cannot be read leaves everything as it is.
 */

import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readMmdbAtOnce } from '../lookup/geoip-mmdb.ts'
import type { Paths } from '../paths.ts'
import { describeError } from '../policy/errors.ts'

export interface GeoipIo {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly paths: Paths
  reload(): Promise<void>
}

/** Where tor-geoipdb has its files. */
const SOURCE = 'usr/share/tor'

export async function geoipCommand(argv: readonly string[], io: GeoipIo): Promise<0 | 1 | 64> {
  const from = sourceOf(argv, io.paths)
  if (from === undefined) {
    io.err('usage: mtpolicyctl geoip update [--from DIR]\n')
    return 64
  }
  try {
    io.out(`${await update(from, io)}\n`)
    return 0
  } catch (error) {
    io.err(`mtpolicyctl geoip: ${describeError(error)}; the data in use stays\n`)
    return 1
  }
}

function sourceOf(argv: readonly string[], paths: Paths): string | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      options: { from: { type: 'string', default: join(paths.root, SOURCE) } },
      allowPositionals: true,
    })
    return positionals.join(' ') === 'update' ? values.from : undefined
  } catch {
    return undefined
  }
}

/** What was done, in a line. */
async function update(from: string, { paths, reload }: GeoipIo): Promise<string> {
  const [own = '', ...shipped] = paths.countries
  const builtIn = dateOf(shipped.find(path => existsSync(path)))
  const present = dateOf(own)
  if (!existsSync(join(from, 'geoip'))) {
    return present !== undefined && isNewer(present, builtIn)
      ? `${own}: stays, data of ${day(present)}; there is no newer in ${from}`
      : withdraw(own, `no data in ${from}`, builtIn, reload)
  }
  // Only this command needs the converter.
  const { convert, dateOfSources } = await import('../../scripts/geoip-data.ts')
  const sources = {
    geoip: readFileSync(join(from, 'geoip'), 'utf8'),
    geoip6: readFileSync(join(from, 'geoip6'), 'utf8'),
  }
  const offered = dateOfSources(sources)
  if (!isNewer(offered, builtIn)) {
    return withdraw(own, `the data in ${from} is of ${day(offered)}`, builtIn, reload)
  }
  if (present?.getTime() === offered.getTime()) return `${own}: is of ${day(offered)} already`
  const { mmdb } = convert(sources)
  readMmdbAtOnce(mmdb)
  mkdirSync(paths.state, { recursive: true, mode: 0o750 })
  place(own, mmdb)
  if (present === undefined) await reload()
  return `${own}: data of ${day(offered)}, from ${from}`
}

/** The one that comes with the program is used again. */
async function withdraw(
  own: string,
  why: string,
  builtIn: Date | undefined,
  reload: () => Promise<void>,
): Promise<string> {
  const text = `${why}; the program's own is of ${builtIn ? day(builtIn) : 'no known day'} and is used`
  if (!existsSync(own)) return text
  rmSync(own)
  await reload()
  return text
}

/** The folder belongs to the daemon and we may be root: no link that lies there is followed. */
function place(path: string, content: Buffer): void {
  const staged = `${path}.${randomUUID()}`
  try {
    writeFileSync(staged, content, { flag: 'wx', mode: 0o644 })
    renameSync(staged, path)
  } catch (error) {
    rmSync(staged, { force: true })
    throw error
  }
}

/** Undefined: there is none, or none that can be read. */
function dateOf(path: string | undefined): Date | undefined {
  if (path === undefined || !existsSync(path)) return undefined
  try {
    return readMmdbAtOnce(readFileSync(path)).builtAt
  } catch {
    return undefined
  }
}

function isNewer(date: Date, than: Date | undefined): boolean {
  return than === undefined || date > than
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}
