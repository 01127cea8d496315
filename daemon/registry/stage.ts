/**
 * Rendered files beside their targets: made, checked, and put in place.
 *
 * Only the templates that a plan concerns are rendered; what has the same bytes already is not
 * staged. Who calls this holds the lock. A staged file that was refused stays, so that the places in
 * the messages can be looked at; the next one takes its name.
 */

import { existsSync, linkSync, mkdirSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { formatProblem, type Problem } from '../policy/problem.ts'
import { isErrno, readText, type Scope, statIfThere, syncDirectory, writeAnew } from './layers.ts'
import { checkedValues, isOverridden, type Registry, type Snapshot } from './registry.ts'
import { needsKey, readTemplates, renderTemplate, type Template } from './render.ts'
import { isGenerated } from './template-files.ts'
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
  readonly reload: (changed: readonly string[]) => void | Promise<void>
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

interface Staged {
  readonly file: string
  readonly target: string
  /** Where a hand-written file goes that is replaced by force. */
  readonly keepAs?: string
}

export interface Staging {
  readonly refused: boolean
  readonly staged: readonly Staged[]
  readonly files: readonly string[]
  readonly lines: readonly string[]
}

const NOTHING = 'E: nothing was stored or changed'

/** Renders what a plan concerns beside its targets, and has it checked. */
export async function stage(options: CommitOptions, plan: Plan, after: Snapshot): Promise<Staging> {
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
  if (problems.length > 0)
    return { ...nothing, refused: true, lines: [...problems.map(formatProblem), NOTHING] }

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
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 })
    writeAnew(file, rendered.text, statIfThere(target))
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

/** A dot in front: no `conf.d/*` of anybody takes it for a configuration. */
function stagedName(target: string): string {
  return join(dirname(target), `.${basename(target)}.staged`)
}

function freeName(target: string): string {
  let name = `${target}.hand-written`
  for (let number = 2; existsSync(name); number++) name = `${target}.hand-written.${number}`
  return name
}

export function place({ staged }: Staging): void {
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
