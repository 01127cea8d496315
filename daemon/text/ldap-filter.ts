/**
 * LDAP search filters as text (RFC 4515), read as ldapsearch and Perl's Net::LDAP read them.
 *
 * People write filters over several lines and with spaces between the parts, without the outermost
 * parentheses, and escape `*` as `\*`. A space inside a value belongs to the value; a line end at
 * its end does not.
 */

export type LdapFilter =
  | { readonly kind: 'and' | 'or'; readonly of: readonly LdapFilter[] }
  | { readonly kind: 'not'; readonly of: LdapFilter }
  | { readonly kind: 'present'; readonly attribute: string }
  | { readonly kind: 'substring'; readonly attribute: string; readonly parts: readonly Octets[] }
  | { readonly kind: Comparison; readonly attribute: string; readonly value: Octets }
  | {
      readonly kind: 'extensible'
      /** Empty: any attribute to which the rule applies. */
      readonly attribute: string
      readonly includesDn: boolean
      readonly rule: string | undefined
      readonly value: Octets
    }

export type Comparison = 'equal' | 'greater' | 'less' | 'approximate'

/** A value as sent, in bytes. */
export type Octets = Uint8Array

/** Thrown for what is not a filter; the message says what was expected, and where. */
export class LdapFilterError extends Error {
  override readonly name = 'LdapFilterError'
}

const MOST_NESTED = 100
const BLANKS = /\s*/y
/** An attribute by name or number, with its options (RFC 4512, 2.5). */
const ATTRIBUTE = /(?:[a-z_][\w-]*|\d+(?:\.\d+)*)(?:;[\w-]+)*/iy
const RULE = /(?::(dn))?(?::([a-z_][\w-]*|\d+(?:\.\d+)*))?(?=:=)/iy
const OPERATOR = /\s*(=|>=|<=|~=|:=)/y
const VALUE = /(?:[^\\()\0]+|\\(?:[0-9a-f]{2}|[()*\\]))*/iy
const ESCAPED = /\\([0-9a-f]{2}|[()*\\])/gi

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  '=': 'equal',
  '>=': 'greater',
  '<=': 'less',
  '~=': 'approximate',
}

/** Throws LdapFilterError. */
export function readLdapFilter(text: string): LdapFilter {
  const trimmed = text.trim()
  return new Reader(trimmed.startsWith('(') ? trimmed : `(${trimmed})`).whole()
}

/** RFC 4515, 3: what would end, widen or shorten an assertion value is written in hexadecimal. */
export function escapeLdapValue(value: string): string {
  return value.replace(
    /[*()\\\0\r\n]/g,
    character => `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): LdapFilter {
    const filter = this.#filter(0)
    if (this.#at < this.#text.length) throw this.#expected('the end of the filter')
    return filter
  }

  #filter(depth: number): LdapFilter {
    if (depth > MOST_NESTED) throw this.#expected(`at most ${MOST_NESTED} levels of parentheses`)
    this.#take('(')
    this.#match(BLANKS)
    const sign = this.#text[this.#at]
    const filter = sign === '&' || sign === '|' || sign === '!' ? this.#group(depth) : this.#item()
    this.#take(')')
    this.#match(BLANKS)
    return filter
  }

  #group(depth: number): LdapFilter {
    const sign = this.#text[this.#at++]
    this.#match(BLANKS)
    if (sign === '!') return { kind: 'not', of: this.#filter(depth + 1) }
    const of: LdapFilter[] = []
    while (this.#text[this.#at] === '(') of.push(this.#filter(depth + 1))
    return { kind: sign === '&' ? 'and' : 'or', of }
  }

  #item(): LdapFilter {
    const attribute = this.#match(ATTRIBUTE)?.[0] ?? ''
    const [, dn, rule] = this.#match(RULE) ?? []
    const operator = this.#match(OPERATOR)?.[1]
    const isExtensible = operator === ':='
    if (attribute === '' && !(isExtensible && rule !== undefined)) {
      throw this.#expected('an attribute')
    }
    if (operator === undefined) throw this.#expected('=, >=, <=, ~= or :=')
    const text = (this.#match(VALUE)?.[0] ?? '').replace(/\s*[\r\n]\s*$/, '')
    if (isExtensible) {
      const value = octetsOf(text)
      return { kind: 'extensible', attribute, includesDn: dn !== undefined, rule, value }
    }
    if (operator === '=') {
      // An escaped asterisk is part of a value.
      const parts = text.replace(/\\\*/g, '\\2a').split('*')
      if (text === '*') return { kind: 'present', attribute }
      if (parts.length > 1) return { kind: 'substring', attribute, parts: parts.map(octetsOf) }
    }
    return { kind: COMPARISONS[operator] ?? 'equal', attribute, value: octetsOf(text) }
  }

  #take(character: string): void {
    if (this.#text[this.#at] !== character) throw this.#expected(`"${character}"`)
    this.#at++
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found) this.#at += found[0].length
    return found
  }

  #expected(what: string): LdapFilterError {
    const rest = this.#text.slice(this.#at, this.#at + 20)
    const found = rest === '' ? 'the filter ends here' : `found ${JSON.stringify(rest)}`
    return new LdapFilterError(`expected ${what} at character ${this.#at + 1}, ${found}`)
  }
}

function octetsOf(text: string): Octets {
  const parts: Buffer[] = []
  let from = 0
  for (const { 0: whole, 1: escaped = '', index } of text.matchAll(ESCAPED)) {
    const octet = escaped.length === 1 ? escaped.charCodeAt(0) : Number.parseInt(escaped, 16)
    parts.push(Buffer.from(text.slice(from, index)), Buffer.of(octet))
    from = index + whole.length
  }
  return Buffer.concat([...parts, Buffer.from(text.slice(from))])
}
