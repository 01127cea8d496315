/**
 * From a change of variables to a changed configuration, or to nothing at all.
 *
 * Under one lock: candidate values, every dependent template rendered beside its target, the
 * daemon's own loader over the staged file; only if nothing is wrong are the values stored and the
 * files renamed into place. Then the daemon reloads. The same bytes as before change nothing. A
 * target that somebody wrote by hand is never overwritten unless asked for, and is kept even then.
 * A process that dies in between leaves stored values with an old file at worst: the next commit
 * and the daemon's next start put that right.
 */

import { existsSync, linkSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { formatProblem, type Problem } from '../policy/problem.ts'
import {
  createLayers,
  isErrno,
  readText,
  type Scope,
  saveLayer,
  statIfThere,
  syncDirectory,
  type Values,
  writeSynced,
} from './layers.ts'
import { withLock } from './lock.ts'
import {
  checkedValues,
  type Layer,
  type Registry,
  type Snapshot,
  scopeOf,
  snapshotOf,
} from './registry.ts'
import { isGenerated, needsKey, readTemplates, renderTemplate, type Template } from './render.ts'
import { recordChanges } from './replog.ts'
import { type CommandResult, ucrArguments } from './ucr.ts'
import { contradictions } from './variables.ts'

export interface CommitOptions {
  readonly registry: Registry
  /** The directory of templates/. */
  readonly templates: string
  /** The daemon's loader: what is wrong with a staged file that will be `target`. */
  readonly check: (
    stagedFile: string,
    target: string,
  ) => readonly Problem[] | Promise<readonly Problem[]>
  /** Tells a running daemon; no daemon is no error. What it throws is shown, and is no rollback. */
  readonly reload: () => void | Promise<void>
  /** Replace hand-written targets, keeping them beside. */
  readonly forceTemplate?: boolean
}

export interface Plan {
  readonly scope: Scope
  /** undefined = unset. */
  readonly changes: ReadonlyMap<string, string | undefined>
  readonly ignoreCheck?: boolean
  /** Render these targets, or all, whatever has changed. */
  readonly render?: 'all' | readonly string[]
}

export interface CommitResult {
  /** refused: nothing was stored and no file was touched. */
  readonly refused: boolean
  /** Targets that were rendered, changed or not. */
  readonly files: readonly string[]
  /** Targets with new bytes. */
  readonly changed: readonly string[]
  /** For stderr, one line each. */
  readonly lines: readonly string[]
  /** The daemon did not take it. */
  readonly reloadFailed: boolean
  /** What UCR answered, where it is the registry. */
  readonly ucr?: CommandResult
}

export async function commitVariables(
  options: CommitOptions,
  decide: (snapshot: Snapshot) => Plan,
): Promise<CommitResult> {
  const { registry } = options
  mkdirSync(dirname(registry.lockFile), { recursive: true })

  const first = await withLock(registry.lockFile, async () => {
    const before = registry.snapshot()
    const plan = decide(before)
    const staging = await stage(options, plan, apply(before, plan))
    if (!staging.refused && registry.ucr === undefined) {
      store(registry, plan, before)
      place(staging)
    }
    return { plan, staging }
  })
  if (first.staging.refused || registry.ucr === undefined) return finish(options, first.staging)

  // Not under our lock: UCR runs our own commit for what it stores. This staging was the check only.
  for (const { file } of first.staging.staged) rmSync(file, { force: true })
  const answer = await storeInUcr(registry, registry.ucr, first.plan)
  const second = await withLock(registry.lockFile, async () => {
    const staging = await stage(options, first.plan, registry.snapshot())
    if (!staging.refused) place(staging)
    return staging
  })
  const result = await finish(options, second)
  return answer === undefined ? result : { ...result, ucr: answer }
}

async function finish(options: CommitOptions, staging: Staging): Promise<CommitResult> {
  const { refused, files, lines } = staging
  const changed = refused ? [] : staging.staged.map(({ target }) => target)
  const result = { refused, files, changed, lines, reloadFailed: false }
  if (changed.length === 0) return result
  try {
    await options.reload()
    return result
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const line = `E: stored, but the running daemon goes on with the old configuration: ${why}`
    return { ...result, lines: [...lines, line], reloadFailed: true }
  }
}

function apply(before: Snapshot, { scope, changes }: Plan): Snapshot {
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

interface Staged {
  readonly file: string
  readonly target: string
  /** Where a hand-written file goes that is replaced by force. */
  readonly keepAs?: string
}

interface Staging {
  readonly refused: boolean
  readonly staged: readonly Staged[]
  readonly files: readonly string[]
  readonly lines: readonly string[]
}

const NOTHING = 'E: nothing was stored or changed'

/** Renders what a plan concerns beside its targets, and has it checked. */
async function stage(options: CommitOptions, plan: Plan, after: Snapshot): Promise<Staging> {
  const { registry } = options
  const { templates, problems } = readTemplates(
    options.templates,
    registry.root,
    registry.descriptions,
  )
  const lines: string[] = []
  const concerned = templates
    .filter(template => isConcerned(template, plan, after))
    .map(template => {
      const old = readText(template.target)
      return { template, old, isForeign: old !== undefined && !isGenerated(old) }
    })
    .filter(({ template: { target }, isForeign }) => {
      const stays = isForeign && options.forceTemplate !== true
      if (stays) {
        lines.push(
          `W: ${target} is not from the variables, so it stays and they are inactive; "mtpolicyctl commit --force-template" switches to them and keeps it beside`,
        )
      }
      return !stays
    })
  const nothing = { staged: [], files: [] }
  if (concerned.length === 0) return { ...nothing, refused: false, lines }
  // A template that names an unknown variable must not render half of the others either.
  if (problems.length > 0) return { ...nothing, refused: true, lines: problems.map(formatProblem) }

  const { values, problems: badValues } = checkedValues(registry, after, 'keep', key =>
    concerned.some(({ template }) => needsKey(template, key)),
  )
  const errors = [
    ...badValues.map(formatProblem),
    ...contradictions(values).map(line => `E: ${line}`),
  ]
  if (errors.length > 0) return { ...nothing, refused: true, lines: [...lines, ...errors, NOTHING] }

  const staged: Staged[] = []
  const files: string[] = []
  let refused = false
  for (const { template, old, isForeign } of concerned) {
    const { target } = template
    const rendered = renderTemplate(template, values)
    if ('problem' in rendered) {
      lines.push(formatProblem(rendered.problem))
      refused = true
      continue
    }
    files.push(target)
    if (rendered.text === old) continue
    const file = stagedName(target)
    mkdirSync(dirname(target), { recursive: true })
    writeSynced(file, rendered.text, statIfThere(target))
    const found = await options.check(file, target)
    lines.push(...found.map(formatProblem))
    if (found.some(({ severity }) => severity !== 'warning')) refused = true
    staged.push(isForeign ? { file, target, keepAs: freeName(target) } : { file, target })
  }
  if (refused) {
    const last = staged.at(-1)
    const where = last === undefined ? '' : `; what was refused is in ${last.file}`
    lines.push(`${NOTHING}${where}`)
  }
  return { refused, staged, files, lines }
}

function isConcerned(template: Template, plan: Plan, after: Snapshot): boolean {
  if (plan.render === 'all') return true
  if (plan.render !== undefined) return plan.render.includes(template.target)
  const visible = [...plan.changes.keys()].filter(key => !isOverridden(after, plan.scope, key))
  if (visible.some(key => needsKey(template, key))) return true
  return plan.changes.size > 0 && !existsSync(template.target)
}

/** A higher layer has the key, so a change below it is not seen. */
export function isOverridden(snapshot: Snapshot, scope: Scope, key: string): boolean {
  const top = scopeOf(snapshot, key)
  const rank = (wanted: Scope) => snapshot.layers.findIndex(layer => layer.scope === wanted)
  return top !== undefined && rank(top) > rank(scope)
}

/** A dot in front: no `conf.d/*` of anybody takes it for a configuration. */
function stagedName(target: string): string {
  return join(dirname(target), `.${basename(target)}.staged`)
}

function freeName(target: string): string {
  let name = `${target}.hand-written`
  for (let number = 2; existsSync(name); number++) name = `${target}.hand-written.${number}`
  return name
}

function place({ staged }: Staging): void {
  for (const { file, target, keepAs } of staged) {
    if (keepAs !== undefined) keep(target, keepAs)
    renameSync(file, target)
    syncDirectory(dirname(target))
  }
}

/** A second name for the old file, so that there is no moment without a configuration. */
function keep(target: string, keepAs: string): void {
  try {
    linkSync(target, keepAs)
  } catch (error) {
    if (!isErrno(error, 'EPERM', 'EMLINK', 'ENOTSUP')) throw error
    renameSync(target, keepAs)
  }
}
