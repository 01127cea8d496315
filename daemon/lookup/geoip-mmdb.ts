/**
 * Countries from a MaxMind DB file (.mmdb), whoever made it.
 *
 * The library reads; mmdb-check.ts makes sure before that there is nothing in the file on which
 * it could throw or hang, for the one we ship when it is made. A file none of whose records holds a
 * country (an ASN database) is refused. Understood records: `{country:{iso_code}}`,
 * `{registered_country:{iso_code}}`, `{country_code}` and `{country: "DE"}`, in this order.
 */

import { Reader, type Response } from 'maxmind'
import { type CountryTable, countryCode } from './country-table.ts'
import { checkMetadata, checkTree, isSealed, sampleAddresses } from './mmdb-check.ts'

export { isMmdb } from './mmdb-check.ts'

/** Decoded records kept; a country database has a few hundred, a city database a million. */
const CACHED_RECORDS = 4096

/** Pauses now and then, so that it can be done between other work. Throws what is wrong with the file. */
export function* readMmdb(file: Buffer): Generator<void, CountryTable> {
  const markerOffset = checkMetadata(file)
  const reader = new Reader<Response>(file, { cache: recordCache() })
  const { ipVersion, buildEpoch, databaseType, description } = reader.metadata

  // The type of the library promises MaxMind's own records; other makers' differ.
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
      // The library would look the first 32 bits of an IPv6 address up in a tree of IPv4.
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

/** Full means full: which records come first hardly matters, evicting would cost more than decoding. */
function recordCache() {
  const records = new Map<string | number, unknown>()
  return {
    get: (key: string | number) => records.get(key),
    set(key: string | number, record: unknown) {
      if (records.size < CACHED_RECORDS) records.set(key, record)
    },
  }
}
