/** Questions to the tree of a configuration that only tests have. */

import type { Block, Option } from '../../daemon/config/tree.ts'

/** All options of that name, for those that may be repeated. */
export function findOptions(block: Block, name: string): Option[] {
  return block.options.filter(option => option.name === name)
}

/** All blocks of that type, in file order. */
export function findBlocks(block: Block, type: string): Block[] {
  return block.blocks.filter(inner => inner.type === type)
}
