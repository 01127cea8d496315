/** info: all there is to know about a variable. */

import { canonicalKey } from '../../registry/name-key.ts'
import { definitionError } from '../../registry/value-types.ts'
import { isPattern } from '../../registry/variables.ts'
import { defineCommand } from '../command.ts'
import { jsonFilter, sortFilter } from '../options.ts'
import { withRegistry } from '../registry-command.ts'
import { descriptionOf } from '../registry-print.ts'

export const info = defineCommand({
  name: 'info',
  group: 'variables',
  operands: 'NAME ...',
  offers: 'variables',
  summary: 'show a variable in full',
  more: 'Shows value, description, category, default and type.',
  json: '{NAME, ...}: for each variable its value and its declaration.',
  dialect: 'ucr',
  options: { json: jsonFilter, ...sortFilter },
  run: ({ json, operands }, host) =>
    withRegistry(host, registry => {
      const { merged } = registry.snapshot()
      const found: Record<string, unknown> = {}
      for (const argument of operands) {
        const key = merged.has(argument) ? argument : canonicalKey(argument)
        const value = merged.get(key)
        const variable =
          value === undefined ? registry.descriptions.exact(key) : registry.descriptions.find(key)
        if (value === undefined && (variable === undefined || isPattern(key))) {
          host.err(`W: Unknown key: "${argument}"\n`)
          continue
        }
        if (json) {
          found[key] = { value: value ?? null, ...variable }
          continue
        }
        const lines = [`${key}: ${value ?? '<empty>'}`]
        if (variable !== undefined) {
          lines.push(` ${descriptionOf(host, variable)}`)
          lines.push(` Categories: ${variable.categories}`)
          lines.push(` Default: ${variable.default === '' ? '(not set)' : variable.default}`)
          lines.push(` Type: ${definitionError(variable) ?? variable.type}`)
        }
        host.out(`${lines.join('\n')}\n\n`)
      }
      if (json) host.out(`${JSON.stringify(found, undefined, 2)}\n`)
      return 0
    }),
})
