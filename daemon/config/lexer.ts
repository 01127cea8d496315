/**
 * Configuration files → logical lines, each with the places its parts came from.
 *
 * The dialect is that of Perl's Config::General, as mtpolicyd uses it, with its oddities, because
 * existing files must keep their meaning: comments know no quotes, C comments are looked for before
 * `#` comments, a comment line ends a continuation. Where that destroys something that looks meant,
 * the meaning is kept and a warning says how to write it. What only swallows lines (a here-document
 * or comment without end) is reported once, where it began.
 *
 * What a line says (option, tag) is not decided here: see tag.ts and parser.ts.
 */

import { excerpt, excerptFrom } from '../policy/excerpt.ts'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import { type ConfigIo, createOpener, type Source } from './include.ts'
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

export interface Lexed {
  readonly lines: readonly LogicalLine[]
  /** In the order they were opened, the main file first. */
  readonly files: readonly string[]
  readonly problems: readonly Problem[]
  /** The problems that took the rest of a file with them, end tags included. */
  readonly swallowed: ReadonlySet<Problem>
}

export function lexConfig(file: string, io: ConfigIo): Lexed {
  const lines: LogicalLine[] = []
  const problems: Problem[] = []
  const swallowed = new Set<Problem>()
  const opener = createOpener(file, io, problem => problems.push(problem))

  function lexSource(source: Source, depth: number): void {
    lexText(source, {
      line: line => lines.push(line),
      problem: problem => problems.push(problem),
      swallowing(problem) {
        problems.push(problem)
        swallowed.add(problem)
      },
      include(path, place) {
        for (const inner of opener.openIncluded(path, place, depth + 1)) lexSource(inner, depth + 1)
      },
    })
  }

  const main = opener.openMain()
  if (main) lexSource(main, 0)
  return { lines, files: opener.files, problems, swallowed }
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

function lexText({ file, text }: Source, output: Output): void {
  /** Where the C comment began that we are in. */
  let comment: Place | undefined
  let document: HereDocument | undefined
  /** The lines so far of one that goes on after a backslash. */
  let pending: Located[] = []

  const warn = (place: Place, message: string) =>
    output.problem({ severity: 'warning', place, message })

  const physical = text.split('\n')
  if (physical.at(-1) === '') physical.pop()
  for (const [index, raw] of physical.entries()) {
    if (document) {
      if (trimText(raw) === document.mark) {
        output.line(finish(document, raw.slice(0, skipBlanks(raw))))
        document = undefined
      } else document.lines.push(raw)
      continue
    }
    const uncommented = cutBlockComment(located(raw, { file, line: index + 1, column: 1 }))
    if (!comment) takeLine(cutLineComment(uncommented))
  }
  reportUnfinished()

  function takeLine(line: Located): void {
    if (/(?<!\\)\\$/.test(line.text)) {
      const part = slice(line, skipBlanks(line.text), line.text.length - 1)
      // A backslash alone continues nothing: an include may follow it.
      if (pending.length > 0 || part.text !== '') pending.push(part)
      return
    }
    const trimmed = trim(line)
    if (trimmed.text.length < line.text.length) warnOfBlankAfterBackslash(trimmed)

    if (trimmed.text.startsWith('<') && /^<[^/].*\/>$/s.test(trimmed.text)) {
      const tag = join([
        slice(trimmed, 0, trimmed.text.length - 2),
        slice(trimmed, trimmed.text.length - 1),
      ])
      output.line({ kind: 'empty-block', text: tag })
      return
    }
    refuseEmptyBlockInValue(trimmed)

    document = startDocument(trimmed)
    if (document) return

    if (pending.length > 0) {
      const whole = trim(join([...pending, slice(line, skipBlanks(line.text))]))
      pending = []
      if (whole.text !== '') output.line({ kind: 'line', text: whole })
      return
    }
    if (trimmed.text === '') return
    const path = includedPath(trimmed.text)
    if (path === undefined) output.line({ kind: 'line', text: trimmed })
    else output.include(path, placeAt(trimmed, 0))
  }

  /** Cuts out what lies between C comment marks; opens and closes the long ones. */
  function cutBlockComment(line: Located): Located {
    const open = line.text.indexOf('/*')
    const close = line.text.lastIndexOf('*/')
    if (open >= 0 && close >= open + 2) {
      const before = line.text.slice(0, open)
      if (!comment && countQuotes(before) % 2 === 1 && line.text.includes('"', close)) {
        const message = `"/*" to "*/" is cut out as a comment, also inside quotes; ${documentAdvice}`
        warn(placeAt(line, open), message)
      }
      const first = line.text.indexOf('*/', open + 2)
      if (!comment && first < close && /[^ \t\r]/.test(line.text.slice(first + 2, close))) {
        const message =
          'all from the first "/*" to the last "*/" of a line is cut out as one comment'
        warn(placeAt(line, open), message)
      }
      const head = slice(line, 0, skipBlanksBack(line.text, open))
      return join([head, slice(line, skipBlanks(line.text, close + 2))])
    }
    const trimmed = trimText(line.text)
    // "/*/" alone opens nothing and closes what is open; then it is an ordinary line.
    if (trimmed === '/*/') comment = undefined
    else if (trimmed.startsWith('/*')) comment ??= placeAt(line, skipBlanks(line.text))
    else if (close >= 0) {
      if (!comment) {
        const message =
          close === 0
            ? '"*/" ends a comment that was never opened'
            : `"*/" without an open comment: everything before it on this line is lost; ${documentAdvice}`
        warn(placeAt(line, close), message)
      }
      comment = undefined
      return slice(line, close + 2)
    }
    return line
  }

  function cutLineComment(line: Located): Located {
    const hash = line.text.search(/(?<!\\)#/)
    if (hash < 0) return line
    const kept = line.text.slice(0, hash)
    const quotes = pending.reduce((sum, part) => sum + countQuotes(part.text), countQuotes(kept))
    if (quotes % 2 === 1 && line.text.includes('"', hash)) {
      const message =
        '"#" starts a comment, also inside quotes: the value ends here and keeps its opening quote; ' +
        'write "\\#" for the character'
      warn(placeAt(line, hash), message)
    } else if (hash > 0 && !isBlank(line.text[hash - 1]) && !kept.trimStart().startsWith('<')) {
      const message =
        '"#" starts a comment, also in the middle of a word: the value ends here; ' +
        'write "\\#" for the character, or a blank before the comment'
      warn(placeAt(line, hash), message)
    }
    return slice(line, 0, hash)
  }

  function warnOfBlankAfterBackslash(trimmed: Located): void {
    if (!/(?<!\\)\\$/.test(trimmed.text)) return
    const message =
      'this backslash does not continue the line: it must be the very last character ' +
      '(a blank, a comment or a carriage return follows it)'
    warn(placeAt(trimmed, trimmed.text.length - 1), message)
  }

  /** The original reads `key = <x/>` as a block `x` and loses the count of end tags. */
  function refuseEmptyBlockInValue({ text, ...rest }: Located): void {
    if (!text.endsWith('/>')) return
    const start = text.search(/<[^/]/)
    if (start < 0 || start + 2 > text.length - 2) return
    output.problem({
      severity: 'fatal',
      place: placeAt({ text, ...rest }, start),
      message: `"${excerptFrom(text, start)}" at the end of a line is read as an empty block; put the value in double quotes`,
    })
  }

  function reportUnfinished(): void {
    if (document) {
      const { mark, lines, name, place } = document
      // The path of an include that is not alone on its line ends up here.
      const advice = /^include\b.*>>$/i.test(mark)
        ? '; an include must stand alone on its line'
        : nearMark(mark, lines)
      // A password that begins with "<<" is taken for a mark.
      const written = `${name.text} = ${mark}`
      const message = `the here-document "${excerpt(name.text)}" is not ended: expected a line holding only "${excerptFrom(written, written.length - mark.length)}" before the end of the file${advice}`
      output.swallowing({ severity: 'error', place, message })
    }
    if (comment) {
      const message = 'this comment is not ended: expected "*/" before the end of the file'
      output.swallowing({ severity: 'error', place: comment, message })
    }
    const last = pending.at(-1)
    if (last) {
      const message =
        'the file ends after a backslash: this line is lost; expected its continuation, or no backslash'
      output.swallowing({ severity: 'error', place: placeAt(last, last.text.length), message })
    }
  }
}

const documentAdvice = 'a value that holds it is written as a here-document (name <<EOT)'

/** `<<include PATH>>`; blanks before the `>>` are part of the path. */
function includedPath(text: string): string | undefined {
  if (!/^<<include[ \t\r\f\v]/i.test(text) || !text.endsWith('>>')) return undefined
  const path = text.slice(skipBlanks(text, '<<include'.length), -2)
  return path === '' ? undefined : path
}

/** `name = <<MARK` (the name may then hold blanks) or `name <<MARK`. */
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

/** Blanks before the end mark are taken off every line that begins with just these. */
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
