/** The variables of this package as the console lists them: what they mean, what they are, and which layer says so. */

import { existsSync, readFileSync } from 'node:fs'
import type { Paths } from '../assembly/paths.ts'
import { declarationOf, lockOf, shownValue } from '../registry/console-variables.ts'
import { type Registry, type Snapshot, scopeOf } from '../registry/registry.ts'
import { isGenerated } from '../registry/template-files.ts'
import { type Variable as Declared, isPattern } from '../registry/variables.ts'
import type { Variable, Variables } from './api.ts'

/** Variables of users and domains in an answer. */
const MOST_NAMED = 1000

/** `search`: a part of the name or of the description, in any case. */
export function listVariables(registry: Registry, paths: Paths, search: string): Variables {
  const snapshot = registry.snapshot()
  const environment = registry.environment().values
  const values = registry.values()
  const scope = writtenScope(registry)
  const set = snapshot.layers.find(layer => layer.scope === scope)?.values ?? new Map()
  const wanted = search.toLowerCase()
  const isWanted = (name: string, { description }: Declared): boolean =>
    [name, description.en, description.de ?? ''].some(text => text.toLowerCase().includes(wanted))
  const shown = (name: string, declared: Declared): Variable => {
    const { type, choices, min, max, emptyMeans, default: usual, description } = declared
    const shownOf = (from: ReadonlyMap<string, string>): string | undefined => {
      const value = from.get(name)
      return value === undefined ? undefined : shownValue(name, value)
    }
    return {
      name,
      isPattern: isPattern(name),
      pattern: isPattern(declared.name) && name !== declared.name ? declared.name : undefined,
      type,
      choices,
      min,
      max,
      emptyMeans,
      default: usual,
      description: { en: description.en, de: description.de ?? description.en },
      value: shownOf(values),
      layer: environment.has(name) ? 'environment' : layerOf(snapshot, name, declared),
      set: shownOf(set),
      locked: lockOf(name),
    }
  }
  const all = registry.declarations
    .filter(declared => isWanted(declared.name, declared))
    .map(declared => shown(declared.name, declared))
  const named = [...snapshot.merged.keys()].toSorted().flatMap(name => {
    const declared = declarationOf(registry, name)
    const isNamed = declared !== undefined && isPattern(declared.name)
    return isNamed && isWanted(name, declared) ? [{ name, declared }] : []
  })
  const some = named.slice(0, MOST_NAMED).map(({ name, declared }) => shown(name, declared))
  return {
    variables: [...all, ...some],
    fixed: fixedBy(registry, paths),
    left: named.length > some.length ? named.length - some.length : undefined,
  }
}

/** The layer that the console changes. */
export function writtenScope({ files }: Registry): 'custom' | 'normal' {
  return files.some(({ scope }) => scope === 'custom') ? 'custom' : 'normal'
}

/** A variable that no layer has, and that has no default either, has none. */
function layerOf(snapshot: Snapshot, name: string, declared: Declared): string | undefined {
  const scope = scopeOf(snapshot, name)
  return scope ?? (isPattern(name) || isPattern(declared.name) ? undefined : 'default')
}

/** Why setting them is of no use; undefined: it is. */
function fixedBy(registry: Registry, { config }: Paths): string | undefined {
  if (registry.disabled) return 'The registry of this host is disabled'
  if (!existsSync(config)) return undefined
  const isOurs = isGenerated(readFileSync(config, 'utf8'))
  return isOurs ? undefined : `${config} was written by hand, so variables have no effect`
}
