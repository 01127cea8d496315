/**
 * Whose mail it is: `sasl_username`, folded so that one account has one name.
 *
 * Cyrus SASL reports the name as it was typed, with or without realm (observed with Postfix 3.7),
 * so case is folded and an optional default domain is cut. Directories compare names prepared by
 * RFC 4518: blanks around a name, invisible characters and wide letters make no other account, and
 * must not make another count.
 */

const PLAIN = /^[\x21-\x7e]*$/

/** `defaultDomain` without "@"; empty cuts nothing. An empty result means: not authenticated. */
export function accountName(saslUsername: string, defaultDomain: string): string {
  const folded = PLAIN.test(saslUsername) ? saslUsername.toLowerCase() : prepared(saslUsername)
  if (defaultDomain === '') return folded
  const suffix = `@${defaultDomain.toLowerCase()}`
  return folded.length > suffix.length && folded.endsWith(suffix)
    ? folded.slice(0, -suffix.length)
    : folded
}

/** Never empty for a name that was given: an empty one would mean that nobody has logged in. */
function prepared(name: string): string {
  const visible = name
    .normalize('NFKC')
    .replace(/\s+/g, ' ')
    .replace(/[\p{Cc}\p{Cf}]/gu, '')
  return visible.trim().toLowerCase().normalize('NFC') || name
}
