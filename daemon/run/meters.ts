/** The meters of one process. */

import type { Counter, Labels, MeterDeclaration, Meters, Reading } from '../policy/ports/meters.ts'

interface Meter {
  readonly declaration: MeterDeclaration
  readonly kind: Reading['kind']
  readonly labels: Labels
  readonly source: { readonly value: number }
}

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
    meters.set(keyOf(declaration, meter.labels), meter)
  }

  return {
    counter(declaration, labels = {}) {
      const known = meters.get(keyOf(declaration, labels))
      if (known?.kind === 'counter') return known.source as Counter // made below, and nowhere else
      const source: Counter = { value: 0 }
      add({ declaration, kind: 'counter', labels, source })
      return source
    },
    gauge(declaration, read, labels = {}) {
      const source = {
        get value() {
          return read()
        },
      }
      add({ declaration, kind: 'gauge', labels, source })
    },
    read: () =>
      [...Map.groupBy(meters.values(), ({ declaration }) => declaration.name).values()]
        .flat()
        .map(({ declaration, kind, labels, source }) => {
          return { ...declaration, kind, labels, value: source.value }
        }),
  }
}

function keyOf({ name }: MeterDeclaration, labels: Labels): string {
  return JSON.stringify([name, ...Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))])
}
