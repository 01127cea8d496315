/**
 * The parse tree of a JavaScript regular expression (without the flags u and v), as far as its cost
 * depends on it. Characters are reduced to what they can match: ASCII exactly, all others as one.
 *
 * Undefined for an expression that is not understood; the caller then assumes the worst.
 */

import { LAST_LINE_END, TEXT_END, TEXT_START } from './perl-places.ts'

/** A set of characters: bit N is the ASCII character N, bit 128 all the others. */
export type Chars = bigint

export const NO_CHAR: Chars = 0n
const OTHERS: Chars = 1n << 128n
export const ANY_CHAR: Chars = (1n << 129n) - 1n

interface Begin {
  /** The characters it can begin with. */
  readonly first: Chars
  /** How many atoms may have to be tried to see that it does not begin here. */
  readonly width: number
  /** Can it match without a look at the next character? `$` cannot. */
  readonly nullable: boolean
  /** Can it match without a character? */
  readonly isEmpty: boolean
}

export type PatternNode = Begin &
  (
    | { readonly kind: 'char' }
    | { readonly kind: 'sequence' | 'choice'; readonly items: readonly PatternNode[] }
    | {
        readonly kind: 'repeat'
        readonly item: PatternNode
        readonly min: number
        readonly max: number
      }
    /** Looks ahead or behind, and is never tried a second time. */
    | { readonly kind: 'look'; readonly item: PatternNode }
    /** What a group has matched, once more. */
    | { readonly kind: 'again' }
    /** `^`, `$`, `\b`. */
    | { readonly kind: 'place'; readonly isStart: boolean }
  )

const MOST_DEPTH = 200

export function parsePattern(pattern: RegExp): PatternNode | undefined {
  return new PatternParser(pattern).parse()
}

/** Ends parsing at what is not understood. */
class NotUnderstood extends Error {}

class PatternParser {
  readonly #source: string
  readonly #flags: string
  readonly #ignoresCase: boolean
  #at = 0
  #depth = 0
  /** Inside a lookbehind, where text is matched from right to left. */
  #behind = 0

  constructor(pattern: RegExp) {
    this.#source = pattern.source
    this.#flags = pattern.flags
    this.#ignoresCase = pattern.ignoreCase
  }

  parse(): PatternNode | undefined {
    try {
      const whole = this.#choice()
      return this.#at === this.#source.length ? whole : undefined
    } catch (error) {
      if (error instanceof NotUnderstood) return undefined
      throw error
    }
  }

