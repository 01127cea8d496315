/**
 * Countries from a MaxMind DB file (.mmdb) of any maker.
 *
 * A library reads the file, after mmdb-check.ts has made sure that nothing in it makes the library
 * throw or hang; the file we ship is checked when it is built. A file without any country in its
 * records (an ASN database) is refused. Supported records: `{country:{iso_code}}`,
 * `{registered_country:{iso_code}}`, `{country_code}` and `{country: "DE"}`, in this order.
 */

import { Reader, type Response } from 'maxmind'
import { type CountryTable, countryCode } from './country-table.ts'
import { checkMetadata, checkTree, isSealed, sampleAddresses } from './mmdb-check.ts'

export { isMmdb } from './mmdb-check.ts'

/** Decoded records that are cached; a country database has a few hundred, a city database a million. */
const CACHED_RECORDS = 4096

/** Yields now and then, so that other work can be done in between. Throws what is wrong with the file. */
export function* readMmdb(file: Buffer): Generator<void, CountryTable> {
  const markerOffset = checkMetadata(file)
  const reader = new Reader<Response>(file, { cache: recordCache() })
  const { ipVersion, buildEpoch, databaseType, description } = reader.metadata

  // The library's type describes MaxMind's own records; those of other makers differ.
  const recordOf = (address: string): unknown => reader.get(address)

  if (!isSealed(file)) {
    yield* checkTree(file, markerOffset, reader.metadata)
    let namesCountries = false
    for (const address of sampleAddresses(file, reader.metadata)) {
      if (address === undefined) yield
      else namesCountries = countryIn(recordOf(address)) !== undefined
      if (namesCountries) break
    }
    if (!namesCountries) {
      throw new Error(`no record of this database (type ${databaseType}) names a country`)
    }
  }

  const texts: readonly unknown[] = Object.values(description ?? {})
  return {
    format: 'mmdb',
    builtAt: Number.isFinite(buildEpoch.getTime()) ? buildEpoch : undefined,
    description: [databaseType, texts[0]].filter(text => typeof text === 'string').join(': '),
    country(address) {
      // The library would look up the first 32 bits of an IPv6 address in a tree of IPv4.
      if (ipVersion === 4 && address.includes(':')) return undefined
      return countryIn(recordOf(address))
    },
  }
}

/** Without a pause. */
export function readMmdbAtOnce(file: Buffer): CountryTable {
  const reading = readMmdb(file)
  for (;;) {
    const { done, value } = reading.next()
    if (done) return value
  }
}

function countryIn(record: unknown): string | undefined {
  if (!isRecord(record)) return undefined
  const { country, registered_country: registered, country_code: code } = record
  return (
    (isRecord(country) ? countryCode(country.iso_code) : undefined) ??
    (isRecord(registered) ? countryCode(registered.iso_code) : undefined) ??
    countryCode(code) ??
    countryCode(country)
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Never evicts: that would cost more than decoding, and it hardly matters which records are cached. */
function recordCache() {
  const records = new Map<string | number, unknown>()
  return {
    get: (key: string | number) => records.get(key),
    set(key: string | number, record: unknown) {
      if (records.size < CACHED_RECORDS) records.set(key, record)
    },
  }
}
