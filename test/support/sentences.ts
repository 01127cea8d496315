/**
 * The sentences of a TypeScript file: its comments, and its texts of more than one word.
 *
 * A small scanner, not a parser: it only has to know where comments, texts and patterns begin and end.
 */

export interface Sentence {
  readonly kind: 'comment' | 'text'
  readonly line: number
  readonly text: string
}

/** After one of these a slash begins a pattern; after anything else it divides. */
const BEFORE_PATTERN = /(?:^|[=([{,;:!&|?+*~^<>-]|\b(?:return|case|typeof|of|in))\s*$/

/** A comment, a text between single or double quotes, and a pattern, each from where it begins. */
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y
const QUOTED = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/y
const PATTERN = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y

export function sentencesOf(source: string): Sentence[] {
  const found: Sentence[] = []
  const scanner = new Scanner(source, (kind, at, text) => {
    const line = source.slice(0, at).split('\n').length
    if (kind === 'comment' || /\S\s+\S/.test(text)) found.push({ kind, line, text })
  })
  scanner.code(false)
  return joined(found, source)
}

/** `// a` and `// b` on lines below each other are one comment. */
function joined(found: readonly Sentence[], source: string): Sentence[] {
  const lines = source.split('\n')
  const isWholeLine = ({ line }: Sentence) => /^\s*\/\//.test(lines[line - 1] ?? '')
  const result: Sentence[] = []
  let last: Sentence | undefined
  for (const one of found) {
    const isNext =
      last?.kind === 'comment' &&
      one.kind === 'comment' &&
      isWholeLine(last) &&
      isWholeLine(one) &&
      one.line === last.line + last.text.split('\n').length
    const whole: Sentence = last && isNext ? { ...last, text: `${last.text}\n${one.text}` } : one
    if (isNext) result.pop()
    result.push(whole)
    last = whole
  }
  return result
}

class Scanner {
  readonly #source: string
  readonly #take: (kind: Sentence['kind'], at: number, text: string) => void
  #at = 0
  /** The end of the code so far, which says what a slash means. */
  #before = ''

  constructor(source: string, take: (kind: Sentence['kind'], at: number, text: string) => void) {
    this.#source = source
    this.#take = take
  }

  /** Code up to the end, or up to the brace that ends a `${`. */
  code(isInTemplate: boolean): void {
    let depth = 0
    while (this.#at < this.#source.length) {
      const start = this.#at
      const comment = this.#matched(COMMENT)
      const quoted = comment === undefined ? this.#matched(QUOTED) : undefined
      if (comment !== undefined) {
        this.#take(
          'comment',
          start,
          comment.replaceAll(/^\s*(?:\/\*\*?|\*\/|\*|\/\/) ?|\s*\*\/$/gm, ''),
        )
      } else if (quoted !== undefined) {
        this.#take('text', start, quoted.slice(1, -1))
        this.#before = "'"
      } else if (this.#source[start] === '`') {
        this.#template()
        this.#before = '`'
      } else if (
        this.#source[start] === '/' &&
        BEFORE_PATTERN.test(this.#before) &&
        this.#matched(PATTERN) !== undefined
      ) {
        this.#before = '/'
      } else {
        const letter = this.#source[this.#at++] ?? ''
        this.#before = `${this.#before.slice(-12)}${letter}`
        if (letter === '{') depth++
        if (letter === '}' && depth-- === 0 && isInTemplate) return
      }
    }
  }

  /** A template is one text; what is put in is shown as `…`. */
  #template(): void {
    const start = this.#at++
    let text = ''
    while (this.#at < this.#source.length) {
      const letter = this.#source[this.#at++] ?? ''
      if (letter === '`') break
      if (letter === '\\') text += letter + (this.#source[this.#at++] ?? '')
      else if (letter === '$' && this.#source[this.#at] === '{') {
        this.#at++
        this.#before = '{'
        this.code(true)
        text += '\u2026'
      } else text += letter
    }
    this.#take('text', start, text)
  }

  #matched(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#source)?.[0]
    if (text !== undefined) this.#at += text.length
    return text
  }
}

const GERMAN_WORDS =
  /\b(?:der|das|dem|den|und|nicht|ist|wird|werden|ein|eine|einen|mit|für|auf|von|zu|oder|im|kein|keine|fehlt|hat|weder|noch|darf)\b/gi

/** A text for German administrators: it has a letter or two words that English has not. */
export function isGerman(text: string): boolean {
  return /[äöüßÄÖÜ„]/.test(text) || (text.match(GERMAN_WORDS)?.length ?? 0) >= 2
}
