/**
 * Configuration files → tree, with every mistake at its place.
 *
 * Never throws because of what a file contains; continues after a mistake; refuses (`fatal`) what
 * the original refuses: tags that do not pair up, anything that occurs more than once. End tags are
 * counted and not compared, as in the original, as long as the count is right; if it is wrong,
 * their names tell which tag is missing or superfluous.
 *
 * Which options and blocks exist, and what values mean, is up to the loader.
 */

import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import { excerpt } from '../text/excerpt.ts'
import type { ConfigIo } from './include.ts'
import { type Include, type LogicalLine, lexConfig } from './lexer.ts'
import { placeAt } from './located.ts'
import { findRepeated, type Repeatable } from './repeated.ts'
import { plainValue, readStatement, type Statement, type Tag } from './tag.ts'
import { type Block, type Entry, lineText, type Option, tagOf } from './tree.ts'

export interface Parsed {
  readonly root: Block
  /** By file (as opened), line and column; the first thousand. */
  readonly problems: readonly Problem[]
  readonly files: readonly string[]
  readonly includes: readonly Include[]
}

/** Deep enough for any chain, and safe for code that walks the tree recursively. */
const MOST_DEPTH = 200

/** In a file that is not a configuration at all, every line is a problem. */
const MOST_PROBLEMS = 1000

const OPEN_QUOTE =
  'the value begins with a double quote and does not end with one: the quote becomes part of it'

/** A block being filled. */
interface Growing extends Block {
  readonly options: Option[]
  readonly blocks: Block[]
  readonly entries: Entry[]
}

type Token = { readonly place: Place } & (
  | { readonly statement: Statement; readonly line: LogicalLine & { kind: 'line' } }
  | { readonly option: Option }
  | { readonly empty: Tag; readonly fault: Extract<Statement, { kind: 'open' }>['fault'] }
)

export function parseConfig(file: string, io: ConfigIo, options: Repeatable = {}): Parsed {
  const { lines, files, includes, problems: lexed, swallowed } = lexConfig(file, io)
  const { root, problems: built, unclosed } = buildTree(lines.map(readToken), start(file))
  // What swallowed the rest of the file took the end tags with it: only that mistake is shown.
  const blamed = unclosed.length > 0 ? swallowed : new Set()
  // A quote whose other half a comment took has been explained where the comment begins.
  const explained = new Set(lexed.map(({ place }) => `${place.line}:${place.file}`))
  const problems = [
    ...lexed.map(
      (problem): Problem => (blamed.has(problem) ? { ...problem, severity: 'fatal' } : problem),
    ),
    ...(blamed.size > 0 ? [] : unclosed),
    ...built.filter(
      ({ message, place }) =>
        message !== OPEN_QUOTE || !explained.has(`${place.line}:${place.file}`),
    ),
    ...findRepeated(root, options),
  ]
  return { root, problems: inOrder(problems, files), files, includes }
}

function start(file: string): Place {
  return { file, line: 1, column: 1 }
}

function readToken(line: LogicalLine): Token {
  if (line.kind === 'document') {
    const place = placeAt(line.name, 0)
    const { value, valuePlace, name } = line
    return {
      place,
      option: { kind: 'option', name: name.text, value: plainValue(value), place, valuePlace },
    }
  }
  const place = placeAt(line.text, 0)
  const statement = readStatement(line.text)
  if (line.kind === 'empty-block' && statement.kind === 'open') {
    return { place, empty: statement, fault: statement.fault }
  }
  return { place, statement, line: { kind: 'line', text: line.text } }
}

/** Does every end tag have an opening one before it, and the other way round? */
function isBalanced(tokens: readonly Token[]): boolean {
  let depth = 0
  for (const token of tokens) {
    if (!('statement' in token)) continue
    if (token.statement.kind === 'open') depth++
    if (token.statement.kind === 'close' && --depth < 0) return false
  }
  return depth === 0
}

function isBrokenTag(token: Token): boolean {
  if (!('statement' in token) || token.statement.kind === 'option') return false
  return token.statement.fault?.severity === 'fatal'
}

function buildTree(tokens: readonly Token[], place: Place): TreeBuilder {
  const builder = new TreeBuilder(tokens, place)
  for (const token of tokens) builder.take(token)
  builder.end()
  return builder
}

class TreeBuilder {
  readonly root: Growing
  readonly problems: Problem[] = []
  /** About blocks that are open at the end of the input. */
  readonly unclosed: Problem[] = []
  readonly #open: Growing[] = []
  readonly #byName: boolean
  /** Their tags have been reported as mistakes; a missing end is not reported as well. */
  readonly #faulty = new Set<Block>()
  #tooDeep = false

  constructor(tokens: readonly Token[], place: Place) {
    this.root = grow({ type: '', name: undefined }, place)
    // With a broken tag the file is refused anyway, and the count means little.
    this.#byName = tokens.some(isBrokenTag) || !isBalanced(tokens)
  }

