/**
 * Regular expressions as Perl reads them, translated into JavaScript's.
 *
 * JavaScript takes much of Perl's syntax without a word for something else: `\z` for the letter z,
 * `\x{41}` for 41 times an x, `$` for the very end. So nothing is passed on that is not understood
 * here: each construct is translated, or it is a SyntaxError, which is a mistake at load. Matching
 * is by UTF-16 unit; the original matched UTF-8 bytes.
 *
 * test/text/perl.test.ts compares this with a real perl.
 */

import {
  bothCases,
  characterText,
  classText,
  LINE_FEED,
  type Ranges,
  VERTICAL,
} from './perl-class.ts'
import { changedFlags, NO_FLAGS } from './perl-flags.ts'
import { readClass, readEscape } from './perl-items.ts'
import { ANY, ESCAPED_PLACES, LAST_LINE_END, LINE_END, LINE_START } from './perl-places.ts'

/** What may be left out: an alternative, a negative look, or an atom that may occur no times. */
interface Maybe {
  readonly outer: Maybe | undefined
  /** Known only when the quantifier of the atom has been read. */
  isReal: boolean
}

interface Group {
  /** In the translation. */
  readonly name: string
  readonly maybe: Maybe | undefined
  isClosed: boolean
}

/** How a letter is matched without regard to case: by the flag, where all letters agree. */
type CaseMode = 'flag' | 'classes'

/** The expression, or a SyntaxError that says what is wrong. */
export function toJavaScript(source: string): RegExp {
  const translator = new Translator(source, 'flag')
  const text = translator.translate()
  if (translator.cases.size < 2) return new RegExp(text, translator.cases.has(true) ? 'i' : '')
  return new RegExp(new Translator(source, 'classes').translate())
}

const MOST_DEPTH = 250

class Translator {
  /** With which values of the flag i there are characters. */
  readonly cases = new Set<boolean>()
  readonly #source: string
  readonly #caseMode: CaseMode
  #at = 0
  #flags = NO_FLAGS
  #maybe: Maybe | undefined
  /** Inside of a lookbehind, which JavaScript matches from right to left. */
  #behind = 0
  #atomics = 0
  #depth = 0
  readonly #groups: Group[] = []
  readonly #names = new Map<string, Group>()

  constructor(source: string, caseMode: CaseMode) {
    this.#source = source
    this.#caseMode = caseMode
  }

  translate(): string {
    const text = this.#alternatives()
    if (this.#at < this.#source.length) throw new SyntaxError('a ")" without its "("')
    return text
  }

  /** Up to the end of the group. What a flag inside changes ends with it. */
  #alternatives(): string {
    const { flags, maybe } = { flags: this.#flags, maybe: this.#maybe }
    if (++this.#depth > MOST_DEPTH) throw new SyntaxError('groups are nested too deeply')
    const hasSeveral = this.#hasAlternatives()
    const parts: string[] = []
    do {
      if (hasSeveral) this.#maybe = { outer: maybe, isReal: true }
      parts.push(this.#sequence())
    } while (this.#skip('|'))
    this.#flags = flags
    this.#maybe = maybe
    this.#depth--
    return parts.join('|')
  }

  /** Does a `|` follow on this level? Escapes, classes and comments are stepped over. */
  #hasAlternatives(): boolean {
    let depth = 0
    const steps = /\\[\s\S]|\[\^?\]?(?:\[:\^?\w+:\]|\\[\s\S]|[^\]\\])*\]|\(\?#[^)]*\)|[\s\S]/g
    for (const [step] of this.#source.slice(this.#at).matchAll(steps)) {
      if (step === '(') depth++
      else if (step === ')' && --depth < 0) return false
      else if (step === '|' && depth === 0) return true
    }
    return false
  }

  #sequence(): string {
    let text = ''
    for (;;) {
      this.#skipComments()
      const next = this.#source[this.#at]
      if (next === undefined || next === '|' || next === ')') return text
      text += this.#quantified()
    }
  }

  #quantified(): string {
    const outer = this.#maybe
    const own: Maybe = { outer, isReal: false }
    this.#maybe = own
    const atom = this.#atom()
    this.#maybe = outer
    const quantifier = this.#quantifier()
    if (quantifier === undefined) return atom.text
    if (atom.text === '') throw new SyntaxError(`"${quantifier.text}" follows nothing`)
    own.isReal = quantifier.min === 0
    const repeated = (atom.isPlace ? `(?:${atom.text})` : atom.text) + quantifier.text
    if (this.#quantifierAhead()) throw new SyntaxError('nested quantifiers')
    return quantifier.isPossessive ? this.#atomic(repeated) : repeated
  }

  #quantifierAhead(): boolean {
    this.#skipComments()
    return /^(?:[*+?]|\{\s*(?:\d+\s*(?:,\s*\d*\s*)?|,\s*\d+\s*)\})/.test(
      this.#source.slice(this.#at),
    )
  }

