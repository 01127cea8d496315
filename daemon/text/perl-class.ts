/**
 * Sets of characters as Perl's expressions name them (`\s`, `[:alpha:]`, `\p{Lu}`), written as
 * JavaScript's classes.
 *
 * `\d`, `\w`, `\s` and the POSIX classes mean ASCII, as they do for the bytes that mtpolicyd
 * matches. JavaScript's own `\s` and `.` differ from that, so they are never used.
 */

/** First and last character of each range, by UTF-16 unit. */
export type Ranges = readonly (readonly [first: number, last: number])[]

const LAST = 0xffff

const DIGIT: Ranges = [[0x30, 0x39]]
const UPPER: Ranges = [[0x41, 0x5a]]
const LOWER: Ranges = [[0x61, 0x7a]]
const ALPHA: Ranges = [...UPPER, ...LOWER]
const WORD: Ranges = [...DIGIT, ...UPPER, [0x5f, 0x5f], ...LOWER]
const SPACE: Ranges = [
  [0x09, 0x0d],
  [0x20, 0x20],
]
/** Horizontal white space; also beyond ASCII, as in Perl. */
const HORIZONTAL: Ranges = [
  [0x09, 0x09],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
]
export const VERTICAL: Ranges = [
  [0x0a, 0x0d],
  [0x85, 0x85],
  [0x2028, 0x2029],
]
export const LINE_FEED: Ranges = [[0x0a, 0x0a]]
const PUNCTUATION: Ranges = [
  [0x21, 0x2f],
  [0x3a, 0x40],
  [0x5b, 0x60],
  [0x7b, 0x7e],
]

const POSIX: Readonly<Record<string, Ranges>> = {
  alpha: ALPHA,
  digit: DIGIT,
  alnum: [...DIGIT, ...ALPHA],
  upper: UPPER,
  lower: LOWER,
  space: SPACE,
  blank: [
    [0x09, 0x09],
    [0x20, 0x20],
  ],
  punct: PUNCTUATION,
  xdigit: [...DIGIT, [0x41, 0x46], [0x61, 0x66]],
  word: WORD,
  cntrl: [
    [0x00, 0x1f],
    [0x7f, 0x7f],
  ],
  print: [[0x20, 0x7e]],
  graph: [[0x21, 0x7e]],
  ascii: [[0x00, 0x7f]],
}

const ESCAPES: Readonly<Record<string, Ranges>> = {
  d: DIGIT,
  w: WORD,
  s: SPACE,
  h: HORIZONTAL,
  v: VERTICAL,
}

/** The set of `\d`, or of its opposite `\D`; undefined for a letter that names none. */
export function escapedSet(letter: string): Ranges | undefined {
  const lower = letter.toLowerCase()
  if (!Object.hasOwn(ESCAPES, lower)) return undefined
  const set = ESCAPES[lower] ?? []
  return letter === lower ? set : complement(set)
}

/** `[:alpha:]` or `[:^alpha:]`, without what is around the name. */
export function posixSet(name: string): Ranges {
  const bare = name.replace(/^\^/, '')
  const set = Object.hasOwn(POSIX, bare) ? POSIX[bare] : undefined
  if (!set) throw new SyntaxError(`[:${name}:] is not a character class`)
  return bare === name ? set : complement(set)
}

/** Perl's names for properties that JavaScript names otherwise. */
const PROPERTY_NAMES: Readonly<Record<string, string>> = {
  alpha: 'Alphabetic',
  digit: 'Nd',
  upper: 'Uppercase',
  uppercase: 'Uppercase',
  lower: 'Lowercase',
  lowercase: 'Lowercase',
  space: 'White_Space',
  spaceperl: 'White_Space',
  punct: 'P',
  cntrl: 'Cc',
  control: 'Cc',
}

const properties = new Map<string, Ranges>()

/** The set of `\p{NAME}`; a name that JavaScript does not have either is a SyntaxError. */
export function propertySet(written: string, isNegated: boolean): Ranges {
  const isOpposite = written.startsWith('^') !== isNegated
  const name = written.replace(/^\^/, '').trim()
  const bare = name.replace(/^is[_ ]?/i, '')
  const posix = /^posix[_ ]?(\w+)$/i.exec(bare)?.[1]?.toLowerCase()
  const set = posix === undefined ? unicodeSet(bare, name) : posixSet(posix)
  return isOpposite ? complement(set) : set
}

function unicodeSet(bare: string, written: string): Ranges {
  const known = properties.get(bare)
  if (known) return known
  const name = PROPERTY_NAMES[bare.toLowerCase()] ?? bare
  const candidates = [
    name,
    `Script_Extensions=${name}`,
    name.replace(/^(?:script|sc)\s*[=:]\s*/i, 'Script='),
  ]
  const pattern = candidates.map(propertyPattern).find(one => one !== undefined)
  if (!pattern) throw new SyntaxError(`the property \\p{${written}} is not supported`)
  const set = rangesOf(code => pattern.test(String.fromCharCode(code)))
  if (properties.size < 100) properties.set(bare, set)
  return set
}

function propertyPattern(name: string): RegExp | undefined {
  try {
    return new RegExp(`^\\p{${name}}$`, 'u')
  } catch {
    return undefined
  }
}

function rangesOf(has: (code: number) => boolean): Ranges {
  const ranges: [number, number][] = []
  for (let code = 0; code <= LAST; code++) {
    // A half of a pair is not a character.
    if ((code & 0xf800) === 0xd800 || !has(code)) continue
    const last = ranges.at(-1)
    if (last && last[1] === code - 1) last[1] = code
    else ranges.push([code, code])
  }
  return ranges
}

export function complement(set: Ranges): Ranges {
  const ranges: [number, number][] = []
  let next = 0
  for (const [first, last] of set.toSorted((a, b) => a[0] - b[0])) {
    if (first > next) ranges.push([next, first - 1])
    next = Math.max(next, last + 1)
  }
  if (next <= LAST) ranges.push([next, LAST])
  return ranges
}

/** The same with both cases of all ASCII letters. */
export function bothCases(set: Ranges): Ranges {
  return set.flatMap(([first, last]) => {
    const others = [UPPER, LOWER].flatMap(([[low, high] = [0, 0]]) => {
      const from = Math.max(first, low)
      const to = Math.min(last, high)
      return from <= to ? [[from ^ 32, to ^ 32] as const] : []
    })
    return [[first, last] as const, ...others]
  })
}

/** `[...]` or `[^...]`, or the character alone. */
export function classText(set: Ranges, isNegated = false): string {
  const [only] = set
  if (only && set.length === 1 && only[0] === only[1] && !isNegated) return characterText(only[0])
  const body = set.map(([first, last]) => {
    const [from, to] = [characterText(first), characterText(last)]
    return first === last ? from : last === first + 1 ? from + to : `${from}-${to}`
  })
  return `[${isNegated ? '^' : ''}${body.join('')}]`
}

const NAMED: Readonly<Record<number, string>> = {
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
}

/** One character as an expression, inside of a class and outside. */
export function characterText(code: number): string {
  const named = NAMED[code]
  if (named !== undefined) return named
  if (code > LAST) return `(?:${[...String.fromCodePoint(code)].join('')})`
  if (code > 0x7e) return `\\u${code.toString(16).padStart(4, '0')}`
  if (code < 0x20) return `\\x${code.toString(16).padStart(2, '0')}`
  const character = String.fromCharCode(code)
  return /[\w @"'#%&,:;<=>!~`]/.test(character) ? character : `\\${character}`
}
