/** Values of variables to try, `NAME=VALUE` several times; unlike `set`, a variable that nothing reads is refused. */

import { printable } from '../registry/value-types.ts'
import { nearestOfOurs, takeAssignment } from './assignment.ts'
import type { ExitStatus } from './command.ts'
import type { Host } from './host.ts'

export type Assigned = ReadonlyMap<string, string>

/** The values in normal form, or the exit status if one of them was refused, which is printed. */
export function readAssignments(host: Host, given: readonly string[]): Assigned | ExitStatus {
  const values = new Map<string, string>()
  if (given.length === 0) return values
  const registry = host.registry.open()
  // Nothing is stored, so nothing is told of it.
  const assigning = {
    host: { out: () => undefined, err: host.err },
    registry,
    isStrict: true,
  }
  let status = 0
  for (const argument of given) {
    const taken = takeAssignment(assigning, argument, new Map())
    if (taken === undefined) status = Math.max(status, 1)
    else if (typeof taken === 'number') status = Math.max(status, taken)
    else if (registry.descriptions.find(taken.key) === undefined) {
      // Otherwise it has been told what was meant.
      if (nearestOfOurs(registry, taken.key) === undefined) {
        host.err(`  ${printable(taken.key)}: nothing reads this variable\n`)
      }
      status = Math.max(status, 1)
    } else values.set(taken.key, taken.value)
  }
  return status === 0 ? values : status
}
