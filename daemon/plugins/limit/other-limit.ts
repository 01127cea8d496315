/** Which of an account's measures is meant for a limit. */

import type { Unit } from '../../policy/ports/ledger.ts'
import type { AccountMeasures } from '../../policy/ports/measures.ts'

/**
 * The threshold that is ordered for this limit, in its unit; undefined: none is. One that names the block
 * comes before one that names its window.
 */
export function otherLimit(
  name: string,
  window: string,
  unit: Unit,
): (measures: AccountMeasures) => number | undefined {
  return ({ limits }) => {
    if (limits.length === 0) return undefined
    const named = limits.find(limit => limit.window === name)
    const found = named ?? limits.find(limit => unit === 'recipients' && limit.window === window)
    return found?.threshold
  }
}
