/** Measures as commands show them. */

import type { OrderedMeasure } from '../../control/protocol.ts'
import { type Reset, valueText } from '../../measures/records.ts'
import type { AccountMeasures, Measure } from '../../policy/ports/measures.ts'

/** Those in force for an account. */
export function measuresShown(inForce: AccountMeasures | undefined): OrderedMeasure[] {
  const { block, allow, limits = [] } = inForce ?? {}
  return [block, allow, ...limits].filter(one => one !== undefined).map(measureShown)
}

export function measureShown(measure: Measure | Reset): OrderedMeasure {
  const { account, kind, at, until, by, why } = measure
  const text = (moment: number): string => new Date(moment).toISOString()
  const ends = until === undefined ? null : text(until)
  return { account, kind, value: valueText(measure), at: text(at), until: ends, by, why }
}
