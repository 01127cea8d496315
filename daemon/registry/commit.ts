/**
 * From a change of variables to a changed configuration, or to no change at all.
 *
 * Under one lock: candidate values, every dependent template rendered beside its target, the
 * daemon's own loader on the staged file. Only if nothing is wrong are the values stored and the
 * files renamed into place. Then the daemon reloads. If the bytes are the same as before, nothing
 * changes. A hand-written target is never overwritten unless asked for, and is kept even then. A
 * process that dies in between leaves at worst stored values with an old file, which the next
 * commit or the daemon's next start corrects.
 */

import { rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Notice } from '../policy/problem.ts'
import { makeFolder } from '../system/made-folder.ts'
import { createLayers, saveLayer, type Values } from './layers.ts'
import { withLock } from './lock.ts'
import { type Layer, type Registry, type Snapshot, snapshotOf } from './registry.ts'
import { recordChanges } from './replog.ts'
import { type CommitOptions, type Plan, place, type Staging, stage } from './stage.ts'
import { type CommandResult, ucrArguments } from './ucr.ts'

export type { CommitOptions, Plan } from './stage.ts'

export interface CommitResult {
  /** refused: nothing was stored and no file was touched. */
  readonly refused: boolean
  /** Targets that were rendered, changed or not. */
  readonly files: readonly string[]
  /** Targets with new contents. */
  readonly changed: readonly string[]
  /** For stderr, one line each. */
  readonly notices: readonly Notice[]
  /** The daemon rejected the new configuration. */
  readonly reloadFailed: boolean
  /** UCR's output, where it is the registry. */
  readonly ucr?: CommandResult
}

export async function commitVariables(
  options: CommitOptions,
  decide: (snapshot: Snapshot) => Plan,
): Promise<CommitResult> {
  const { registry } = options
  makeFolder(dirname(registry.lockFile))

  const first = await withLock(registry.lockFile, async () => {
    const before = registry.snapshot()
    const plan = decide(before)
    const staging = await stage(options, plan, apply(before, plan))
    if (!staging.refused && registry.ucr === undefined) {
      store(registry, plan, before)
      place(staging, registry.now)
    }
    return { plan, staging }
  })
  if (first.staging.refused || registry.ucr === undefined) return finish(options, first.staging)

  // Not under our lock: UCR runs our own commit for what it stores. This staging is only a check.
  for (const { file } of first.staging.staged) rmSync(file, { force: true })
  const answer = await storeInUcr(registry, registry.ucr, first.plan)
  const second = await withLock(registry.lockFile, async () => {
    const staging = await stage(options, first.plan, registry.snapshot())
    if (!staging.refused) place(staging, registry.now)
    return staging
  })
  const result = await finish(options, second)
  return answer === undefined ? result : { ...result, ucr: answer }
}

async function finish(options: CommitOptions, staging: Staging): Promise<CommitResult> {
  const { refused, files, notices } = staging
  const changed = refused ? [] : staging.staged.map(({ target }) => target)
  const result = { refused, files, changed, notices, reloadFailed: false }
  if (changed.length === 0) return result
  try {
    await options.reload(changed)
    return result
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const failure: Notice = {
      severity: 'error',
      message: `stored, but the running daemon keeps its old configuration: ${why}`,
    }
    return { ...result, notices: [...notices, failure], reloadFailed: true }
  }
}

/** The layers after a plan. */
export function apply(before: Snapshot, { scope, changes }: Plan): Snapshot {
  if (changes.size === 0) return before
  const layers = before.layers.map((layer): Layer => {
    return layer.scope === scope ? { ...layer, values: changed(layer.values, changes) } : layer
  })
  return snapshotOf(layers)
}

function changed(values: Values, changes: Plan['changes']): Values {
  const result = new Map(values)
  for (const [key, value] of changes) {
    if (value === undefined) result.delete(key)
    else result.set(key, value.replace(/[\r\n]/g, '').trim())
  }
  return result
}

function store(registry: Registry, { scope, changes }: Plan, before: Snapshot): void {
  const layer = before.layers.find(candidate => candidate.scope === scope)
  if (layer === undefined || changes.size === 0) return
  createLayers(registry.files)
  const values = new Map(layer.values)
  for (const [key, value] of changes) {
    if (value === undefined) values.delete(key)
    else values.set(key, value)
  }
  saveLayer(layer.file, values, registry.now)
  recordChanges(registry, scope, before, changes)
}

async function storeInUcr(
  registry: Registry,
  program: string,
  { scope, changes, ignoreCheck = false }: Plan,
): Promise<CommandResult | undefined> {
  const set = [...changes].flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${value}`],
  )
  const unset = [...changes].flatMap(([key, value]) => (value === undefined ? [key] : []))
  let answer: CommandResult | undefined
  if (set.length > 0) {
    answer = await registry.run(program, ucrArguments('set', scope, { ignoreCheck }, set))
  }
  if (unset.length > 0) {
    answer = await registry.run(program, ucrArguments('unset', scope, {}, unset))
  }
  return answer
}
