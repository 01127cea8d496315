/** get: one value. */

import { canonicalKey } from '../../registry/name-key.ts'
import { defineCommand } from '../command.ts'
import { jsonFilter, shellFilter, sortFilter } from '../options.ts'
import { withRegistry } from '../registry-command.ts'
import { shellLine } from '../registry-print.ts'

export const get = defineCommand({
  name: 'get',
  group: 'variables',
  operands: 'NAME',
  offers: 'variables',
  summary: 'print one value',
  more: `
    Prints the value and nothing else. Prints nothing, and exits with status 0, if the variable
    has no value.
  `,
  json: '{NAME}: the value; null if there is none.',
  dialect: 'ucr',
  options: { shell: shellFilter, json: jsonFilter, ...sortFilter },
  run: ({ shell, json, operands: [name = ''] }, host) =>
    withRegistry(host, registry => {
      const { merged } = registry.snapshot()
      const key = merged.has(name) ? name : canonicalKey(name)
      const value = merged.get(key)
      if (json) host.out(`${JSON.stringify({ [key]: value ?? null })}\n`)
      else if (value !== undefined) host.out(shell ? shellLine(key, value) : `${value}\n`)
      return 0
    }),
})
