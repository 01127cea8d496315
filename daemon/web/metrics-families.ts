/** From a status to families of metrics: names, units and help are those of the meters' declarations. */

import type { DaemonStatus, PluginStatus } from '../control/protocol.ts'
import type { Distribution, Labels, MeterDeclaration, Reading } from '../policy/ports/meters.ts'

export interface Family {
  /** Without the ending that a kind of metric has: `mtpolicyd_requests`. */
  readonly name: string
  readonly kind: Reading['kind'] | 'info'
  /** seconds or bytes, which is in the name as well; empty: any other. */
  readonly unit: string
  readonly help: string
  /** At least one. */
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels: Labels
  /** In a histogram: how many values it has. */
  readonly value: number
  readonly distribution?: Distribution | undefined
}

const PREFIX = 'mtpolicyd_'

/** Plugins with metrics of their own, in the order of the configuration. */
const MOST_PLUGINS = 200

const PLUGIN_METERS: readonly (MeterDeclaration & { read(plugin: PluginStatus): number })[] = [
  {
    name: 'plugin_runs',
    unit: 'runs',
    help: 'How often a plugin was run since the configuration was put in force.',
    read: ({ runs }) => runs,
  },
  {
    name: 'plugin_failures',
    unit: 'runs',
    help: 'Runs of a plugin that failed since the configuration was put in force.',
    read: ({ failures }) => failures,
  },
  {
    name: 'plugin_seconds',
    unit: 'seconds',
    help: 'Time that a plugin has taken since the configuration was put in force, waiting included.',
    read: ({ milliseconds }) => milliseconds / 1000,
  },
]

const BUILD: Omit<Family, 'samples'> = {
  name: `${PREFIX}build`,
  kind: 'info',
  unit: '',
  help: 'The version of the daemon.',
}

export function familiesOf({ version, plugins, meters = [] }: DaemonStatus): readonly Family[] {
  const named = Map.groupBy(meters, ({ name }) => name)
  return [
    { ...BUILD, samples: [{ labels: { version }, value: 1 }] },
    ...[...named.values()].flatMap(familyOf),
    ...pluginFamilies(plugins.slice(0, MOST_PLUGINS)),
  ]
}

function familyOf(readings: readonly Reading[]): Family[] {
  const [first] = readings
  if (!first) return []
  return [{ ...described(first), kind: first.kind, samples: readings }]
}

function pluginFamilies(plugins: readonly PluginStatus[]): Family[] {
  if (plugins.length === 0) return []
  return PLUGIN_METERS.map(meter => ({
    ...described(meter),
    kind: 'counter',
    samples: [...Map.groupBy(plugins, nameOf).values()].flatMap(same => {
      const [first] = same
      if (!first) return []
      const { host, plugin, module } = first
      const value = same.reduce((sum, one) => sum + meter.read(one), 0)
      return [{ labels: { host, plugin, module }, value }]
    }),
  }))
}

/** Blocks may be named alike; a series must not occur twice. */
function nameOf({ host, plugin, module }: PluginStatus): string {
  return JSON.stringify([host, plugin, module])
}

function described({ name, unit, help }: MeterDeclaration) {
  const isBase = name.endsWith(`_${unit}`) && (unit === 'seconds' || unit === 'bytes')
  return { name: `${PREFIX}${name}`, unit: isBase ? unit : '', help }
}
