/**
 * Configuration files → logical lines, each with the places its parts came from.
 *
 * The dialect is that of Perl's Config::General, as mtpolicyd uses it, with its oddities, because
 * existing files must keep their meaning: comments ignore quotes, C comments are cut out before `#`
 * comments, a comment line ends a continuation. (One is not kept: CR LF ends a line as LF does.) Where that destroys something that looks
 * intended, the meaning is kept and a warning tells how to write it. What only swallows lines (a here-document
 * or comment without end) is reported once, where it began.
 *
 * What a line says (option, tag) is not decided here: see tag.ts and parser.ts.
 */

import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import { excerpt, excerptFrom } from '../text/excerpt.ts'
import { type ConfigIo, Opener, type Source } from './include.ts'
import {
  isBlank,
  join,
  type Located,
  located,
  placeAt,
  skipBlanks,
  skipBlanksBack,
  slice,
  trim,
  trimText,
} from './located.ts'

export type LogicalLine =
  | { readonly kind: 'line'; readonly text: Located }
  /** `<Name ... />`, given as `<Name ... >`. */
  | { readonly kind: 'empty-block'; readonly text: Located }
  | {
      readonly kind: 'document'
      readonly name: Located
      readonly value: string
      readonly valuePlace: Place
    }

/** `<<include PATH>>` */
export interface Include {
  /** As it is written. */
  readonly path: string
  /** Where the `<<` is. */
  readonly place: Place
}

export interface Lexed {
  readonly lines: readonly LogicalLine[]
  /** In the order they were opened, the main file first. */
  readonly files: readonly string[]
  readonly problems: readonly Problem[]
  readonly includes: readonly Include[]
  /** The problems that took the rest of a file with them, end tags included. */
  readonly swallowed: ReadonlySet<Problem>
}

export function lexConfig(file: string, io: ConfigIo): Lexed {
  const lines: LogicalLine[] = []
  const problems: Problem[] = []
  const includes: Include[] = []
  const swallowed = new Set<Problem>()
  const opener = new Opener(file, io, problem => problems.push(problem))

  function lexSource(source: Source, depth: number): void {
    const lexer = new TextLexer({
      line: line => lines.push(line),
      problem: problem => problems.push(problem),
      swallowing(problem) {
        problems.push(problem)
        swallowed.add(problem)
      },
      include(path, place) {
        includes.push({ path, place })
        for (const inner of opener.openIncluded(path, place, depth + 1)) lexSource(inner, depth + 1)
      },
    })
    lexer.lex(source)
  }

  const main = opener.openMain()
  if (main) lexSource(main, 0)
  return { lines, files: opener.files, includes, problems, swallowed }
}

interface Output {
  line(line: LogicalLine): void
  problem(problem: Problem): void
  swallowing(problem: Problem): void
  include(path: string, place: Place): void
}

interface HereDocument {
  readonly name: Located
  readonly place: Place
  readonly mark: string
  readonly lines: string[]
}

/** Reads the lines of one file. */
class TextLexer {
  readonly #output: Output
  /** Where the C comment that is still open began. */
  #comment: Place | undefined
  #document: HereDocument | undefined
  /** The lines so far of one that is continued after a backslash. */
  #pending: Located[] = []

  constructor(output: Output) {
    this.#output = output
  }

  lex({ file, text }: Source): void {
    const physical = text.split('\n')
    if (physical.at(-1) === '') physical.pop()
    for (const [index, raw] of physical.entries()) {
      if (this.#document) this.#takeDocumentLine(this.#document, raw)
      else {
        const line = this.#cutBlockComment(located(raw, { file, line: index + 1, column: 1 }))
        if (!this.#comment) this.#takeLine(this.#cutLineComment(line))
      }
    }
    this.#reportUnfinished()
  }

  #warn(place: Place, message: string): void {
    this.#output.problem({ severity: 'warning', place, message })
  }

  #takeDocumentLine(document: HereDocument, raw: string): void {
    if (trimText(raw) === document.mark) {
      this.#output.line(finish(document, raw.slice(0, skipBlanks(raw))))
      this.#document = undefined
    } else document.lines.push(raw)
  }