  #report(severity: Problem['severity'], place: Place, message: string): void {
    this.problems.push({ severity, place, message })
  }

  #add(entry: Entry): void {
    const parent = this.#open.at(-1) ?? this.root
    parent.entries.push(entry)
    if (entry.kind === 'option') parent.options.push(entry)
    else parent.blocks.push(entry)
  }

  #openBlock(tag: Tag, place: Place): Block {
    const block = grow(tag, place)
    if (this.#open.length < MOST_DEPTH) this.#add(block)
    else if (!this.#tooDeep) {
      this.#tooDeep = true
      this.#report('fatal', place, `blocks are nested more than ${MOST_DEPTH} deep here`)
    }
    this.#open.push(block)
    return block
  }

  #closeBlock(tag: Extract<Statement, { kind: 'close' }>, place: Place): void {
    const innermost = this.#open.at(-1)
    if (!innermost) {
      if (!tag.fault)
        this.#report('fatal', place, `${tag.written} closes nothing: no block is open here`)
      return
    }
    if (tag.fault || endsWell(tag, innermost)) {
      this.#open.pop()
      return
    }
    const ofThatType = this.#open.some(block => block.type === tag.type)
    const meant = ofThatType ? innermost.type === tag.type : isNear(tag.type, innermost.type)
    if (!this.#byName || meant) {
      const where = lineText(innermost.place, place)
      const message = `${tag.written} closes ${tagOf(innermost)}, opened ${where}; expected </${excerpt(innermost.type)}>`
      this.#report('warning', place, message)
      this.#open.pop()
      return
    }
    if (!ofThatType) {
      const where = lineText(innermost.place, place)
      const message = `${tag.written} closes nothing: the innermost open block is ${tagOf(innermost)}, opened ${where}`
      this.#report('fatal', place, message)
      return
    }
    for (let block = this.#open.pop(); block && block.type !== tag.type; block = this.#open.pop()) {
      if (this.#faulty.has(block)) continue
      const before = `before ${tag.written} ${lineText(place, block.place)}`
      this.#report(
        'fatal',
        block.place,
        `${tagOf(block)} has no end tag: expected </${excerpt(block.type)}> ${before}`,
      )
    }
  }

  take(token: Token): void {
    if ('option' in token) this.#add(token.option)
    else if ('empty' in token) {
      if (token.fault) this.#report(token.fault.severity, token.place, token.fault.message)
      this.#openBlock(token.empty, token.place)
      this.#open.pop()
    } else {
      const { statement, place, line } = token
      if (statement.fault) this.#report(statement.fault.severity, place, statement.fault.message)
      if (statement.kind === 'open') {
        const block = this.#openBlock(statement, place)
        if (statement.fault?.severity === 'fatal') this.#faulty.add(block)
      } else if (statement.kind === 'close') this.#closeBlock(statement, place)
      else if (!statement.fault) {
        const { name, value: written, valueAt } = statement
        const valuePlace = written === undefined ? place : placeAt(line.text, valueAt)
        if (written !== undefined) warnOfLoneQuote(written, valuePlace, this.problems)
        const value = written === undefined ? undefined : plainValue(written)
        this.#add({ kind: 'option', name, value, place, valuePlace })
      }
    }
  }

  end(): void {
    for (const block of this.#open) {
      if (this.#faulty.has(block)) continue
      const { type, place } = block
      const message = `${tagOf(block)} has no end tag: expected </${excerpt(type)}> before the end of the file`
      this.unclosed.push({ severity: 'fatal', place, message })
    }
  }
}

function grow({ type, name }: Tag, place: Place): Growing {
  return { kind: 'block', type, name, place, options: [], blocks: [], entries: [] }
}

/** `</Plugin>`, also `</Plugin a>`. */
function endsWell(end: Tag, block: Block): boolean {
  return end.type === block.type && (end.name === undefined || end.name === block.name)
}

/** A typing error. */
function isNear(a: string, b: string): boolean {
  return a.length <= 60 && b.length <= 60 && nearestName(a, [b]) !== undefined
}

function warnOfLoneQuote(written: string, place: Place, problems: Problem[]): void {
  if (!written.startsWith('"') || (written.length > 1 && written.endsWith('"'))) return
  const message =
    written === '"'
      ? 'a single double quote is read as the empty text; write "" for that'
      : OPEN_QUOTE
  problems.push({ severity: 'warning', place, message })
}

/** By place. If there are too many, the worst of them and the number of the others. */
function inOrder(problems: readonly Problem[], files: readonly string[]): Problem[] {
  const order = new Map(files.map((file, index) => [file, index]))
  const worst = ['fatal', 'error', 'warning'].flatMap(severity =>
    problems.filter(problem => problem.severity === severity),
  )
  const shown = worst
    .slice(0, MOST_PROBLEMS)
    .sort(
      ({ place: a }, { place: b }) =>
        (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) ||
        a.line - b.line ||
        a.column - b.column,
    )
  const next = worst[MOST_PROBLEMS]
  if (next) shown.push({ ...next, message: `and ${worst.length - MOST_PROBLEMS} more problems` })
  return shown
}
