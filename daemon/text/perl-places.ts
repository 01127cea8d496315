/** Places in a text, as Perl's expressions name them and JavaScript's can say it. */

/** The start of the text, its end, and its end or a final line feed: pattern-tree.ts knows them. */
export const TEXT_START = '(?<![\\s\\S])'
export const TEXT_END = '(?![\\s\\S])'
export const LAST_LINE_END = '(?=\\n?(?![\\s\\S]))'
export const ANY = '[\\s\\S]'
/** `^` and `$` under the flag m. */
export const LINE_START = `(?:${TEXT_START}|(?<=\\n)(?=${ANY}))`
export const LINE_END = `(?=\\n|${TEXT_END})`

/** By the letter after the backslash. */
export const ESCAPED_PLACES: Readonly<Record<string, string>> = {
  A: TEXT_START,
  G: TEXT_START,
  z: TEXT_END,
  Z: LAST_LINE_END,
  b: '\\b',
  B: '\\B',
  // What precedes it is not part of the match, and its groups are not used.
  K: '(?:)',
}
