/** dump: all values. */

import { defineCommand } from '../command.ts'
import { listFilters } from '../options.ts'
import { withRegistry } from '../registry-command.ts'
import { inOrder, printEntries } from '../registry-print.ts'

export const dump = defineCommand({
  name: 'dump',
  group: 'variables',
  summary: 'list all values, for people',
  more: 'Lists all variables that have a value, one per line: NAME: VALUE.',
  json: '{NAME, ...}: the values. With --keys-only an array of the names.',
  dialect: 'ucr',
  options: listFilters,
  run: (values, host) =>
    withRegistry(host, registry => {
      const entries = inOrder(registry.snapshot().merged)
      if (entries.length === 0 && !values.shell && !values.json) host.out('\n')
      printEntries(host, values, entries)
      return 0
    }),
})
