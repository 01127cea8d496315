/**
 * `$name` in values, as Postfix's mac_expand(3) and dict_eval(3) replace it.
 *
 *   $name  ${name}  $(name)        the value; empty if the name is unknown
 *   ${name?text}  ${name?{text}}   the text if the value is not empty
 *   ${name:text}  ${name?{a}:{b}}  the text if it is empty; one or the other
 *   ${{a} == {b} ? {x} : {y}}      a comparison (3.0); `<level` compares levels (3.6)
 *   $$                             a dollar sign
 *
 * Values are expanded recursively. A mistake is fatal for the program that reads the value; here the
 * expansion ends at the mistake, and `expansionMistake` describes it.
 */

/** The value as written, not expanded; undefined: there is no such parameter. */
export type Lookup = (name: string) => string | undefined

export function expand(text: string, lookup: Lookup): string {
  const expansion = new Expansion(lookup)
  expansion.read(text, 0)
  return expansion.result
}

/** Why a program that reads this value gives up. */
export function expansionMistake(text: string, lookup: Lookup): string | undefined {
  const expansion = new Expansion(lookup)
  expansion.read(text, 0)
  return expansion.mistake
}

/** Every name that a value refers to, directly or indirectly. */
export function namesIn(text: string, lookup: Lookup): ReadonlySet<string> {
  const names = new Set<string>()
  expand(text, name => {
    names.add(name)
    return lookup(name)
  })
  return names
}

/** At a greater depth Postfix assumes a loop. */
const MOST_DEPTH = 100
const BLANKS = /^[ \t\r\n\v\f]*/

class Expansion {
  result = ''
  mistake: string | undefined
  readonly #lookup: Lookup

  constructor(lookup: Lookup) {
    this.#lookup = lookup
  }

  read(text: string, depth: number): void {
    if (depth > MOST_DEPTH) this.#fail('it refers to itself')
    let at = 0
    while (at < text.length && this.mistake === undefined) {
      const dollar = text.indexOf('$', at)
      this.result += text.slice(at, dollar < 0 ? undefined : dollar)
      if (dollar < 0) return
      at = dollar + 1
      const next = text[at] ?? ''
      if (next === '$') {
        this.result += '$'
        at++
        continue
      }
      const isBracketed = next === '{' || next === '('
      const end = isBracketed ? closing(text, at) : at
      const name = /^[A-Za-z0-9_]*/.exec(text.slice(at))?.[0] ?? ''
      const content = isBracketed ? text.slice(at + 1, end) : name
      if (end === undefined) this.#fail(`${text.slice(dollar)} is not closed`)
      else if (content === '') this.#fail('a $ is not followed by a name')
      else this.#expression(content, depth)
      at = isBracketed ? (end ?? text.length) + 1 : at + name.length
    }
  }

  #expression(content: string, depth: number): void {
    const inner = content.replace(BLANKS, '')
    if (inner.startsWith('{')) {
      this.#comparison(inner, depth)
      return
    }
    const [, name = '', rest = ''] = /^([A-Za-z0-9_]*)\s*([\s\S]*)$/.exec(inner) ?? []
    if (rest !== '' && !/^[?:]/.test(rest)) {
      this.#fail(`"${content}" is not a name`)
      return
    }
    const value = this.#lookup(name) ?? ''
    if (rest === '') this.read(value, depth + 1)
    else this.#choose(value !== '', rest, depth)
  }

  #comparison(inner: string, depth: number): void {
    const left = this.#operand(inner)
    const [operator = '', , suffix = ''] =
      /^([<>!=?+\-*/~&|%]*)([A-Za-z0-9]*)/.exec(left.rest) ?? []
    const right = this.#operand(left.rest.slice(operator.length).replace(BLANKS, ''))
    if (this.mistake !== undefined) return
    const sign = suffix ? operator.slice(0, -suffix.length) : operator
    if (!OPERATORS.has(sign) || (suffix && suffix !== 'level')) {
      this.#fail(`"${operator}" is not a comparison`)
      return
    }
    const [a, b] = [left.text, right.text].map(text => this.#apart(text, depth))
    if (suffix && ![a, b].every(level => LEVEL.test(level ?? ''))) {
      this.#fail(`"${a}" or "${b}" is not a compatibility level`)
      return
    }
    const order = compare(a ?? '', b ?? '', suffix === 'level')
    const isTrue = OPERATORS.get(sign)?.(order) ?? false
    if (right.rest === '') this.result += isTrue ? 'true' : ''
    else if (/^[?:]/.test(right.rest)) this.#choose(isTrue, right.rest, depth)
    else this.#fail(`unexpected "${right.rest}" after a comparison`)
  }

  /** `{text}`, and what follows it. */
  #operand(text: string): { text: string; rest: string } {
    const end = text.startsWith('{') ? closing(text, 0) : undefined
    if (end === undefined) this.#fail(`"${text}" is not {text}`)
    return {
      text: text.slice(1, end),
      rest: text.slice((end ?? text.length) + 1).replace(BLANKS, ''),
    }
  }

  #apart(text: string, depth: number): string {
    const expansion = new Expansion(this.#lookup)
    expansion.read(text, depth + 1)
    if (expansion.mistake !== undefined) this.#fail(expansion.mistake)
    return expansion.result
  }

  /** `?text`, `?{text}`, `:text`, `:{text}`, `?{text}:text`, `?{text}:{text}` */
  #choose(isTrue: boolean, choice: string, depth: number): void {
    let rest = choice
    for (const [sign, isChosen] of [
      ['?', isTrue],
      [':', !isTrue],
    ] as const) {
      if (!rest.startsWith(sign)) continue
      const text = rest.slice(1)
      const isBraced = /^\s*\{/.test(text)
      const operand = isBraced ? this.#operand(text.replace(BLANKS, '')) : { text, rest: '' }
      if (isChosen && this.mistake === undefined) this.read(operand.text, depth + 1)
      rest = operand.rest
    }
    if (rest !== '') this.#fail(`unexpected "${rest}"`)
  }

  #fail(mistake: string): void {
    this.mistake ??= mistake
  }
}

/** Position of the bracket that closes the one at this offset. */
function closing(text: string, open: number): number | undefined {
  const [opens, closes] = text[open] === '(' ? ['(', ')'] : ['{', '}']
  let depth = 0
  for (let at = open; at < text.length; at++) {
    if (text[at] === opens) depth++
    if (text[at] === closes && --depth === 0) return at
  }
  return undefined
}

const LEVEL = /^\d+(\.\d+){0,2}$/

const OPERATORS: ReadonlyMap<string, (order: number) => boolean> = new Map([
  ['==', order => order === 0],
  ['!=', order => order !== 0],
  ['<', order => order < 0],
  ['<=', order => order <= 0],
  ['>', order => order > 0],
  ['>=', order => order >= 0],
])

function compare(left: string, right: string, byLevel: boolean): number {
  if (byLevel) return compareLevels(left, right)
  if (/^\d+$/.test(left) && /^\d+$/.test(right)) return Number(left) - Number(right)
  return left < right ? -1 : left > right ? 1 : 0
}

/** Compatibility levels: `3.6` is above `3.5.99` and below `3.10`. */
export function compareLevels(left: string, right: string): number {
  const parts = (level: string) => level.split('.').map(part => Number.parseInt(part, 10) || 0)
  const [a, b] = [parts(left), parts(right)]
  for (let i = 0; i < 3; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
