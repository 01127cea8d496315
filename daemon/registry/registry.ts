/**
 * The registry of a host, opened: its files, its descriptions and the merged view.
 *
 * Where UCR is installed (below the root) its files are read, otherwise our own below
 * /etc/univention-mtpolicyd/registry. The defaults of our declarations are part of the lowest layer
 * whether or not `update` has written them, so an empty host already has every value. Nothing is
 * written here except the repair of a truncated layer file.
 */

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Problem } from '../policy/problem.ts'
import { type Descriptions, describe, readDescriptions } from './descriptions.ts'
import { type EnvironmentLayer, readEnvironment, systemdListens } from './environment.ts'
import {
  isErrno,
  type LayerFile,
  layerFiles,
  lineOf,
  readLayer,
  type Scope,
  saveLayer,
  type Values,
} from './layers.ts'
import { tryLock } from './lock.ts'
import { namePartProblem } from './name-key.ts'
import { type CommandRunner, findUcr, runCommand } from './ucr.ts'
import { checkValue, LINE_BREAKER, printable } from './value-types.ts'
import { declarations, isPattern, type Variable } from './variables.ts'

export interface RegistryOptions {
  /** `/`, or the directory that contains all our paths. */
  readonly root: string
  readonly env: NodeJS.ProcessEnv
  /** Our declarations, unless a test looks at the registry alone. */
  readonly declarations?: readonly Variable[]
  readonly now?: () => Date
  /** If set, host and port of the environment are ignored. Default: what this host's units say. */
  readonly systemdHasSockets?: boolean | undefined
  /** Runs `ucr` on a UCS server. */
  readonly run?: CommandRunner
}

export interface Layer extends LayerFile {
  readonly values: Values
}

/** All layers as they were at one moment. Lowest first. */
export interface Snapshot {
  readonly layers: readonly Layer[]
  /**
   * What UCR would show: the value of the highest layer that has the key; unset keys are missing.
   */
  readonly merged: Values
}

/** Valid values in normal form, one for every declared variable. */
export interface CheckedValues {
  readonly values: Values
  readonly problems: readonly Problem[]
}

export interface Registry {
  readonly root: string
  readonly env: NodeJS.ProcessEnv
  readonly now: () => Date
  readonly run: CommandRunner
  /** UCR's program, where UCR is the registry. */
  readonly ucr: string | undefined
  readonly lockFile: string
  readonly replogFile: string
  readonly disabled: boolean
  readonly declarations: readonly Variable[]
  readonly descriptions: Descriptions
  readonly files: readonly LayerFile[]
  /** Reads the layers again. */
  snapshot(): Snapshot
  environment(): EnvironmentLayer
  /**
   * For the daemon: every declared variable, with the environment on top; bad values are left out.
   */
  values(): Values
}

export function openRegistry(options: RegistryOptions): Registry {
  const { root, env } = options
  const now = options.now ?? (() => new Date())
  const declared = options.declarations ?? declarations
  const ucr = findUcr(root)
  const own = join(root, 'etc/univention-mtpolicyd/registry')
  const directory = ucr === undefined ? own : join(root, 'etc/univention')
  const infoDirectory =
    ucr === undefined ? join(own, 'info') : join(directory, 'registry.info/variables')
  const customFile = env.UNIVENTION_BASECONF
  const files = layerFiles(directory, customFile)
  const lockFile = join(customFile ? dirname(customFile) : own, 'registry.lock')

  const registry: Registry = {
    root,
    env,
    now,
    run: options.run ?? runCommand,
    ucr,
    lockFile,
    replogFile: join(root, 'var/log/univention-mtpolicyd/registry.replog'),
    disabled: existsSync(join(directory, 'disable_config_registry')),
    declarations: declared,
    descriptions: describe([...declared, ...readDescriptions(infoDirectory)]),
    files,
    snapshot: () => readSnapshot(registry),
    environment: () =>
      readEnvironment(
        declared,
        env,
        join(root, 'etc/default/univention-mtpolicyd'),
        options.systemdHasSockets ?? systemdListens(root),
      ),
    values() {
      const { values } = checkedValues(registry, registry.snapshot(), 'fall back')
      return new Map([...values, ...registry.environment().values])
    },
  }
  return registry
}

function readSnapshot(registry: Registry): Snapshot {
  const layers = registry.files.map(({ scope, file }) => {
    const { values, recovered } = readLayer(file)
    if (recovered) repair(registry, file)
    return { scope, file, values: scope === 'default' ? withDefaults(registry, values) : values }
  })
  return snapshotOf(layers)
}

