/**
 * Editing main.cf as text, so that an edit can be taken back byte for byte.
 *
 * Postfix's rules (postconf(5)): a line that starts with blanks continues the one before, even
 * across empty and comment lines; of several definitions the last one wins. `insertItem` puts an
 * item first into that last one, or appends one line; `removeInserted` is its exact inverse, also
 * when other places of the file were edited meanwhile. Comments, layout, line ends stay as they are,
 * which is what `postconf -e` does not promise.
 *
 * Text is one character per byte (latin1): main.cf has no declared encoding. Pure functions; nothing
 * is read or written here, `$name` is not expanded.
 */

import { tokenise } from './restriction-list.ts'

export interface Definition {
  /** Where its first line starts, and where its last line with content ends (line end included). */
  readonly start: number
  readonly end: number
  /** Offset of the `=`. */
  readonly equals: number
  /** Content behind the `=`, line by line: continuation lines yes, comment lines no. */
  readonly segments: readonly { readonly start: number; readonly end: number }[]
  /** The value as Postfix reads it: segments joined, blanks at the ends gone. */
  readonly value: string
}

/** What `insertItem` wrote: enough to find it again. */
export interface Insertion {
  readonly inserted: string
  /** The parameter was not there before: the insertion is a line of its own. */
  readonly created: boolean
}

interface Line {
  readonly start: number
  /** Without the line end. */
  readonly contentEnd: number
  readonly end: number
}

/** All definitions of a parameter, in the order of the file. The last one is the one that counts. */
export function findDefinitions(text: string, parameter: string): Definition[] {
  return logicalLines(text).flatMap(lines => {
    const definition = asDefinition(text, lines)
    return definition?.name === parameter ? [definition] : []
  })
}

export function insertItem(
  text: string,
  parameter: string,
  item: string,
): Insertion & { readonly text: string } {
  const last = findDefinitions(text, parameter).at(-1)
  if (!last) {
    const lineEnd = /\r\n$/.test(text) || /\r\n[^\n]*$/.test(text) ? '\r\n' : '\n'
    const gap = text === '' || text.endsWith('\n') ? '' : lineEnd
    const inserted = `${gap}${parameter} = ${item}${lineEnd}`
    return { text: text + inserted, inserted, created: true }
  }
  const { at, inserted } = placeOf(text, last, item)
  return { text: text.slice(0, at) + inserted + text.slice(at), inserted, created: false }
}

/** Cuts exactly what `insertItem` put in; undefined if it is no longer there in that form. */
export function removeInserted(
  text: string,
  parameter: string,
  { inserted, created }: Insertion,
): string | undefined {
  const found = findDefinitions(text, parameter).reverse()
  if (created) return removeLine(text, found, inserted)
  for (const definition of found) {
    const behindEquals = definition.equals + 1
    for (const at of [behindEquals, afterBlanks(text, behindEquals)]) {
      const end = at + inserted.length
      // An item that was the whole value and has got a neighbour is not cut here: its comma would stay.
      const isWhole =
        inserted.endsWith(',') || inserted.endsWith(', ') || isLineEnd(text, afterBlanks(text, end))
      if (isWhole && text.startsWith(inserted, at)) return without(text, at, end)
    }
    if (!inserted.endsWith(', ')) continue
    // Somebody put another item in front: ours may stand anywhere on a content line.
    for (const { start, end } of definition.segments) {
      const at = text.slice(start, end).indexOf(inserted)
      if (at >= 0) return without(text, start + at, start + at + inserted.length)
    }
  }
  return undefined
}

/**
 * Cuts every restriction for which `isOurs` holds out of all definitions of a parameter, whatever
 * the layout; a definition that is nothing but ours, on one line, goes whole. Of several it stays and
 * is empty: without the last one, which counts, the one before would.
 */
export function removeRestrictions(
  text: string,
  parameter: string,
  isOurs: (restriction: string, argument: string | undefined) => boolean,
): string {
  let result = text
  const found = findDefinitions(text, parameter)
  for (const definition of found.reverse()) {
    result = cutRestrictions(result, definition, found.length === 1, isOurs)
  }
  return result
}

