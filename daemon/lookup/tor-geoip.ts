/**
 * Makes the country database from the two text files of Debian's `tor-geoipdb` (data of IPFire
 * Location), for the one we ship and for `mtpolicyctl geoip update`. It has the date, attribution
 * and licence that the data states. The same data gives the same bytes.
 */

import { formatIPv4, parseIPv6 } from '../net/address.ts'
import { readMmdbAtOnce } from './geoip-mmdb.ts'
import { sealed } from './mmdb-check.ts'
import { type CountryRange, writeMmdb } from './mmdb-writer.ts'

/** Debian's package. */
export const PACKAGE = 'tor-geoipdb'

/** The texts of the files geoip and geoip6. */
export interface Sources {
  readonly geoip: string
  readonly geoip6: string
}

interface DataHeader {
  readonly builtAt: Date
  readonly vendor: string
  readonly license: string
  /** Where its makers say it comes from. */
  readonly source: string
  /** The comment lines of the file, without the leading `#`. */
  readonly text: string
}

/** The date of the data: the older one of the texts geoip and geoip6. */
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
  // Throws if something is wrong with it.
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

/** `FIRST,LAST,CC`. Throws at any other line, because the format must have changed. */
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