/** Our declarations are the authority on our defaults; the file may be older than the package. */
function withDefaults(registry: Registry, values: Values): Values {
  const all = new Map(values)
  for (const { name, default: fallback } of registry.declarations) {
    if (isPattern(name)) continue
    if (fallback === '') all.delete(name)
    else all.set(name, fallback)
  }
  return all
}

/** The merged view of some layers, references in defaults resolved. */
export function snapshotOf(layers: readonly Layer[]): Snapshot {
  const raw = new Map(layers.flatMap(({ values }) => [...values]))
  const isDefault = (key: string) => scopeOf({ layers, merged: raw }, key) === 'default'
  const expand = (key: string, seen: readonly string[]): string => {
    const value = raw.get(key) ?? ''
    if (seen.includes(key) || !isDefault(key)) return value
    return value.replace(/@%@([^@%]+)@%@/g, (_, name: string) => {
      return seen.includes(name) || name === key ? '' : expand(name, [...seen, key])
    })
  }
  return { layers, merged: new Map([...raw.keys()].map(key => [key, expand(key, [])])) }
}

/** The highest layer that has a key. */
export function scopeOf({ layers }: Snapshot, key: string): Scope | undefined {
  return layers.findLast(({ values }) => values.has(key))?.scope
}

/** A higher layer has the key, so a change below it has no effect. */
export function isOverridden(snapshot: Snapshot, scope: Scope, key: string): boolean {
  const top = scopeOf(snapshot, key)
  const rank = (wanted: Scope) => snapshot.layers.findIndex(layer => layer.scope === wanted)
  return top !== undefined && rank(top) > rank(scope)
}

/**
 * The values for templates and the daemon. UCR stores what its own rules let through, and files can
 * be edited by hand, so every value is checked and normalised here. `fall back`: a bad value is
 * reported and the layer below counts, so that the daemon can start.
 */
export function checkedValues(
  registry: Registry,
  snapshot: Snapshot,
  badValue: 'fall back' | 'keep',
  isWanted: (key: string) => boolean = () => true,
): CheckedValues {
  const values = new Map<string, string>()
  const problems: Problem[] = []
  const keys = new Set([
    ...snapshot.merged.keys(),
    ...registry.descriptions.all.filter(({ name }) => !isPattern(name)).map(({ name }) => name),
  ])
  for (const key of keys) {
    const variable = registry.descriptions.find(key)
    if (variable === undefined || !isWanted(key)) continue
    const top = scopeOf(snapshot, key)
    const nameProblem = namePartProblem(key)
    if (nameProblem !== undefined) {
      const file = snapshot.layers.find(({ scope }) => scope === top)?.file ?? ''
      const place = { file, line: lineOf(file, key), column: 1 }
      problems.push({ severity: 'error', place, message: `${printable(key)}: ${nameProblem}` })
      continue
    }
    let value: string | undefined
    for (const layer of [...snapshot.layers].reverse()) {
      const stored = layer.scope === top ? snapshot.merged.get(key) : layer.values.get(key)
      if (value !== undefined || stored === undefined) continue
      const check = checkValue(variable, stored)
      if (check.kind === 'good' && !LINE_BREAKER.test(check.value)) {
        value = check.value
        continue
      }
      const why = check.kind === 'bad' ? check.expected : 'expected one line of text'
      problems.push({
        severity: 'error',
        place: { file: layer.file, line: lineOf(layer.file, key), column: 1 },
        message: `${key}=${printable(stored)}: ${why}`,
      })
      if (badValue === 'keep') value = stored
    }
    if (value !== undefined) values.set(key, value)
    else if (!isPattern(variable.name)) values.set(key, variable.default)
  }
  return { values, problems }
}

/** Rewrites a truncated file from its backup, if we may and nobody else is writing. */
function repair(registry: Registry, file: string): void {
  try {
    const release = tryLock(registry.lockFile)
    if (release === undefined) return
    try {
      const { values, recovered } = readLayer(file)
      if (recovered) saveLayer(file, values, registry.now)
    } finally {
      release()
    }
  } catch (error) {
    // An ordinary user reads the backup and leaves the repair to the next writer.
    if (!isErrno(error, 'EACCES', 'ENOENT', 'EROFS', 'EPERM', 'SQLITE_CANTOPEN', 'SQLITE_READONLY'))
      throw error
  }
}
