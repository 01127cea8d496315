/** unset: deletes values, so that the next lower layer, in the end the default, is in effect. */

import { commitVariables, type Plan } from '../../registry/commit.ts'
import { canonicalKey } from '../../registry/name-key.ts'
import { isOverridden, type Registry, type Snapshot, scopeOf } from '../../registry/registry.ts'
import { defineCommand, type ExitStatus, type Values } from '../command.ts'
import type { Host } from '../host.ts'
import { scopeOptions, sortFilter } from '../options.ts'
import { commitOptions, report, scopeFor, withRegistry } from '../registry-command.ts'

const options = { ...scopeOptions, ...sortFilter } as const

export const unset = defineCommand({
  name: 'unset',
  group: 'variables',
  operands: 'NAME ...',
  offers: 'variables',
  summary: 'restore the default',
  more: 'Deletes what was set, so that the default is in effect again. Takes effect at once, like set.',
  dialect: 'ucr',
  options,
  run: (values, host) => withRegistry(host, registry => runUnset(values, host, registry)),
})

async function runUnset(
  values: Values<typeof options>,
  host: Host,
  registry: Registry,
): Promise<ExitStatus> {
  const scope = scopeFor(registry, values)
  const decide = (snapshot: Snapshot): Plan => {
    const layer = snapshot.layers.find(candidate => candidate.scope === scope)
    // Our defaults are not in a file and cannot be unset.
    const stored = scope === 'default' ? new Map<string, string>() : layer?.values
    const changes = new Map<string, undefined>()
    for (const argument of values.operands) {
      const key = stored?.has(argument) === true ? argument : canonicalKey(argument)
      if (stored?.has(key) !== true) {
        host.err(`W: The config registry variable '${argument}' does not exist\n`)
        continue
      }
      changes.set(key, undefined)
      if (registry.ucr !== undefined) continue
      host.out(`Unsetting ${key}\n`)
      if (isOverridden(snapshot, scope, key)) {
        host.err(`W: ${key} is still set in scope "${scopeOf(snapshot, key)}"\n`)
      }
    }
    return { scope, changes }
  }
  return report(host, await commitVariables(commitOptions(host, registry), decide))
}
