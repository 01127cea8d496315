/** Countries of client addresses. */

export interface CountryDatabase {
  /**
   * The code the database has for the address (upper case; pseudo codes such as EU or AP as they
   * are), or undefined if it has none or the text is not an address. Throws LookupError if the
   * database cannot be read.
   */
  country(address: string): string | undefined
}