function cutRestrictions(
  text: string,
  definition: Definition,
  isAlone: boolean,
  isOurs: (restriction: string, argument: string | undefined) => boolean,
): string {
  // Its indentation is what makes a line a continuation: never cut.
  const indentation = new Set(
    definition.segments.slice(1).flatMap(({ start }) => {
      return Array.from({ length: afterBlanks(text, start) - start }, (_, i) => start + i)
    }),
  )
  // offsets[i] is where character i of the joined content stands in the file.
  const offsets = definition.segments.flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  )
  const content = offsets.map(offset => text[offset]).join('')
  const tokens = tokenise(content)
  const cut = new Set<number>()
  let kept = 0
  for (let i = 0; i < tokens.length; i++) {
    const first = tokens[i]
    const second = tokens[i + 1]
    if (!first || !isOurs(first.text, second?.text)) {
      kept++
      continue
    }
    const next = tokens[i + 2]
    // With the separator behind; for the last one, with the separator in front.
    const from = next || kept === 0 ? first.start : (tokens[i - 1]?.end ?? first.start)
    const to = next ? next.start : (second?.end ?? first.end)
    for (const offset of offsets.slice(from, to)) if (!indentation.has(offset)) cut.add(offset)
    i++
  }
  if (cut.size === 0) return text
  if (kept === 0 && isAlone && definition.segments.length === 1) {
    return without(text, definition.start, definition.end)
  }
  const { start, end } = definition
  const rest = [...text.slice(start, end)].filter((_, i) => !cut.has(start + i)).join('')
  return text.slice(0, start) + rest + text.slice(end)
}

function removeLine(
  text: string,
  found: readonly Definition[],
  inserted: string,
): string | undefined {
  const gap = /^\r?\n/.exec(inserted)?.[0] ?? ''
  const line = inserted.slice(gap.length).trimEnd()
  for (const { start, end, segments } of found) {
    if (segments.length !== 1 || text.slice(start, end).trimEnd() !== line) continue
    // The line end that we added in front goes too, unless lines were appended behind ours.
    const from = end === text.length && text.endsWith(gap, start) ? start - gap.length : start
    return without(text, from, end)
  }
  return undefined
}

function placeOf(text: string, definition: Definition, item: string) {
  const behindEquals = definition.equals + 1
  const at = afterBlanks(text, behindEquals)
  if (!isLineEnd(text, at)) return { at, inserted: `${item}, ` }
  // `name =` and the value below, or no value at all.
  return { at: behindEquals, inserted: definition.value === '' ? ` ${item}` : ` ${item},` }
}

function afterBlanks(text: string, offset: number): number {
  let at = offset
  while (text[at] === ' ' || text[at] === '\t') at++
  return at
}

function isLineEnd(text: string, offset: number): boolean {
  return /^\r?(?:\n|$)/.test(text.slice(offset, offset + 2))
}

function without(text: string, start: number, end: number): string {
  return text.slice(0, start) + text.slice(end)
}

function asDefinition(
  text: string,
  lines: readonly Line[],
): (Definition & { readonly name: string }) | undefined {
  let name = ''
  for (const [index, line] of lines.entries()) {
    const content = text.slice(line.start, line.contentEnd)
    const sign = content.indexOf('=')
    if (sign < 0) {
      name += content
      continue
    }
    name = (name + content.slice(0, sign)).trim()
    const segments = [
      { start: line.start + sign + 1, end: line.contentEnd },
      ...lines.slice(index + 1).map(({ start, contentEnd }) => ({ start, end: contentEnd })),
    ]
    const first = lines[0] ?? line
    const last = lines.at(-1) ?? line
    const value = segments.map(({ start, end }) => text.slice(start, end)).join('')
    const { start } = first
    return { name, start, end: last.end, equals: line.start + sign, segments, value: value.trim() }
  }
  return undefined
}

/** Groups of physical lines that Postfix reads as one; comment and empty lines belong to none. */
function logicalLines(text: string): Line[][] {
  const groups: Line[][] = []
  for (let start = 0; start < text.length; ) {
    const feed = text.indexOf('\n', start)
    const contentEnd = feed < 0 ? text.length : feed
    const end = feed < 0 ? text.length : feed + 1
    const content = text.slice(start, contentEnd)
    const isContent = /^[ \t\r\v\f]*[^ \t\r\v\f#]/.test(content)
    if (isContent) {
      const current = groups.at(-1)
      if (current && /^[ \t\r\v\f]/.test(content)) current.push({ start, contentEnd, end })
      else groups.push([{ start, contentEnd, end }])
    }
    start = end
  }
  return groups
}
