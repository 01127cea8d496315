/**
 * Edits main.cf as text, so that an edit can be undone byte for byte.
 *
 * Postfix's rules (postconf(5)): a line that starts with white space continues the previous one,
 * even across empty and comment lines; of several definitions the last one counts. `insertItem`
 * puts an item first into that last one, or appends one line; `removeInserted` is its exact
 * inverse, even if other parts of the file were edited meanwhile. Comments, layout and line ends
 * stay as they are, which `postconf -e` does not promise.
 *
 * Text is one character per byte (latin1): main.cf has no declared encoding. Pure functions;
 * nothing is read or written here, `$name` is not expanded.
 */

import { type Line, logicalLines } from './logical-lines.ts'
import { stretchesOf } from './restriction-list.ts'

export interface Definition {
  readonly name: string
  /** Where its first line starts, and where its last line with content ends (line end included). */
  readonly start: number
  readonly end: number
  /** Offset of the `=`. */
  readonly equals: number
  /** Content after the `=`, line by line: with continuation lines, without comment lines. */
  readonly segments: readonly { readonly start: number; readonly end: number }[]
  /** The value as Postfix reads it: segments joined, white space trimmed. */
  readonly value: string
}

/** What `insertItem` wrote: enough to find it again. */
export interface Insertion {
  readonly inserted: string
  /** The parameter did not exist before: the insertion is a line of its own. */
  readonly created: boolean
}

/** All definitions of a file, in order. Of several with the same name the last one counts. */
export function readDefinitions(text: string): Definition[] {
  return logicalLines(text).flatMap(lines => asDefinition(text, lines) ?? [])
}

/** All definitions of a parameter, in the order of the file. The last one counts. */
export function findDefinitions(text: string, parameter: string): Definition[] {
  return readDefinitions(text).filter(({ name }) => name === parameter)
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

/** Cuts exactly what `insertItem` inserted; undefined if it is no longer there in that form. */
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
      // An item that used to be the whole value but now has a neighbour is not cut here: its comma
      // would stay.
      const isWhole =
        inserted.endsWith(',') || inserted.endsWith(', ') || isLineEnd(text, afterBlanks(text, end))
      if (isWhole && text.startsWith(inserted, at)) return without(text, at, end)
    }
    if (!inserted.endsWith(', ')) continue
    // Somebody put another item in front: ours may stand anywhere on a content line.
    for (const { start, end } of definition.segments) {
      const at = text.slice(start, end).indexOf(inserted)
      // A modifier in front of our item may apply to it alone, and must not be left behind.
      const isWarned = /warn_if_reject[\s,]*$/i.test(text.slice(definition.start, start + at))
      if (at >= 0 && !isWarned) return without(text, start + at, start + at + inserted.length)
    }
  }
  return undefined
}

/**
 * Cuts every restriction for which `isOurs` holds from all definitions of a parameter, whatever the
 * layout. A definition that consists of our items only, on one line, is removed. If there are
 * several definitions it is emptied instead: without the last one, the previous one would take
 * effect.
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
  // Its indentation is what makes a line a continuation: never cut it.
  const indentation = new Set(
    definition.segments.slice(1).flatMap(({ start }) => {
      return Array.from({ length: afterBlanks(text, start) - start }, (_, i) => start + i)
    }),
  )
  // offsets[i] is the position in the file of character i of the joined content.
  const offsets = definition.segments.flatMap(({ start, end }) =>
    Array.from({ length: end - start }, (_, i) => start + i),
  )
  const content = offsets.map(offset => text[offset]).join('')
  const { stretches, isAll } = stretchesOf(content, isOurs)
  if (stretches.length === 0) return text
  if (isAll && isAlone && definition.segments.length === 1) {
    return without(text, definition.start, definition.end)
  }
  const all = stretches.flatMap(stretch => offsets.slice(stretch.start, stretch.end))
  const cut = new Set(all.filter(offset => !indentation.has(offset)))
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
    // The line end that we added in front is removed too, unless lines were appended after ours.
    const from = end === text.length && text.endsWith(gap, start) ? start - gap.length : start
    return without(text, from, end)
  }
  return undefined
}

function placeOf(text: string, definition: Definition, item: string) {
  const behindEquals = definition.equals + 1
  const at = afterBlanks(text, behindEquals)
  if (!isLineEnd(text, at)) return { at, inserted: `${item}, ` }
  // `name =` with the value on the following line, or with no value at all.
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

function asDefinition(text: string, lines: readonly Line[]): Definition | undefined {
  let name = ''
  for (const [index, line] of lines.entries()) {
    const content = text.slice(line.start, line.contentEnd)
    const sign = content.indexOf('=')
    if (sign < 0) {
      name += content
      continue
    }
    name = (name + content.slice(0, sign)).trim()
    // Fatal for every Postfix program, as is a line without "=".
    if (!/^\S+$/.test(name)) return undefined
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