  #choice(): PatternNode {
    if (++this.#depth > MOST_DEPTH) throw new NotUnderstood()
    const items = [this.#sequence()]
    while (this.#skip('|')) items.push(this.#sequence())
    this.#depth--
    const [only] = items
    if (only && items.length === 1) return only
    const first = items.reduce((chars, item) => chars | item.first, NO_CHAR)
    const width = items.reduce((sum, item) => sum + item.width, 0)
    return {
      kind: 'choice',
      items,
      first,
      width,
      nullable: items.some(item => item.nullable),
      isEmpty: items.some(item => item.isEmpty),
    }
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = []
    for (;;) {
      const char = this.#source[this.#at]
      if (char === undefined || char === '|' || char === ')') break
      items.push(this.#quantified(this.#atom()))
    }
    let first = NO_CHAR
    let width = 1
    const nullable = items.every(item => {
      first |= item.first
      width += item.width
      return item.nullable
    })
    return {
      kind: 'sequence',
      items,
      first,
      width,
      nullable,
      isEmpty: items.every(item => item.isEmpty),
    }
  }

  #quantified(item: PatternNode): PatternNode {
    const [whole, sign, low, comma, high] = this.#take(/([*+?]|\{(\d+)(,?)(\d*)\})\??/y) ?? []
    if (whole === undefined) return item
    const min = low === undefined ? (sign === '+' ? 1 : 0) : Number(low)
    const most = high ? Number(high) : comma ? Infinity : min
    const max = low === undefined ? (sign === '?' ? 1 : Infinity) : most
    const nullable = item.nullable || min === 0
    const { first, width } = item
    const isEmpty = item.isEmpty || min === 0
    return { kind: 'repeat', item, min, max, first, width, nullable, isEmpty }
  }

  #atom(): PatternNode {
    const char = this.#source[this.#at] ?? ''
    if (char === '(') return this.#group()
    if (char === '^') return this.#place(1, !this.#flags.includes('m'))
    if (char === '$') return this.#end()
    if (char === '*' || char === '+' || char === '?') throw new NotUnderstood()
    if (this.#take(/\\[bB]/y)) return this.#place(0, false)
    if (this.#take(/\\(?:[1-9]\d*|k<[^>]*>)/y)) {
      return { kind: 'again', first: ANY_CHAR, width: 1, nullable: true, isEmpty: true }
    }
    const [text] =
      this.#take(/\[(?:[^\\\]]|\\.)*\]/sy) ??
      this.#take(/\\(?:c[a-zA-Z]|x[\da-fA-F]{2}|u[\da-fA-F]{4}|0(?!\d)|[^ckxu\d])/y) ??
      this.#take(/[^\\[]/y) ??
      []
    if (text === undefined) throw new NotUnderstood()
    const first = this.#behind > 0 ? ANY_CHAR : this.#charsOf(text)
    return { kind: 'char', first, width: 1, nullable: false, isEmpty: false }
  }

  #group(): PatternNode {
    const start = this.#at
    const [opening = ''] = this.#take(/\((?:\?(?:[:=!]|<[=!]|<[^>]*>))?/y) ?? []
    if (opening === '(' && this.#source[this.#at] === '?') throw new NotUnderstood()
    const looks = /[=!]$/.test(opening)
    const looksBehind = looks && opening.includes('<')
    if (looksBehind) this.#behind++
    const item = this.#choice()
    if (looksBehind) this.#behind--
    if (!this.#skip(')')) throw new NotUnderstood()
    if (!looks) return item
    // Places that JavaScript has no word for, as perl-pattern.ts writes them.
    const whole = this.#source.slice(start, this.#at)
    if (whole === TEXT_START) return this.#place(0, true)
    if (whole === TEXT_END || whole === LAST_LINE_END) return this.#textEnd(whole)
    // Its cost at each position is not its width.
    return { kind: 'look', item, first: ANY_CHAR, width: 1, nullable: true, isEmpty: true }
  }

  #place(length: number, isStart: boolean): PatternNode {
    this.#at += length
    return { kind: 'place', isStart, first: NO_CHAR, width: 1, nullable: true, isEmpty: true }
  }

  /** The very end, or before a final line feed. */
  #textEnd(whole: string): PatternNode {
    const first = whole === LAST_LINE_END ? this.#charsOf('\\n') : NO_CHAR
    const nullable = this.#behind > 0
    return { kind: 'place', isStart: false, first, width: 1, nullable, isEmpty: true }
  }

  /** `$` holds only where no character follows, or a line feed. */
  #end(): PatternNode {
    this.#at++
    const first = this.#flags.includes('m') ? this.#charsOf('\\n') | OTHERS : NO_CHAR
    const nullable = this.#behind > 0
    return { kind: 'place', isStart: false, first, width: 1, nullable, isEmpty: true }
  }

  #charsOf(text: string): Chars {
    const code = text.charCodeAt(0)
    if (text.length === 1 && text !== '.') {
      if (code > 127) return OTHERS
      const bit = 1n << BigInt(code)
      if (!this.#ignoresCase || !/[a-z]/i.test(text)) return bit
      return bit | (1n << BigInt(code ^ 32))
    }
    return charsMatching(text, this.#flags)
  }

  #skip(char: string): boolean {
    if (this.#source[this.#at] !== char) return false
    this.#at++
    return true
  }

  #take(form: RegExp): RegExpExecArray | undefined {
    form.lastIndex = this.#at
    const match = form.exec(this.#source)
    if (match) this.#at += match[0].length
    return match ?? undefined
  }
}

/** Cached results for atoms such as `[a-z0-9]`; lists repeat the same few. */
const known = new Map<string, Chars>()
const MOST_KNOWN = 1000

/** Tries each ASCII character, so that V8 itself decides what an atom matches. */
function charsMatching(atom: string, flags: string): Chars {
  const key = `${flags} ${atom}`
  const before = known.get(key)
  if (before !== undefined) return before
  const pattern = new RegExp(`^(?:${atom})`, flags.replaceAll(/[^is]/g, ''))
  // No other character, if it consists only of ASCII characters, \d and \w.
  let chars =
    /^(?:\\[dw]|\\[!-/:-@[-`{-~]|\[(?!\^)(?:[ -[\]-~]|\\(?:x[0-7]|[dtnvfr!-/:-@[-`w{-~]))*\])$/.test(
      atom,
    )
      ? NO_CHAR
      : OTHERS
  for (let code = 0; code < 128; code++) {
    if (pattern.test(String.fromCharCode(code))) chars |= 1n << BigInt(code)
  }
  if (known.size >= MOST_KNOWN) known.clear()
  known.set(key, chars)
  return chars
}
