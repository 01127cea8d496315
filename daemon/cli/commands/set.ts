/**
 * set: stores values.
 *
 * The messages follow UCR line by line, order included: the line about a key comes before the
 * refusal of its value. If one of several assignments in a call is refused, the others are stored. The decisions
 * are made under the registry's lock, on layers read there.
 */

import { commitVariables, type Plan } from '../../registry/commit.ts'
import { isOverridden, type Registry, type Snapshot, scopeOf } from '../../registry/registry.ts'
import { truth } from '../../registry/value-types.ts'
import { takeAssignment } from '../assignment.ts'
import { defineCommand, type ExitStatus, type Values } from '../command.ts'
import type { Host } from '../host.ts'
import { scopeOptions, sortFilter } from '../options.ts'
import { commitOptions, report, scopeFor, withRegistry } from '../registry-command.ts'

const options = {
  ...scopeOptions,
  'ignore-check': { type: 'boolean', doc: 'Store a value that does not fit its type.' },
  ...sortFilter,
} as const

export const set = defineCommand({
  name: 'set',
  group: 'variables',
  operands: 'NAME=VALUE ...',
  offers: 'assignments',
  summary: 'change settings, such as mtpolicyd/threshold=200; takes effect at once',
  more: `
    Stores values. Each value is checked against its type, and the resulting configuration is
    checked before anything is stored. The running daemon uses the new values within two seconds.
    NAME?VALUE sets a variable only if it is not set yet. On a UCS server the values are stored
    by ucr.
  `,
  dialect: 'ucr',
  options,
  run: (values, host) => withRegistry(host, registry => runSet(values, host, registry)),
})

async function runSet(
  values: Values<typeof options>,
  host: Host,
  registry: Registry,
): Promise<ExitStatus> {
  const scope = scopeFor(registry, values)
  let status = 0
  const decide = (snapshot: Snapshot): Plan => {
    const isStrict =
      truth(snapshot.merged.get('ucr/check/type')) !== false && !values['ignore-check']
    const layer = snapshot.layers.find(candidate => candidate.scope === scope)?.values ?? new Map()
    const changes = new Map<string, string>()
    const call = { host, registry, isStrict }
    status = 0
    for (const argument of values.operands) {
      const taken = takeAssignment(call, argument, layer)
      if (taken === undefined) continue
      if (typeof taken === 'number') {
        status = Math.max(status, taken)
        continue
      }
      const { key, value } = taken
      changes.set(key, value)
      if (isOverridden(snapshot, scope, key) && registry.ucr === undefined) {
        host.err(`W: ${key} is overridden by scope "${scopeOf(snapshot, key)}"\n`)
      }
    }
    return { scope, changes, ignoreCheck: !isStrict }
  }
  const result = await commitVariables(commitOptions(host, registry), decide)
  return Math.max(report(host, result), status)
}
