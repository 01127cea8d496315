/**
 * Regular expressions as files of the original write them (Perl), as JavaScript has them.
 *
 * What differs and can be said safely is translated: `(?i)`-style flags at the start, `\A \z \Z
 * \h`, POSIX classes, possessive quantifiers. Everything else JavaScript does not know is a
 * SyntaxError for the caller to report at its place. Matching is by character; the original
 * matched UTF-8 bytes.
 *
 * An expression that backtracks catastrophically does not stop the daemon. At load the longest
 * text is worked out for which it certainly takes no more than some milliseconds
 * (pattern-cost.ts). Texts up to that length are matched as they are, and ordinary expressions get
 * no others. Longer ones are matched under guard (guarded-match.ts): after 100 ms the match is
 * given up and is a LookupError, so the plugin has failed and what the file says about failures
 * decides. For a minute after that the expression fails at once for every text that needs the
 * guard, so that nobody can hold up the daemon by sending such texts again and again.
 */

import { type Clock, systemClock } from './clock.ts'
import { LookupError } from './errors.ts'
import { matchWithin } from './guarded-match.ts'
import { longestSafeText } from './pattern-cost.ts'

const GUARD_MILLISECONDS = 100
const REST_MILLISECONDS = 60_000

export interface Pattern {
  /** As it was written. */
  readonly source: string
  /** Throws LookupError if that cannot be found out in time. */
  test(text: string): boolean
}

const POSIX: Readonly<Record<string, string>> = {
  alpha: 'a-zA-Z',
  digit: '0-9',
  alnum: 'a-zA-Z0-9',
  upper: 'A-Z',
  lower: 'a-z',
  space: '\\s',
  blank: ' \\t',
  punct: '!-\\/:-@\\[-`{-~',
  xdigit: '0-9A-Fa-f',
  word: '\\w',
  cntrl: '\\x00-\\x1f\\x7f',
  print: '\\x20-\\x7e',
  graph: '\\x21-\\x7e',
}

/** The pattern, or a SyntaxError that says what is wrong. An empty pattern matches everything. */
export function compilePattern(source: string, clock: Clock = systemClock): Pattern {
  const expression = toJavaScript(source)
  const longest = longestSafeText(expression)
  let restsUntil = -Infinity

  function testGuarded(text: string): boolean {
    const problem = `the pattern took more than ${GUARD_MILLISECONDS} ms on a text of`
    if (clock.elapsed() < restsUntil) {
      throw new LookupError(`${problem} this kind, and is not tried for a minute`)
    }
    const matches = matchWithin(GUARD_MILLISECONDS, expression, text)
    if (matches !== undefined) return matches
    restsUntil = clock.elapsed() + REST_MILLISECONDS
    throw new LookupError(`${problem} ${text.length} characters: ${source.slice(0, 100)}`)
  }

  return {
    source,
    test: text => (text.length <= longest ? expression.test(text) : testGuarded(text)),
  }
}

function toJavaScript(source: string): RegExp {
  const flagged = /^\(\?\^?([imsxn]*)\)/.exec(source)
  let flags = ''
  for (const flag of flagged?.[1] ?? '') {
    if (flag !== 'i' && flag !== 'm' && flag !== 's') {
      throw new SyntaxError(`the flag (?${flag}) is not known here; expected i, m or s`)
    }
    flags += flags.includes(flag) ? '' : flag
  }
  return new RegExp(translate(flagged ? source.slice(flagged[0].length) : source), flags)
}

/**
 * One walk over the pattern. `atomAt` is where the last complete atom begins in the output, for
 * possessive quantifiers: `X++` becomes a lookahead that captures `X+` and a reference to it,
 * which JavaScript never backtracks into.
 */
function translate(source: string): string {
  let out = ''
  let atomAt = 0
  let possessives = 0
  const groups: number[] = []

  for (let i = 0; i < source.length; ) {
    const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\})/.exec(source.slice(i))?.[0]
    if (quantifier !== undefined && out.length > atomAt) {
      i += quantifier.length
      if (source[i] !== '+') {
        out += quantifier
        continue
      }
      i++
      if (/\\[1-9]/.test(source)) {
        throw new SyntaxError(`"${quantifier}+" and \\1 in one expression cannot be told apart`)
      }
      const name = `possessive${possessives++}`
      out = `${out.slice(0, atomAt)}(?=(?<${name}>${out.slice(atomAt)}${quantifier}))\\k<${name}>`
      continue
    }
    const char = source[i] ?? ''
    if (char === '(') {
      groups.push(out.length)
      out += char
      atomAt = out.length
      i++
    } else if (char === ')') {
      out += char
      atomAt = groups.pop() ?? out.length
      i++
    } else {
      const atom = char === '[' ? characterClass(source, i) : plainAtom(source, i)
      atomAt = out.length
      out += atom.text
      i = atom.end
    }
  }
  return out
}

interface Atom {
  readonly text: string
  readonly end: number
}

function plainAtom(source: string, at: number): Atom {
  if (source[at] !== '\\') return { text: source[at] ?? '', end: at + 1 }
  const next = source[at + 1] ?? ''
  return { text: ESCAPES[next] ?? `\\${next}`, end: at + 2 }
}

const ESCAPES: Readonly<Record<string, string>> = {
  A: '(?<![\\s\\S])',
  z: '(?![\\s\\S])',
  Z: '(?=\\n?(?![\\s\\S]))',
  h: '[ \\t]',
}

/** `[...]`, with POSIX classes inside. A `]` that comes first is a member. */
function characterClass(source: string, start: number): Atom {
  let text = '['
  let at = start + 1
  if (source[at] === '^') text += source[at++]
  if (source[at] === ']') {
    text += '\\]'
    at++
  }
  while (at < source.length && source[at] !== ']') {
    if (source[at] === '[' && source[at + 1] === ':') {
      const end = source.indexOf(':]', at + 2)
      const name = source.slice(at + 2, end)
      const members = end > 0 && Object.hasOwn(POSIX, name) ? POSIX[name] : undefined
      if (members === undefined) throw new SyntaxError(`[:${name}:] is not a character class`)
      text += members
      at = end + 2
    } else if (source[at] === '\\') {
      text += source[at + 1] === 'h' ? ' \\t' : source.slice(at, at + 2)
      at += 2
    } else text += source[at++]
  }
  if (at >= source.length) throw new SyntaxError('a "[" without its "]"')
  return { text: `${text}]`, end: at + 1 }
}
