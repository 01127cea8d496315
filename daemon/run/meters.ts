/** The meters of one process. */

import type {
  Counter,
  Distribution,
  Labels,
  MeterDeclaration,
  Meters,
  Reading,
} from '../policy/ports/meters.ts'
import { Buckets } from './buckets.ts'

interface Source {
  readonly value: number
  readonly distribution?: Distribution
}

interface Meter {
  readonly declaration: MeterDeclaration
  readonly kind: Reading['kind']
  readonly labels: Labels
  readonly source: Source
}

/** Units that every reader of metrics calculates with: a name ends with them. */
const BASE_UNITS = ['seconds', 'bytes']

export function openMeters(): Meters {
  const meters = new Map<string, Meter>()

  /** Throws on a mistake of ours: two meanings of one name would be added up by the reader. */
  function add(meter: Meter): void {
    const { declaration, kind } = meter
    const { name, unit, help } = declaration
    if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new Error(`"${name}" is not the name of a meter`)
    for (const other of meters.values()) {
      if (other.declaration.name !== name) continue
      const isSame =
        other.kind === kind && other.declaration.unit === unit && other.declaration.help === help
      if (!isSame) throw new Error(`the meter ${name} is declared in two ways`)
    }
    if (BASE_UNITS.some(one => (unit === one) !== name.endsWith(`_${one}`))) {
      throw new Error(`the meter ${name} must end with its unit`)
    }
    meters.set(keyOf(declaration, meter.labels), meter)
  }

  function addRead(
    kind: 'counter' | 'gauge',
    declaration: MeterDeclaration,
    read: () => number,
    labels: Labels,
  ): void {
    const source = {
      get value() {
        return read()
      },
    }
    add({ declaration, kind, labels, source })
  }

  return {
    counter(declaration, labels = {}) {
      const known = meters.get(keyOf(declaration, labels))
      if (known?.kind === 'counter') return known.source as Counter // made below, and nowhere else
      const source: Counter = { value: 0 }
      add({ declaration, kind: 'counter', labels, source })
      return source
    },
    histogram(declaration, labels = {}) {
      const known = meters.get(keyOf(declaration, labels))?.source
      if (known instanceof Buckets) return known
      const source = new Buckets(declaration)
      const { name, unit, help } = declaration
      add({ declaration: { name, unit, help }, kind: 'histogram', labels, source })
      return source
    },
    total: (declaration, read, labels = {}) => addRead('counter', declaration, read, labels),
    gauge: (declaration, read, labels = {}) => addRead('gauge', declaration, read, labels),
    read: () =>
      [...Map.groupBy(meters.values(), ({ declaration }) => declaration.name).values()]
        .flat()
        .flatMap(readingOf),
  }
}

/** None if it is not known: all the others are read nevertheless. */
function readingOf({ declaration, kind, labels, source }: Meter): Reading[] {
  try {
    const { value, distribution } = source
    if (!Number.isFinite(value)) return []
    const common = { ...declaration, kind, labels, value }
    return [distribution ? { ...common, distribution } : common]
  } catch {
    return []
  }
}

function keyOf({ name }: MeterDeclaration, labels: Labels): string {
  return JSON.stringify([name, ...Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))])
}
