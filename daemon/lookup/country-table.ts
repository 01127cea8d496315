/**
 * What the readers of both GeoIP formats hand to geoip.ts: one loaded, verified, immutable table.
 *
 * A reader throws an Error that says what is wrong with the file, or returns a table of which
 * every part has been looked at. `country` takes canonical addresses only (policy/address.ts).
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
 * Two characters in the shape of a country code, else undefined. Whether a country of that code
 * exists is not asked: EU, AP, A1 and ?? are in use and mean something to whoever judges.
 */
export function countryCode(value: unknown): string | undefined {
  return typeof value === 'string' && /^(?:[A-Za-z][A-Za-z0-9]|\?\?)$/.test(value)
    ? value.toUpperCase()
    : undefined
}
