/**
 * The characters of an expression of Perl's: escapes such as `\x{41}` and `\d`, and `[...]`.
 *
 * What is not understood is a SyntaxError.
 */

import { escapedSet, posixSet, propertySet, type Ranges } from './perl-class.ts'

/** One character, by its code point, or a set of them. */
type Item = number | Ranges

interface Read<T> {
  readonly item: T
  /** Where the expression continues. */
  readonly end: number
}

const CONTROLS: Readonly<Record<string, number>> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 }

/** Letters that mean something in Perl, which is not translated. */
const FOREIGN = new Set('CEFLNQUXgklpPuox'.split(''))

const NUMERIC =
  /^(?:x\{\s*([\da-fA-F_]*)\s*\}|x([\da-fA-F]{0,2})|N\{U\+([\da-fA-F]+)\}|o\{\s*([0-7_]+)\s*\}|([0-7]{1,3})|c([ -~]))/

/** Reads what a backslash at `at` begins, where that may stand in a class as well. */
export function readEscape(source: string, at: number): Read<Item> {
  const rest = source.slice(at + 1)
  const numeric = NUMERIC.exec(rest)
  if (numeric) return { item: codeOf(numeric), end: at + 1 + numeric[0].length }
  const property = /^([pP])(?:\{([^}]*)\}|([A-Za-z]))/.exec(rest)
  if (property) {
    const [whole, letter, braced, short = ''] = property
    return { item: propertySet(braced ?? short, letter === 'P'), end: at + 1 + whole.length }
  }
  const letter = rest[0] ?? ''
  const set = escapedSet(letter)
  if (!set && (FOREIGN.has(letter) || letter === '')) {
    throw new SyntaxError(`"\\${letter}" is not supported`)
  }
  const code = rest.codePointAt(0) ?? 0
  return { item: set ?? CONTROLS[letter] ?? code, end: at + (code > 0xffff ? 3 : 2) }
}

function codeOf([whole, braced, plain, named, octal, digits, control]: RegExpExecArray): number {
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) ^ 64
  const hex = braced ?? plain ?? named
  const code =
    hex === undefined
      ? Number.parseInt((octal ?? digits ?? '').replaceAll('_', ''), 8)
      : Number.parseInt(hex.replaceAll('_', '') || '0', 16)
  if (code > 0x10ffff) throw new SyntaxError(`"\\${whole}" is not a character`)
  return code
}

interface CharacterClass {
  readonly set: Ranges
  readonly isNegated: boolean
  readonly end: number
}

/** Reads `[...]`, whose bracket is at `start`. A `]` that comes first is a member. */
export function readClass(source: string, start: number): CharacterClass {
  const set: (readonly [number, number])[] = []
  const isNegated = source[start + 1] === '^'
  const first = start + (isNegated ? 2 : 1)
  let at = first
  while (at === first || source[at] !== ']') {
    if (at >= source.length) throw new SyntaxError('a "[" without its "]"')
    const { item, end } = readMember(source, at)
    at = end
    if (typeof item !== 'number') {
      set.push(...item)
      continue
    }
    let last = item
    if (/^-[^\]]/.test(source.slice(at))) {
      const range = readMember(source, at + 1)
      if (typeof range.item !== 'number') {
        throw new SyntaxError('a range in "[...]" that ends with a set of characters')
      }
      last = range.item
      at = range.end
    }
    if (last < item) throw new SyntaxError('a range in "[...]" that ends before it begins')
    set.push([item, last])
  }
  return { set, isNegated, end: at + 1 }
}

function readMember(source: string, at: number): Read<Item> {
  const rest = source.slice(at)
  const posix = /^\[([:.=])([^\]]*?)\1\]/.exec(rest)
  if (posix) {
    const [whole, kind, name = ''] = posix
    if (kind !== ':') throw new SyntaxError(`"${whole}" is not supported`)
    return { item: posixSet(name), end: at + whole.length }
  }
  if (rest.startsWith('\\b')) return { item: 8, end: at + 2 }
  if (/^\\[RXNBKAGzZgk](?!\{U)/.test(rest)) {
    throw new SyntaxError(`"${rest.slice(0, 2)}" is not allowed in "[...]"`)
  }
  const code = rest.codePointAt(0) ?? 0
  const read = rest.startsWith('\\')
    ? readEscape(source, at)
    : { item: code, end: at + (code > 0xffff ? 2 : 1) }
  if (typeof read.item === 'number' && read.item > 0xffff) {
    throw new SyntaxError('a character beyond U+FFFF in "[...]" is not supported')
  }
  return read
}
