/**
 * Configuration files → tree, with every mistake at its place.
 *
 * Promises: never throws on what a file holds; goes on after a mistake; refuses (`fatal`) what the
 * original refuses: tags that do not pair up, anything that occurs more than once. End tags are
 * counted and not compared, as in the original, as long as the count is right; if it is wrong,
 * their names are used to say which tag is missing or too many.
 *
 * Which options and blocks exist, and what values mean, is the loader's business.
 */

import { excerpt } from '../policy/excerpt.ts'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import type { ConfigIo } from './include.ts'
import { type LogicalLine, lexConfig } from './lexer.ts'
import { placeAt } from './located.ts'
import { findRepeated, type Repeatable } from './repeated.ts'
import { plainValue, readStatement, type Statement, type Tag } from './tag.ts'
import { type Block, type Entry, lineText, type Option, tagOf } from './tree.ts'

export interface Parsed {
  readonly root: Block
  /** By file (as opened), line and column; the first thousand. */
  readonly problems: readonly Problem[]
  readonly files: readonly string[]
}

/** Deep enough for any chain, and no danger to those who walk the tree by recursion. */
const maxDepth = 200

/** In a file that is no configuration at all every line is one. */
const maxProblems = 1000

const openQuote =
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
  const { lines, files, problems: lexed, swallowed } = lexConfig(file, io)
  const { root, problems: built, unclosed } = buildTree(lines.map(readToken), start(file))
  // The end tags went with what swallowed the rest of the file: that is the one mistake to show.
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
        message !== openQuote || !explained.has(`${place.line}:${place.file}`),
    ),
    ...findRepeated(root, options),
  ]
  return { root, problems: inOrder(problems, files), files }
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

function buildTree(tokens: readonly Token[], place: Place) {
  const problems: Problem[] = []
  /** About blocks that the end of the input found open. */
  const unclosed: Problem[] = []
  const root = grow({ type: '', name: undefined }, place)
  const open: Growing[] = []
  // Where a tag is broken the file is refused anyway, and the count means little.
  const byName = tokens.some(isBrokenTag) || !isBalanced(tokens)
  /** Their tags are a mistake that has been reported; whether they end is not worth another. */
  const faulty = new Set<Block>()
  let tooDeep = false

  const report = (severity: Problem['severity'], place: Place, message: string) =>
    problems.push({ severity, place, message })

  function add(entry: Entry): void {
    const parent = open.at(-1) ?? root
    parent.entries.push(entry)
    if (entry.kind === 'option') parent.options.push(entry)
    else parent.blocks.push(entry)
  }

  function openBlock(tag: Tag, place: Place): Block {
    const block = grow(tag, place)
    if (open.length < maxDepth) add(block)
    else if (!tooDeep) {
      tooDeep = true
      report('fatal', place, `blocks are nested more than ${maxDepth} deep here`)
    }
    open.push(block)
    return block
  }

  function closeBlock(tag: Extract<Statement, { kind: 'close' }>, place: Place): void {
    const innermost = open.at(-1)
    if (!innermost) {
      if (!tag.fault) report('fatal', place, `${tag.written} ends nothing: no block is open here`)
      return
    }
    if (tag.fault || endsWell(tag, innermost)) {
      open.pop()
      return
    }
    const ofThatType = open.some(block => block.type === tag.type)
    const meant = ofThatType ? innermost.type === tag.type : isNear(tag.type, innermost.type)
    if (!byName || meant) {
      const where = lineText(innermost.place, place)
      const message = `${tag.written} ends ${tagOf(innermost)}, opened ${where}; expected </${excerpt(innermost.type)}>`
      report('warning', place, message)
      open.pop()
      return
    }
    if (!ofThatType) {
      const where = lineText(innermost.place, place)
      const message = `${tag.written} ends nothing: the innermost open block is ${tagOf(innermost)}, opened ${where}`
      report('fatal', place, message)
      return
    }
    for (let block = open.pop(); block && block.type !== tag.type; block = open.pop()) {
      if (faulty.has(block)) continue
      const before = `before ${tag.written} ${lineText(place, block.place)}`
      report(
        'fatal',
        block.place,
        `${tagOf(block)} has no end tag: expected </${excerpt(block.type)}> ${before}`,
      )
    }
  }

  for (const token of tokens) {
    if ('option' in token) add(token.option)
    else if ('empty' in token) {
      if (token.fault) report(token.fault.severity, token.place, token.fault.message)
      openBlock(token.empty, token.place)
      open.pop()
    } else {
      const { statement, place, line } = token
      if (statement.fault) report(statement.fault.severity, place, statement.fault.message)
      if (statement.kind === 'open') {
        const block = openBlock(statement, place)
        if (statement.fault?.severity === 'fatal') faulty.add(block)
      } else if (statement.kind === 'close') closeBlock(statement, place)
      else if (!statement.fault) {
        const { name, value: written, valueAt } = statement
        const valuePlace = written === undefined ? place : placeAt(line.text, valueAt)
        if (written !== undefined) warnOfLoneQuote(written, valuePlace, problems)
        const value = written === undefined ? undefined : plainValue(written)
        add({ kind: 'option', name, value, place, valuePlace })
      }
    }
  }
  for (const block of open) {
    if (faulty.has(block)) continue
    const { type, place } = block
    const message = `${tagOf(block)} has no end tag: expected </${excerpt(type)}> before the end of the file`
    unclosed.push({ severity: 'fatal', place, message })
  }
  return { root, problems, unclosed }
}

function grow({ type, name }: Tag, place: Place): Growing {
  return { kind: 'block', type, name, place, options: [], blocks: [], entries: [] }
}

/** `</Plugin>`, also `</Plugin a>`. */
function endsWell(end: Tag, block: Block): boolean {
  return end.type === block.type && (end.name === undefined || end.name === block.name)
}

/** A slip of the pen. */
function isNear(a: string, b: string): boolean {
  return a.length <= 60 && b.length <= 60 && nearestName(a, [b]) !== undefined
}

function warnOfLoneQuote(written: string, place: Place, problems: Problem[]): void {
  if (!written.startsWith('"') || (written.length > 1 && written.endsWith('"'))) return
  const message =
    written === '"'
      ? 'a single double quote is read as the empty text; write "" for that'
      : openQuote
  problems.push({ severity: 'warning', place, message })
}

/** By place; of more than anybody reads, the worst, and how many there are. */
function inOrder(problems: readonly Problem[], files: readonly string[]): Problem[] {
  const order = new Map(files.map((file, index) => [file, index]))
  const worst = ['fatal', 'error', 'warning'].flatMap(severity =>
    problems.filter(problem => problem.severity === severity),
  )
  const shown = worst
    .slice(0, maxProblems)
    .sort(
      ({ place: a }, { place: b }) =>
        (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) ||
        a.line - b.line ||
        a.column - b.column,
    )
  const next = worst[maxProblems]
  if (next) shown.push({ ...next, message: `and ${worst.length - maxProblems} problems more` })
  return shown
}
