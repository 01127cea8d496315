/**
 * Text from elsewhere on a terminal: harmless, and as wide as its place. Widths are those of common
 * terminals: letters of East Asian scripts and pictures take two columns, accents none.
 */

const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu
const NARROW = /^[ -~]*$/
const MARK = /^\p{M}/u
const WIDE =
  /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Yi}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u
const HALF_WIDTH = /^[\uff61-\uffdc]/

const CUT = '...'

/** On one line, with what a terminal would obey or hide written as `\x1b` or `\u{202e}`. */
export function printable(text: string): string {
  if (NARROW.test(text)) return text
  return text.replace(UNSAFE, character => {
    const code = character.codePointAt(0) ?? 0
    const digits = code.toString(16)
    return code < 256 ? `\\x${digits.padStart(2, '0')}` : `\\u{${digits}}`
  })
}

/** How many columns a printable text takes. */
export function columnsOf(text: string): number {
  if (NARROW.test(text)) return text.length
  let columns = 0
  for (const character of text) columns += columnsOfOne(character)
  return columns
}

function columnsOfOne(character: string): number {
  if (MARK.test(character)) return 0
  return WIDE.test(character) && !HALF_WIDTH.test(character) ? 2 : 1
}

/** A printable text in at most this many columns, shortened in its middle: `averylong...example.org`. */
export function shortened(text: string, columns: number): string {
  if (fits(text, columns)) return text
  const characters = [...text]
  const rest = Math.max(0, columns - CUT.length)
  const head = taken(characters, Math.ceil(rest / 2))
  const tail = taken(characters.toReversed(), Math.floor(rest / 2))
  return head.join('') + CUT.slice(0, columns) + tail.toReversed().join('')
}

/** The same, shortened at its end. */
export function cutOff(text: string, columns: number): string {
  if (fits(text, columns)) return text
  const head = taken([...text], Math.max(0, columns - CUT.length))
  return head.join('') + CUT.slice(0, columns)
}

/** Filled with spaces. */
export function padded(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)))
}

/** Not a letter with a hundred accents, either. */
function fits(text: string, columns: number): boolean {
  return columnsOf(text) <= columns && text.length <= 3 * columns
}

/** The first characters that take at most this many columns. */
function taken(characters: readonly string[], columns: number): string[] {
  const found: string[] = []
  let left = columns
  for (const character of characters) {
    left -= columnsOfOne(character)
    if (left < 0 || found.length >= 2 * columns) break
    found.push(character)
  }
  return found
}