  #takeLine(line: Located): void {
    if (/(?<!\\)\\$/.test(line.text)) {
      const part = slice(line, skipBlanks(line.text), line.text.length - 1)
      // A backslash alone continues nothing: an include may follow it.
      if (this.#pending.length > 0 || part.text !== '') this.#pending.push(part)
      return
    }
    const trimmed = trim(line)
    if (trimmed.text.length < line.text.length) this.#warnOfBlankAfterBackslash(trimmed)

    if (trimmed.text.startsWith('<') && /^<[^/].*\/>$/s.test(trimmed.text)) {
      const tag = join([
        slice(trimmed, 0, trimmed.text.length - 2),
        slice(trimmed, trimmed.text.length - 1),
      ])
      this.#output.line({ kind: 'empty-block', text: tag })
      return
    }
    this.#refuseEmptyBlockInValue(trimmed)

    this.#document = startDocument(trimmed)
    if (this.#document) return

    if (this.#pending.length > 0) {
      const whole = trim(join([...this.#pending, slice(line, skipBlanks(line.text))]))
      this.#pending = []
      if (whole.text !== '') this.#output.line({ kind: 'line', text: whole })
      return
    }
    if (trimmed.text === '') return
    const path = includedPath(trimmed.text)
    if (path === undefined) this.#output.line({ kind: 'line', text: trimmed })
    else this.#output.include(path, placeAt(trimmed, 0))
  }

  /** Cuts out what lies between C comment marks; opens and closes the long ones. */
  #cutBlockComment(line: Located): Located {
    const open = line.text.indexOf('/*')
    const close = line.text.lastIndexOf('*/')
    if (open >= 0 && close >= open + 2) {
      const before = line.text.slice(0, open)
      if (!this.#comment && countQuotes(before) % 2 === 1 && line.text.includes('"', close)) {
        const message = `"/*" to "*/" is cut out as a comment, also inside quotes; ${DOCUMENT_ADVICE}`
        this.#warn(placeAt(line, open), message)
      }
      const first = line.text.indexOf('*/', open + 2)
      if (!this.#comment && first < close && /[^ \t\r]/.test(line.text.slice(first + 2, close))) {
        const message =
          'everything from the first "/*" to the last "*/" of a line is cut out as one comment'
        this.#warn(placeAt(line, open), message)
      }
      const head = slice(line, 0, skipBlanksBack(line.text, open))
      return join([head, slice(line, skipBlanks(line.text, close + 2))])
    }
    const trimmed = trimText(line.text)
    // "/*/" alone opens nothing and closes what is open; then it is an ordinary line.
    if (trimmed === '/*/') this.#comment = undefined
    else if (trimmed.startsWith('/*')) this.#comment ??= placeAt(line, skipBlanks(line.text))
    else if (close >= 0) {
      if (!this.#comment) {
        const message =
          close === 0
            ? '"*/" ends a comment that was never opened'
            : `"*/" without an open comment: everything before it on this line is ignored; ${DOCUMENT_ADVICE}`
        this.#warn(placeAt(line, close), message)
      }
      this.#comment = undefined
      return slice(line, close + 2)
    }
    return line
  }

  #cutLineComment(line: Located): Located {
    const hash = line.text.search(/(?<!\\)#/)
    if (hash < 0) return line
    const kept = line.text.slice(0, hash)
    const quotes = this.#pending.reduce(
      (sum, part) => sum + countQuotes(part.text),
      countQuotes(kept),
    )
    if (quotes % 2 === 1 && line.text.includes('"', hash)) {
      const message =
        '"#" starts a comment, also inside quotes: the value ends here and keeps its opening quote; ' +
        'write "\\#" for the character'
      this.#warn(placeAt(line, hash), message)
    } else if (hash > 0 && !isBlank(line.text[hash - 1]) && !kept.trimStart().startsWith('<')) {
      const message =
        '"#" starts a comment, also in the middle of a word: the value ends here; ' +
        'write "\\#" for the character, or a space before the comment'
      this.#warn(placeAt(line, hash), message)
    }
    return slice(line, 0, hash)
  }

  #warnOfBlankAfterBackslash(trimmed: Located): void {
    if (!/(?<!\\)\\$/.test(trimmed.text)) return
    const message =
      'this backslash does not continue the line: it must be the very last character ' +
      '(a space or a comment follows it)'
    this.#warn(placeAt(trimmed, trimmed.text.length - 1), message)
  }

  /** The original reads `key = <x/>` as a block `x` and loses the count of end tags. */
  #refuseEmptyBlockInValue({ text, ...rest }: Located): void {
    if (!text.endsWith('/>')) return
    const start = text.search(/<[^/]/)
    if (start < 0 || start + 2 > text.length - 2) return
    this.#output.problem({
      severity: 'fatal',
      place: placeAt({ text, ...rest }, start),
      message: `"${excerptFrom(text, start)}" at the end of a line is read as an empty block; put the value in double quotes`,
    })
  }

  #reportUnfinished(): void {
    if (this.#document) {
      const { mark, lines, name, place } = this.#document
      // The path of an include that is not alone on its line ends up here.
      const advice = /^include\b.*>>$/i.test(mark)
        ? '; an include must be alone on its line'
        : nearMark(mark, lines)
      // A password that begins with "<<" would be read as a mark.
      const written = `${name.text} = ${mark}`
      const message = `the here-document "${excerpt(name.text)}" has no end: expected a line with only "${excerptFrom(written, written.length - mark.length)}" before the end of the file${advice}`
      this.#output.swallowing({ severity: 'error', place, message })
    }
    if (this.#comment) {
      const message = 'this comment has no end: expected "*/" before the end of the file'
      this.#output.swallowing({ severity: 'error', place: this.#comment, message })
    }
    const last = this.#pending.at(-1)
    if (last) {
      const message =
        'the file ends after a backslash: this line is ignored; continue it, or remove the backslash'
      this.#output.swallowing({
        severity: 'error',
        place: placeAt(last, last.text.length),
        message,
      })
    }
  }
}

