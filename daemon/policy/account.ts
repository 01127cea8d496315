/**
 * Whose mail it is: `sasl_username`, folded so that one account has one name.
 *
 * Cyrus SASL reports the name as it was typed, with or without realm (observed with Postfix 3.7),
 * so case is folded and an optional default domain is cut. Directories compare names prepared by
 * RFC 4518: spaces around a name, invisible characters and wide letters make no other account, and
 * must not make another count; nor does a domain in letters instead of ASCII (xn--). No directory has a name of more than 320 characters (64 before the
 * @ and 255 behind it); of longer ones the beginning counts, so that inventing them fills no memory,
 * and preparing them no time: to order the accents of one letter takes the square of their number.
 */

import { asciiDomain } from './mail-address.ts'

/** No capital letters either: nothing to fold. */
const FOLDED = /^[!-@[-~]*$/
const PLAIN = /^[\x21-\x7e]*$/
const MOST_CHARACTERS = 320
/** Characters of a name as typed, invisible ones included. */
const MOST_TYPED = 1024

/** `defaultDomain` without "@"; empty cuts nothing. An empty result means: not authenticated. */
export function accountName(saslUsername: string, defaultDomain: string): string {
  const name = cut(saslUsername, MOST_TYPED)
  const folded = FOLDED.test(name) ? name : fold(name)
  const short = cut(withoutDomain(folded, defaultDomain), MOST_CHARACTERS)
  // A space that came to be at the end would be cut off when the account is looked up by this name.
  return short.trimEnd() || short
}

/** The names that mail of one account may have come under: as `accountName` with this domain, and with none. */
export function accountSpellings(saslUsername: string, defaultDomain: string): readonly string[] {
  const name = accountName(saslUsername, defaultDomain)
  const domain = asciiDomain(defaultDomain)
  return name === '' || domain === '' || name.includes('@') ? [name] : [name, `${name}@${domain}`]
}

function fold(name: string): string {
  return PLAIN.test(name) ? name.toLowerCase() : prepared(name)
}

function withoutDomain(name: string, defaultDomain: string): string {
  if (defaultDomain === '') return name
  const suffix = `@${asciiDomain(defaultDomain)}`
  return name.length > suffix.length && name.endsWith(suffix)
    ? name.slice(0, -suffix.length).trimEnd()
    : name
}

function cut(name: string, most: number): string {
  return name.length <= most ? name : name.slice(0, most).toWellFormed()
}

/** Mapped to nothing (RFC 4518, 2.2): variation selectors, joiners, directions, soft hyphens. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u1806\ufffc]/gu

/** Never empty for a non-empty name: an empty one would mean that nobody has logged in. */
function prepared(name: string): string {
  const visible = name
    .normalize('NFKC')
    .replace(/[\s\u0085]/g, ' ')
    .replace(INVISIBLE, '')
    .replace(/ +/g, ' ')
  const bare = visible.trim()
  const at = bare.lastIndexOf('@') + 1
  // Before its case is folded: a domain with a sharp s is another one than with two.
  const domain = at > 0 ? asciiDomain(bare.slice(at)) : ''
  return foldCase(at > 0 ? bare.slice(0, at) + domain : bare).normalize('NFC') || name
}

/** As in RFC 3454, B.2: what is written with several capitals is folded to several letters. */
function foldCase(name: string): string {
  // A dotless i has the capital of another letter.
  const folded = name.replace(/[^\u0131]+/g, part => part.toUpperCase().toLowerCase())
  return folded.replaceAll('ß', 'ss').replaceAll('ς', 'σ')
}
