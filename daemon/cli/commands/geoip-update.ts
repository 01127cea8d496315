/**
 * geoip update: the host's country database from the data of Debian's tor-geoipdb, when that is
 * newer than the one that comes with the program.
 *
 * dpkg calls it whenever that data changes, and at every upgrade of this package. Older data is
 * never preferred: a database made by an earlier call is removed again if it is not newer either.
 * The daemon notices a changed file by itself; it is told only when another file comes first from
 * now on. Data that cannot be read leaves everything as it is.
 */

import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readMmdbAtOnce } from '../../lookup/geoip-mmdb.ts'
import { makeStateFolder } from '../../system/daemon-user.ts'
import { describeError } from '../../system/errors.ts'
import { replaceFile } from '../../system/replace-file.ts'
import { defineCommand } from '../command.ts'
import type { Host } from '../host.ts'
import { json as jsonOption } from '../options.ts'
import { reloadIfRunning } from '../reload-if-running.ts'

/** Where tor-geoipdb has its files. */
const SOURCE = 'usr/share/tor'

export const geoipUpdate = defineCommand({
  name: 'geoip update',
  group: 'package',
  summary: 'install newer country data, from tor-geoipdb',
  more: `
    Builds the country database from the files of Debian’s package tor-geoipdb if they are newer
    than the database that comes with the program. dpkg runs it whenever they change.
  `,
  json: '{ok, message}: what was done, or what failed.',
  options: {
    from: {
      type: 'string',
      argument: 'DIR',
      offers: 'directories',
      doc: 'The directory with the files geoip and geoip6. Default: /usr/share/tor.',
    },
    json: jsonOption,
  },
  async run({ from, json }, host) {
    const source = from ?? join(host.paths.root, SOURCE)
    const result = await update(source, host).then(
      message => ({ ok: true, message }),
      error => ({ ok: false, message: `${describeError(error)}; the data in use is kept` }),
    )
    if (json) host.out(`${JSON.stringify(result, undefined, 2)}\n`)
    else if (result.ok) host.out(`${result.message}\n`)
    else host.err(`mtpolicyctl geoip: ${result.message}\n`)
    return result.ok ? 0 : 1
  },
})

/** What was done, in a line. */
async function update(from: string, host: Host): Promise<string> {
  const { paths } = host
  const [own = '', ...shipped] = paths.countries
  const builtIn = dateOf(shipped.find(path => existsSync(path)))
  const present = dateOf(own)
  if (!existsSync(join(from, 'geoip'))) {
    return present !== undefined && isNewer(present, builtIn)
      ? `${own}: kept, its data is from ${day(present)}; there is nothing newer in ${from}`
      : withdraw(own, `no data in ${from}`, builtIn, host)
  }
  // Only this command needs the converter.
  const { convert, dateOfSources } = await import('../../lookup/tor-geoip.ts')
  const sources = {
    geoip: readFileSync(join(from, 'geoip'), 'utf8'),
    geoip6: readFileSync(join(from, 'geoip6'), 'utf8'),
  }
  const offered = dateOfSources(sources)
  if (!isNewer(offered, builtIn)) {
    return withdraw(own, `the data in ${from} is from ${day(offered)}`, builtIn, host)
  }
  if (present?.getTime() === offered.getTime() && isOpen(own)) {
    return `${own}: already has the data from ${day(offered)}`
  }
  const { mmdb } = convert(sources)
  readMmdbAtOnce(mmdb)
  makeStateFolder(paths.root, paths.state)
  place(own, mmdb)
  if (present === undefined) await reloadIfRunning(host)
  return `${own}: data from ${day(offered)}, taken from ${from}`
}

/** The database that comes with the program is used again. */
async function withdraw(
  own: string,
  why: string,
  builtIn: Date | undefined,
  host: Host,
): Promise<string> {
  const since = builtIn ? `from ${day(builtIn)}` : 'of unknown age'
  const text = `${why}; the data that comes with the program, ${since}, is used`
  if (!existsSync(own)) return text
  rmSync(own)
  await reloadIfRunning(host)
  return text
}

/**
 * For the daemon to read, whatever root's umask is. The folder belongs to the daemon and we may be root: a
 * link that lies there is not followed, and the temporary name cannot be foreseen.
 */
function place(path: string, content: Buffer): void {
  replaceFile(path, content, {
    mode: 0o644,
    sync: 'nothing',
    temporary: `${path}.${randomUUID()}`,
    mountPoint: 'fail',
  })
}

const isOpen = (path: string): boolean => (statSync(path).mode & 0o004) !== 0

/** Undefined: there is no database, or none that can be read. */
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
