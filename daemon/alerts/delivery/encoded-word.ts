/**
 * Header texts of a mail: folded lines, and encoded words where letters are not ASCII (RFC 2047).
 *
 * A text is made one line first, so it can never end its header and begin another one.
 */

/** Where a line is folded (RFC 5322, 2.1.1); a longer line is allowed up to 998. */
const FOLDED_COLUMNS = 78
/** An encoded word without `=?UTF-8?Q?` and `?=`: it has its place in a line of 76 after the longest name (RFC 2047, 2). */
const ENCODED_WORD_CHARACTERS = 44
/** A word without spaces that is longer is encoded, because it cannot be folded otherwise. */
const PLAIN_WORD_CHARACTERS = 56

/** What needs no encoding in a phrase, either (RFC 2047, 5, rule 3). */
const PLAIN = /^[A-Za-z0-9!*+/-]$/

/** Without line breaks and other control characters, and without spaces at its ends. */
export function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll(/ {2,}/g, ' ')
    .trim()
}

/** `Subject: TEXT`, in as many lines as it takes, without a line break at its end. */
export function textHeader(name: string, text: string): string {
  const line = oneLine(text)
  return folded(name, isPlain(line) ? line.split(' ') : encodedWords(line))
}

/** As a display name before an address: quoted, or in encoded words. */
export function phrase(text: string): string {
  const line = oneLine(text)
  if (!isPlain(line)) return encodedWords(line).join(' ')
  return `"${line.replaceAll(/["\\]/g, '\\$&')}"`
}

/** `NAME: ` and the words, with a line break before each that would make a line too long. */
export function folded(name: string, words: readonly string[]): string {
  const lines = [`${name}:`]
  for (const word of words) {
    const last = lines.at(-1) ?? ''
    if (last.length + 1 + word.length <= FOLDED_COLUMNS || last === `${name}:`) {
      lines[lines.length - 1] = `${last} ${word}`
    } else lines.push(` ${word}`)
  }
  return lines.join('\n')
}

function isPlain(line: string): boolean {
  if (!/^[ -~]*$/.test(line) || line.includes('=?')) return false
  return line.split(' ').every(word => word.length <= PLAIN_WORD_CHARACTERS)
}

/** Spaces between encoded words are not part of the text, so those of the text are inside of them. */
function encodedWords(line: string): string[] {
  const words: string[] = []
  let word = ''
  for (const character of line) {
    const encoded = encode(character)
    if (word.length + encoded.length > ENCODED_WORD_CHARACTERS) {
      words.push(word)
      word = ''
    }
    word += encoded
  }
  return [...words, word].map(one => `=?UTF-8?Q?${one}?=`)
}

/** A character is never divided between two words (RFC 2047, 5). */
function encode(character: string): string {
  if (character === ' ') return '_'
  if (PLAIN.test(character)) return character
  return [...Buffer.from(character)].map(hex).join('')
}

/** `=C3` */
export function hex(byte: number): string {
  return `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
}
