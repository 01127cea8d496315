/**
 * The text of a configuration with some of its pieces replaced, each at its place. Everything else
 * stays byte for byte. Pieces are replaced from the end to the beginning, so that the places of
 * those before stay right.
 */

import type { Include } from '../config/lexer.ts'
import type { Option } from '../config/tree.ts'
import type { Place } from '../policy/problem.ts'
import type { Mention } from './inventory.ts'

interface Piece {
  readonly at: number
  readonly length: number
  readonly text: string
}

export interface Changes {
  readonly mentions: readonly Mention[]
  /** The new path of a file, if it has one. */
  replacement(path: string): string | undefined
  readonly includes: readonly Include[]
  includedFrom(path: string): string
  /** Options that become comments. */
  readonly removed: readonly Option[]
}

/** `file`: as the places name it. `text`: plain, as the parser reads it (text/plain-text.ts). */
export function rewrite(file: string, text: string, changes: Changes): string {
  const lines = new Lines(text)
  const isHere = ({ place }: { readonly place: Place }): boolean => place.file === file
  const pieces = [
    ...mentioned(
      lines,
      changes.mentions.filter(({ from }) => from.file === file),
      changes,
    ),
    ...changes.includes.filter(isHere).flatMap(({ path, place }) => {
      const at = text.indexOf(path, lines.offset(place) + '<<include'.length)
      return at < 0 ? [] : [{ at, length: path.length, text: changes.includedFrom(path) }]
    }),
    ...changes.removed.filter(isHere).flatMap(({ place }) => lines.comment(place)),
  ]
  let result = text
  for (const { at, length, text: piece } of pieces.toSorted((a, b) => b.at - a.at)) {
    result = result.slice(0, at) + piece + result.slice(at + length)
  }
  return result
}

/** A value may name the same path twice: each mention is searched for after the previous one. */
function mentioned(lines: Lines, mentions: readonly Mention[], changes: Changes): Piece[] {
  let behind = 0
  return mentions.flatMap(({ path, from, until }) => {
    const at = lines.text.indexOf(path, Math.max(behind, lines.offset(from)))
    const end = until === undefined ? lines.text.length : lines.offset(until)
    // A path that is broken up by a backslash is not found, and stays.
    if (at < 0 || at + path.length > end) return []
    behind = at + path.length
    const text = changes.replacement(path)
    return text === undefined ? [] : [{ at, length: path.length, text }]
  })
}

class Lines {
  readonly text: string
  readonly #starts: readonly number[]

  constructor(text: string) {
    this.text = text
    const starts = [0]
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
    this.#starts = starts
  }

  offset({ line, column }: Place): number {
    return (this.#starts[line - 1] ?? this.text.length) + column - 1
  }

  /** A `#` before the line, and before each that a backslash joins to it. */
  comment({ line }: Place): Piece[] {
    const pieces: Piece[] = []
    for (let at = line; ; at++) {
      const start = this.#starts[at - 1]
      if (start === undefined) return pieces
      pieces.push({ at: start, length: 0, text: '#' })
      const end = this.#starts[at] ?? this.text.length + 1
      if (this.text[end - 2] !== '\\') return pieces
    }
  }
}
