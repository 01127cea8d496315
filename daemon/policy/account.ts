/**
 * Whose mail it is: `sasl_username`, folded so that one account has one name.
 *
 * Cyrus SASL reports the name as it was typed, with or without realm (observed with Postfix 3.7),
 * so case is folded and an optional default domain is cut. Directories compare names prepared by
 * RFC 4518: blanks around a name, invisible characters and wide letters make no other account, and
 * must not make another count. No directory has a name of more than 320 characters (64 before the
 * @ and 255 behind it); of longer ones the beginning counts, so that inventing them fills no memory.
 */

/** Without capital letters, too: nothing to fold. */
const FOLDED = /^[!-@[-~]*$/
const PLAIN = /^[\x21-\x7e]*$/
const MOST_CHARACTERS = 320

/** `defaultDomain` without "@"; empty cuts nothing. An empty result means: not authenticated. */
export function accountName(saslUsername: string, defaultDomain: string): string {
  const folded = FOLDED.test(saslUsername) ? saslUsername : fold(saslUsername)
  return kept(withoutDomain(folded, defaultDomain))
}

function fold(name: string): string {
  return PLAIN.test(name) ? name.toLowerCase() : prepared(name)
}

function withoutDomain(name: string, defaultDomain: string): string {
  if (defaultDomain === '') return name
  const suffix = `@${defaultDomain.toLowerCase()}`
  return name.length > suffix.length && name.endsWith(suffix)
    ? name.slice(0, -suffix.length).trimEnd()
    : name
}

function kept(name: string): string {
  return name.length <= MOST_CHARACTERS ? name : name.slice(0, MOST_CHARACTERS).toWellFormed()
}

/** Mapped to nothing (RFC 4518, 2.2): variation selectors, joiners, directions, soft hyphens. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u1806\ufffc]/gu

/** Never empty for a name that was given: an empty one would mean that nobody has logged in. */
function prepared(name: string): string {
  const visible = name
    .normalize('NFKC')
    .replace(/[\s\u0085]/g, ' ')
    .replace(INVISIBLE, '')
    .replace(/ +/g, ' ')
  const folded = visible.trim().toLowerCase().replaceAll('ß', 'ss').replaceAll('ς', 'σ')
  return folded.normalize('NFC') || name
}
