/** update: the defaults of a new version. */

import { commitVariables, type Plan } from '../../registry/commit.ts'
import type { Scope } from '../../registry/layers.ts'
import type { Snapshot } from '../../registry/registry.ts'
import { isPattern } from '../../registry/variables.ts'
import { defineCommand } from '../command.ts'
import { sortFilter } from '../options.ts'
import { commitOptions, report, scopeFor, withRegistry } from '../registry-command.ts'

export const update = defineCommand({
  name: 'update',
  group: 'variables',
  summary: 'adopt the defaults of a new version',
  more: `
    Adopts the defaults of a new version. The package runs it on upgrade. Values that were set
    stay as they are.
  `,
  dialect: 'ucr',
  options: sortFilter,
  run: (_values, host) =>
    withRegistry(host, async registry => {
      const isCustom = registry.files.some(file => file.scope === 'custom')
      const scope: Scope = isCustom ? 'custom' : 'default'
      const plan: Plan = { scope: scopeFor(registry), changes: new Map(), render: 'all' }
      const decide = (snapshot: Snapshot): Plan => {
        const stored = snapshot.layers.find(layer => layer.scope === scope)?.values ?? new Map()
        const changes = new Map<string, string | undefined>()
        for (const key of stored.keys()) changes.set(key, undefined)
        for (const { name, default: value } of registry.descriptions.all) {
          if (value !== '' && !isPattern(name)) changes.set(name, value)
        }
        return { scope, changes }
      }
      // Where UCR is the registry, the package's own declarations carry the defaults.
      const isRenderedOnly = isCustom || registry.ucr !== undefined
      const options = commitOptions(host, registry)
      return report(host, await commitVariables(options, isRenderedOnly ? () => plan : decide))
    }),
})