const DOCUMENT_ADVICE = 'a value that contains it is written as a here-document (name <<EOT)'

/** `<<include PATH>>`; white space before the `>>` is part of the path. */
function includedPath(text: string): string | undefined {
  if (!/^<<include[ \t\r\f\v]/i.test(text) || !text.endsWith('>>')) return undefined
  const path = text.slice(skipBlanks(text, '<<include'.length), -2)
  return path === '' ? undefined : path
}

/** `name = <<MARK` (the name may then contain spaces) or `name <<MARK`. */
function startDocument(line: Located): HereDocument | undefined {
  const { text } = line
  if (text.startsWith('<')) return undefined
  const separators = [text.indexOf('='), text.search(/[ \t\r\f\v]/)]
  for (const [kind, at] of separators.entries()) {
    if (at < 1) continue
    const marker = skipBlanks(text, kind === 0 ? at + 1 : at)
    const mark = trimText(text.slice(marker + 2))
    if (!text.startsWith('<<', marker) || mark === '') continue
    const name = slice(line, 0, skipBlanksBack(text, at))
    return { name, place: placeAt(line, marker), mark, lines: [] }
  }
  return undefined
}

/** The white space before the end mark is removed from every line that begins with exactly the same. */
function finish({ name, place, lines }: HereDocument, indent: string): LogicalLine {
  const flush = lines.map(line => (line.startsWith(indent) ? line.slice(indent.length) : line))
  return { kind: 'document', name, value: trimText(flush.join('\n')), valuePlace: place }
}

/** Was the end mark written, but not quite? */
function nearMark(mark: string, lines: readonly string[]): string {
  if (mark.length > 60) return ''
  const short = lines.map(trimText).filter(line => line !== '' && line.length <= mark.length + 3)
  const begun = short.find(line => line.startsWith(mark))
  const near = begun ?? nearestName(mark, short.slice(0, 1000))
  return near === undefined ? '' : `; "${excerpt(near)}" is not the same`
}

function countQuotes(text: string): number {
  return text.split('"').length - 1
}
