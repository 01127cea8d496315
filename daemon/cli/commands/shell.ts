/** shell: values that a shell can evaluate. */

import { defineCommand } from '../command.ts'
import { sortFilter } from '../options.ts'
import { withRegistry } from '../registry-command.ts'
import { inOrder, shellLine } from '../registry-print.ts'

export const shell = defineCommand({
  name: 'shell',
  group: 'variables',
  operands: '[NAME ...]',
  offers: 'variables',
  summary: 'list all values, for a shell',
  more: `
    Prints NAME=VALUE lines that a shell can evaluate. Characters that a shell does not allow in a
    name are replaced by _.
  `,
  dialect: 'ucr',
  options: sortFilter,
  run: ({ operands }, host) =>
    withRegistry(host, registry => {
      const { merged } = registry.snapshot()
      const wanted = operands.length === 0 ? [...merged.keys()] : operands
      const present = wanted.filter(key => merged.has(key))
      for (const [key, value] of inOrder(present.map(one => [one, merged.get(one) ?? '']))) {
        host.out(shellLine(key, value))
      }
      return 0
    }),
})
