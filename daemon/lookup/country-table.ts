/**
 * What the readers of both GeoIP formats hand to geoip.ts: one loaded, verified, immutable table.
 *
 * A reader either throws an Error that says what is wrong with the file, or returns a table that
 * has been checked completely. `country` takes canonical addresses only (net/address.ts).
 */

export interface CountryTable {
  readonly format: 'mmdb' | 'dat'
  /** The date of the data as the file states it; undefined if it states none. */
  readonly builtAt: Date | undefined
  /** Type and attribution, as the file states them. */
  readonly description: string
  country(canonicalAddress: string): string | undefined
}

/**
 * Two characters that look like a country code, else undefined. Whether such a country exists is
 * not checked: EU, AP, A1 and ?? are in use, and it is up to the caller what they mean.
 */
export function countryCode(value: unknown): string | undefined {
  return typeof value === 'string' && /^(?:[A-Za-z][A-Za-z0-9]|\?\?)$/.test(value)
    ? value.toUpperCase()
    : undefined
}
