/**
 * Macros of SPF: `%{ir}.%{v}._spf.%{d2}` (RFC 7208, 7).
 *
 * A text is parsed once, which finds every mistake in it, and then expanded for one mail. An
 * expansion is abandoned when it exceeds 8 KiB.
 */

/** A record, or an explanation, violates the grammar of RFC 7208 12. */
export class SpfSyntaxError extends Error {
  override readonly name = 'SpfSyntaxError'
}

export type MacroLetter = 's' | 'l' | 'o' | 'd' | 'i' | 'p' | 'v' | 'h' | 'c' | 'r' | 't'

interface Macro {
  readonly letter: MacroLetter
  /** Upper case: escaped for a URL. */
  readonly escaped: boolean
  /** How many parts from the right; undefined: all. */
  readonly keep: number | undefined
  readonly reversed: boolean
  readonly delimiters: string
}

export type MacroText = readonly (string | Macro)[]

const MOST_CHARACTERS = 8192

const MACRO = /%(?:\{([a-zA-Z])(\d*)([rR]?)([-.+,/_=]*)\}|([%_-]))/y
const IN_DOMAINS = 'slodiphv'
const IN_EXPLANATIONS = `${IN_DOMAINS}crt`

/**
 * @param place where the text is from: macros c, r and t are allowed only in explanations, which
 *   may also have spaces.
 */
export function parseMacroText(text: string, place: 'domain' | 'explanation'): MacroText {
  return scan(text, place).parts
}

/** Literals and macros of one text; a well-meant policy has a handful. */
const MOST_PARTS = 100

interface Scanned {
  readonly parts: MacroText
  readonly endsInMacro: boolean
}

function scan(text: string, place: 'domain' | 'explanation'): Scanned {
  const allowed = place === 'domain' ? IN_DOMAINS : IN_EXPLANATIONS
  const isLiteral = place === 'domain' ? /^[!-~]*$/ : /^[ -~]*$/
  const parts: (string | Macro)[] = []
  let literal = ''
  let macroEnd = 0
  for (let at = 0; at < text.length; ) {
    const next = text.indexOf('%', at)
    const plain = text.slice(at, next < 0 ? undefined : next)
    if (!isLiteral.test(plain)) {
      throw new SpfSyntaxError('A policy may have visible ASCII characters only')
    }
    literal += plain
    if (next < 0) break
    MACRO.lastIndex = next
    const match = MACRO.exec(text)
    if (!match) throw new SpfSyntaxError(`'${excerpt(text.slice(next))}' is not a macro`)
    const [whole, written = '', digits = '', reversed, delimiters, sign] = match
    at = next + whole.length
    macroEnd = at
    if (sign !== undefined) {
      literal += sign === '%' ? '%' : sign === '_' ? ' ' : '%20'
      continue
    }
    const letter = written.toLowerCase()
    if (!isLetter(letter) || !allowed.includes(letter)) {
      throw new SpfSyntaxError(`Macro '${whole}' may not be used here`)
    }
    if (/^0+$/.test(digits)) throw new SpfSyntaxError(`Macro '${whole}' keeps nothing`)
    if (literal !== '') parts.push(literal)
    literal = ''
    if (parts.length >= MOST_PARTS) throw new SpfSyntaxError('There are too many macros')
    parts.push({
      letter,
      escaped: letter !== written,
      keep: digits === '' ? undefined : Number(digits),
      reversed: reversed !== '',
      delimiters: delimiters === '' || delimiters === undefined ? '.' : delimiters,
    })
  }
  if (literal !== '') parts.push(literal)
  return { parts, endsInMacro: macroEnd > 0 && macroEnd === text.length }
}

function isLetter(letter: string): letter is MacroLetter {
  return IN_EXPLANATIONS.includes(letter)
}

/** A last label that could be a top-level domain: not only digits, no hyphen at either end. */
const TOP_LABEL = /\.(?!\d+\.?$)[a-zA-Z\d](?:[a-zA-Z\d-]*[a-zA-Z\d])?\.?$/

/** domain-spec: a macro text that ends in a macro or in a top-level domain. */
export function parseDomainSpec(text: string): MacroText {
  const { parts, endsInMacro } = scan(text, 'domain')
  if (!endsInMacro && !TOP_LABEL.test(text)) {
    throw new SpfSyntaxError(`'${excerpt(text)}' is not a domain name`)
  }
  return parts
}

/** Undefined if the result would be too long. */
export function expandMacros(
  text: MacroText,
  value: (letter: MacroLetter) => string,
): string | undefined {
  let expanded = ''
  for (const part of text) {
    expanded += typeof part === 'string' ? part : transformed(part, value(part.letter))
    if (expanded.length > MOST_CHARACTERS) return undefined
  }
  return expanded
}

export function usesMacro(text: MacroText, letter: MacroLetter): boolean {
  return text.some(part => typeof part !== 'string' && part.letter === letter)
}

function transformed({ delimiters, reversed, keep, escaped }: Macro, value: string): string {
  let parts = ['']
  for (const char of value) {
    if (delimiters.includes(char)) parts.push('')
    else parts[parts.length - 1] += char
  }
  if (reversed) parts.reverse()
  if (keep !== undefined) parts = parts.slice(-keep)
  const text = parts.join('.')
  return escaped ? escapeForUrl(text) : text
}

/** RFC 3986: everything but the unreserved characters. */
function escapeForUrl(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A text from outside in a message: not longer than is useful. */
export function excerpt(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text
}
