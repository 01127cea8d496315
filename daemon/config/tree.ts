/**
 * The tree that a configuration file is parsed into.
 *
 * Options and blocks keep the order of the file (`entries`), because the order of plugins is the
 * order in which they run, and their places, because every later complaint names one. Nothing here
 * knows which options exist or what their values mean: a value is text as the grammar delivers it,
 * without its quotes and escapes.
 */

import type { Place } from '../policy/problem.ts'
import { excerpt } from '../text/excerpt.ts'

export interface Option {
  readonly kind: 'option'
  readonly name: string
  /** Undefined: the name is alone on its line. `name =` has the empty text. */
  readonly value: string | undefined
  /** The place of the name. */
  readonly place: Place
  /** The place of the value's first character (its quote, or the `<<` of a here-document), else of the name. */
  readonly valuePlace: Place
}

export interface Block {
  readonly kind: 'block'
  /** Empty for the root. */
  readonly type: string
  readonly name: string | undefined
  /** The place of the `<`. */
  readonly place: Place
  readonly options: readonly Option[]
  readonly blocks: readonly Block[]
  /** Options and blocks in the order of the file. */
  readonly entries: readonly Entry[]
}

export type Entry = Option | Block

/** The (first) option of that name. */
export function findOption(block: Block, name: string): Option | undefined {
  return block.options.find(option => option.name === name)
}

/** `<Plugin greylist>`, as messages name a block. */
export function tagOf({ type, name }: Pick<Block, 'type' | 'name'>): string {
  return `<${excerpt(name === undefined ? type : `${type} ${name}`)}>`
}

/** "in line 5", or "in FILE:5" when seen from another file. */
export function lineText(place: Place, from: Place): string {
  return place.file === from.file ? `in line ${place.line}` : `in ${place.file}:${place.line}`
}
