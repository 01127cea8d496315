/**
 * What occurs more than once in a tree and may not.
 *
 * On one level a name is one thing: an option, an unnamed block, or named blocks of one type and
 * different names. Exceptions are up to the caller, not to the grammar.
 */

import type { Problem } from '../policy/problem.ts'
import { excerpt } from '../text/excerpt.ts'
import { type Block, type Entry, lineText, tagOf } from './tree.ts'

export interface Repeatable {
  /** Names of options that may occur more than once in a block. */
  readonly repeatableOptions?: readonly string[]
  /** Types of blocks that may occur more than once under the same name. */
  readonly repeatableBlocks?: readonly string[]
}

export function findRepeated(root: Block, options: Repeatable): Problem[] {
  const problems: Problem[] = []
  const repeatableOptions = new Set(options.repeatableOptions)
  const repeatableBlocks = new Set(options.repeatableBlocks)

  function visit(parent: Block): void {
    const seenOptions = new Map<string, Entry>()
    const seenTypes = new Map<string, Entry>()
    const seenBlocks = new Map<string, Entry>()
    for (const entry of parent.entries) {
      const what =
        entry.kind === 'option' ? `option "${excerpt(entry.name)}"` : `block ${tagOf(entry)}`
      const refuse = (first: Entry) => {
        const where = lineText(first.place, entry.place)
        const kind =
          first.kind === entry.kind
            ? ''
            : ` as ${first.kind === 'option' ? 'an option' : 'a block'}`
        const message = `${what} occurs more than once: it was first written${kind} ${where}`
        problems.push({ severity: 'fatal', place: entry.place, message })
      }
      if (entry.kind === 'option') {
        const first = seenOptions.get(entry.name) ?? seenTypes.get(entry.name)
        if (first === undefined) seenOptions.set(entry.name, entry)
        else if (first.kind === 'block' || !repeatableOptions.has(entry.name)) refuse(first)
        continue
      }
      const { type, name } = entry
      const key = JSON.stringify([type, name])
      const same = name === undefined ? seenTypes.get(type) : seenBlocks.get(key)
      const first = seenOptions.get(type) ?? (repeatableBlocks.has(type) ? undefined : same)
      if (first) refuse(first)
      if (!seenTypes.has(type)) seenTypes.set(type, entry)
      if (!seenBlocks.has(key)) seenBlocks.set(key, entry)
      visit(entry)
    }
  }

  visit(root)
  return problems
}
