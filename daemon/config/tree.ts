/**
 * The tree a configuration file is read into, and questions to it.
 *
 * Options and blocks keep the order of the file (`entries`), because the order of plugins is the
 * order in which they run, and their places, because every later complaint names one. Nothing here
 * knows which options exist or what their values mean: a value is text as the grammar delivers it,
 * without its quotes and escapes.
 */

import { excerpt } from '../policy/excerpt.ts'
import type { Place } from '../policy/problem.ts'

export interface Option {
  readonly kind: 'option'
  readonly name: string
  /** Undefined: the name stood alone. `name =` has the empty text. */
  readonly value: string | undefined
  /** Of the name. */
  readonly place: Place
  /** Of the value's first character (a quote, if quoted; `<<` of a here-document), else the name's. */
  readonly valuePlace: Place
}

export interface Block {
  readonly kind: 'block'
  /** Empty for the root. */
  readonly type: string
  readonly name: string | undefined
  /** Of the `<`. */
  readonly place: Place
  readonly options: readonly Option[]
  readonly blocks: readonly Block[]
  /** Options and blocks as they stand in the file. */
  readonly entries: readonly Entry[]
}

export type Entry = Option | Block

/** The (first) option of that name. */
export function findOption(block: Block, name: string): Option | undefined {
  return block.options.find(option => option.name === name)
}

/** All options of that name, for those that may be repeated. */
export function findOptions(block: Block, name: string): Option[] {
  return block.options.filter(option => option.name === name)
}

/** All blocks of that type, in file order. */
export function findBlocks(block: Block, type: string): Block[] {
  return block.blocks.filter(inner => inner.type === type)
}

/** `<Plugin greylist>`, as messages name a block. */
export function tagOf({ type, name }: Pick<Block, 'type' | 'name'>): string {
  return `<${excerpt(name === undefined ? type : `${type} ${name}`)}>`
}

/** "in line 5", or "in FILE:5" when seen from another file. */
export function lineText(place: Place, from: Place): string {
  return place.file === from.file ? `in line ${place.line}` : `in ${place.file}:${place.line}`
}
