/** The measures in force for an account, as commands show them. */

import type { ShownMeasure } from '../control/protocol.ts'
import type { AccountMeasures, Measure } from '../policy/ports/measures.ts'

export function shownMeasures(inForce: AccountMeasures | undefined): ShownMeasure[] {
  const { block, allow, limits = [] } = inForce ?? {}
  return [block, allow, ...limits].filter(one => one !== undefined).map(shown)
}

function shown(measure: Measure): ShownMeasure {
  const { account, kind, until, by, why } = measure
  const ends = until === undefined ? null : new Date(until).toISOString()
  return { account, kind, value: valueText(measure), until: ends, by, why }
}

function valueText(measure: Measure): string {
  switch (measure.kind) {
    case 'block':
      return ''
    case 'allow':
      return measure.countries.join(',')
    case 'limit': {
      const number = Number.isFinite(measure.threshold) ? measure.threshold : 'unlimited'
      return `${number} per ${measure.window}`
    }
  }
}