  #quantifier(): { text: string; min: number; isPossessive: boolean } | undefined {
    this.#skipComments()
    const rest = this.#source.slice(this.#at)
    const match = /^(?:([*+?])|\{\s*(?:(\d+)\s*(?:(,)\s*(\d*)\s*)?|,\s*(\d+)\s*)\})([?+]?)/.exec(
      rest,
    )
    if (!match) return undefined
    this.#at += match[0].length
    const [, sign, low, comma, high, upTo, suffix] = match
    const counted = upTo === undefined ? `{${low}${comma ?? ''}${high ?? ''}}` : `{0,${upTo}}`
    const min = sign === undefined ? Number(low ?? 0) : sign === '+' ? 1 : 0
    const lazy = suffix === '?' ? '?' : ''
    return { text: (sign ?? counted) + lazy, min, isPossessive: suffix === '+' }
  }

  /** What JavaScript never backtracks into: a lookahead that captures, and a reference to it. */
  #atomic(text: string): string {
    if (this.#behind > 0) throw new SyntaxError('an atomic group in a lookbehind is not supported')
    const name = `atomic${++this.#atomics}`
    return `(?:(?=(?<${name}>${text}))\\k<${name}>)`
  }

  #atom(): Atom {
    const character = this.#source[this.#at] ?? ''
    switch (character) {
      case '(':
        return this.#group()
      case '[':
        return { text: this.#class() }
      case '\\':
        return this.#escape()
      case '.':
        this.#at++
        return { text: this.#flags.s ? ANY : classText(LINE_FEED, true) }
      case '^':
        this.#at++
        return { text: this.#flags.m ? LINE_START : '^', isPlace: true }
      case '$':
        this.#at++
        return { text: this.#flags.m ? LINE_END : LAST_LINE_END, isPlace: true }
      case '*':
      case '+':
      case '?':
        throw new SyntaxError(`"${character}" follows nothing`)
      default: {
        const code = this.#source.codePointAt(this.#at) ?? 0
        this.#at += code > 0xffff ? 2 : 1
        return { text: this.#character(code) }
      }
    }
  }

  #character(code: number): string {
    if (code > 0xffff) return characterText(code)
    const letter = String.fromCharCode(code)
    if (!/[A-Za-z]/.test(letter)) return characterText(code)
    this.cases.add(this.#flags.i)
    if (this.#caseMode === 'flag' || !this.#flags.i) return letter
    return classText(bothCases([[code, code]]))
  }

  #group(): Atom {
    this.#at++
    if (this.#source[this.#at] === '*') throw new SyntaxError('"(*...)" is not supported')
    if (!this.#skip('?')) return this.#flags.n ? this.#plainGroup('(?:') : this.#capture(undefined)
    const [opening = ''] =
      /^(?:<[=!]|[:=!>|&RC{0-9]|[+-]\d|P[=>]|P?<[A-Za-z_]\w*>|'[A-Za-z_]\w*'|\?\{|\(|\^?[a-z]*(?:-[a-z]*)?[:)])/.exec(
        this.#source.slice(this.#at),
      ) ?? []
    this.#at += opening.length
    const name = /^(?:P?<(\w+)>|'(\w+)')$/.exec(opening)
    if (name) return this.#capture(name[1] ?? name[2])
    switch (opening) {
      case ':':
        return this.#plainGroup('(?:')
      case '=':
      case '!':
        return { ...this.#look(`(?${opening}`), isPlace: true }
      case '<=':
      case '<!': {
        this.#behind++
        const atom = this.#look(`(?${opening}`)
        this.#behind--
        return { ...atom, isPlace: true }
      }
      case '>':
        return { text: this.#atomic(this.#plainGroup('(?:').text) }
      case 'P=': {
        const [whole = '', referred = ''] = /^(\w+)\)/.exec(this.#source.slice(this.#at)) ?? []
        this.#at += whole.length
        return this.#referenceTo(this.#names.get(referred), referred)
      }
    }
    if (/^\^?[a-z]*(?:-[a-z]*)?[:)]$/.test(opening)) return this.#flagged(opening)
    throw new SyntaxError(
      `"(?${this.#source.slice(this.#at - opening.length, this.#at + 1)}" is not supported`,
    )
  }

  /** `(?i)` for the rest of the group, `(?i:...)` for one of its own. */
  #flagged(opening: string): Atom {
    const flags = changedFlags(this.#flags, opening.slice(0, -1))
    if (opening.endsWith(')')) {
      this.#flags = flags
      return { text: '' }
    }
    const outer = this.#flags
    this.#flags = flags
    const group = this.#plainGroup('(?:')
    this.#flags = outer
    return group
  }

  #plainGroup(opening: string): Atom {
    const inner = this.#alternatives()
    if (!this.#skip(')')) throw new SyntaxError('a "(" without its ")"')
    return { text: `${opening}${inner})` }
  }

  /** What a negative one captures is never set behind it. */
  #look(opening: string): Atom {
    const outer = this.#maybe
    if (opening.endsWith('!')) this.#maybe = { outer, isReal: true }
    const atom = this.#plainGroup(opening)
    this.#maybe = outer
    return atom
  }

  #capture(name: string | undefined): Atom {
    const group = { name: `g${this.#groups.length + 1}`, maybe: this.#maybe, isClosed: false }
    this.#groups.push(group)
    if (name !== undefined) {
      if (this.#names.has(name)) throw new SyntaxError(`two groups have the name "${name}"`)
      this.#names.set(name, group)
    }
    const atom = this.#plainGroup(`(?<${group.name}>`)
    group.isClosed = true
    return atom
  }

  /**
   * To a group that has not matched, a reference fails in Perl and matches nothing in JavaScript:
   * so it must be certain that it has matched.
   */
  #referenceTo(group: Group | undefined, written: string): Atom {
    if (!group) throw new SyntaxError(`there is no group "${written}" before the reference to it`)
    const isCertain = group.isClosed && isWithin(this.#maybe, group.maybe) && this.#behind === 0
    if (!isCertain) {
      throw new SyntaxError(
        `a reference to "${written}", which may not have matched, is not supported`,
      )
    }
    this.cases.add(this.#flags.i)
    if (this.#flags.i && this.#caseMode === 'classes') {
      throw new SyntaxError(
        'a case-insensitive reference in only part of an expression is not supported',
      )
    }
    return { text: `\\k<${group.name}>` }
  }

  #escape(): Atom {
    const rest = this.#source.slice(this.#at + 1)
    const reference =
      /^(?:g(?:\{\s*(-?\w+)\s*\}|(-?\d+))|k(?:<(\w+)>|'(\w+)'|\{\s*(\w+)\s*\})|([1-9]\d*))/.exec(
        rest,
      )
    if (reference) {
      const written = reference.slice(1).find(part => part !== undefined) ?? ''
      const isOctal =
        reference[6] !== undefined && written.length > 1 && !this.#groups[Number(written) - 1]
      if (!isOctal) {
        this.#at += 1 + reference[0].length
        return this.#referenceTo(this.#groupOf(written), written)
      }
    }
    const letter = rest[0]
    if (letter === undefined) throw new SyntaxError('a "\\" at the end')
    const place = ESCAPED_PLACES[letter]
    if (place !== undefined && Object.hasOwn(ESCAPED_PLACES, letter)) {
      if (/^[bB]\{/.test(rest)) throw new SyntaxError(`"\\${letter}{...}" is not supported`)
      this.#at += 2
      return { text: place, isPlace: true }
    }
    if (letter === 'R') {
      this.#at += 2
      return { text: `(?:\\r\\n|(?!\\r\\n)${classText(VERTICAL)})` }
    }
    if (letter === 'N' && rest[1] !== '{') {
      this.#at += 2
      return { text: classText(LINE_FEED, true) }
    }
    const { item, end } = readEscape(this.#source, this.#at)
    this.#at = end
    return typeof item === 'number'
      ? { text: this.#character(item) }
      : { text: this.#setText(item, false) }
  }

  #groupOf(written: string): Group | undefined {
    if (!/^-?\d+$/.test(written)) return this.#names.get(written)
    const number = Number(written)
    return this.#groups.at(number < 0 ? number : number - 1)
  }

  #setText(set: Ranges, isNegated: boolean): string {
    const hasLetters = set.some(([first, last]) => last >= 0x41 && first <= 0x7a)
    if (hasLetters) this.cases.add(this.#flags.i)
    const spread = this.#flags.i && this.#caseMode === 'classes'
    return classText(spread ? bothCases(set) : set, isNegated)
  }

  #class(): string {
    const { set, isNegated, end } = readClass(this.#source, this.#at)
    this.#at = end
    return this.#setText(set, isNegated)
  }

  /** `(?#...)`, and under the flag x white space and `#` to the end of the line. */
  #skipComments(): void {
    const form = this.#flags.x ? /(?:\(\?#[^)]*\)|\s+|#[^\n]*)*/y : /(?:\(\?#[^)]*\))*/y
    form.lastIndex = this.#at
    this.#at += form.exec(this.#source)?.[0].length ?? 0
  }

  #skip(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }
}

interface Atom {
  readonly text: string
  /** It matches no character, and JavaScript wants it in a group before a quantifier. */
  readonly isPlace?: true
}

/** Does `inner` lie within everything of `outer` that may be left out? */
function isWithin(inner: Maybe | undefined, outer: Maybe | undefined): boolean {
  const around = new Set<Maybe>()
  for (let one = inner; one; one = one.outer) around.add(one)
  for (let one = outer; one; one = one.outer) if (one.isReal && !around.has(one)) return false
  return true
}
