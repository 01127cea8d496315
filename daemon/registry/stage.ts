/**
 * Rendered files beside their targets: rendered, checked, and put in place.
 *
 * Only the templates that a plan affects are rendered; a file whose contents would not change is
 * not staged. The caller holds the lock. A staged file that was rejected stays, so that the places
 * named in the messages can be looked up; the next one reuses its name.
 */

import { existsSync, linkSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { hasIPv6 } from '../net/has-ipv6.ts'
import type { Notice, Problem } from '../policy/problem.ts'
import { linkTarget } from '../system/link-target.ts'
import { makeFolder } from '../system/made-folder.ts'
import { syncFolder } from '../system/sync-folder.ts'
import { isErrno, readText, replaceFile, type Scope, statIfThere, writeLike } from './layers.ts'
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
  /**
   * Notifies a running daemon, if there is one. An error it throws is reported, but nothing is
   * rolled back.
   */
  readonly reload: (changed: readonly string[]) => void | Promise<void>
  /** Replace hand-written targets, keeping them beside. */
  readonly forceTemplate?: boolean
}

export interface Plan {
  readonly scope: Scope
  /** undefined = unset. */
  readonly changes: ReadonlyMap<string, string | undefined>
  readonly ignoreCheck?: boolean
  /** Render these targets, or all, even if no variable has changed. */
  readonly render?: 'all' | readonly string[]
}

interface Staged {
  readonly file: string
  readonly target: string
  /** Where a hand-written file is kept when it is replaced by force. */
  readonly keepAs?: string
}

export interface Staging {
  readonly refused: boolean
  readonly staged: readonly Staged[]
  readonly files: readonly string[]
  readonly notices: readonly Notice[]
}

const NOTHING: Notice = { severity: 'error', message: 'nothing was stored or changed' }

/** Renders what a plan concerns beside its targets, and has it checked. */
export async function stage(options: CommitOptions, plan: Plan, after: Snapshot): Promise<Staging> {
  const { registry } = options
  const { templates, problems } = readTemplates(
    options.templates,
    registry.root,
    registry.descriptions,
  )
  const notices: Notice[] = []
  const concerned = templates
    .filter(template => isConcerned(template, plan, after))
    .map(template => {
      const old = readText(template.target)
      return { template, old, isForeign: old !== undefined && !isGenerated(old) }
    })
    .filter(({ template: { target }, isForeign }) => {
      const stays = isForeign && options.forceTemplate !== true
      if (stays) {
        notices.push({
          severity: 'warning',
          message: `${target} was written by hand and is kept; the host variables have no effect. To use them: mtpolicyctl commit --force-template (keeps a copy)`,
        })
      }
      return !stays
    })
  const nothing = { staged: [], files: [] }
  if (concerned.length === 0) return { ...nothing, refused: false, notices }
  // A template that names an unknown variable must not leave the others half rendered.
  if (problems.length > 0) return { ...nothing, refused: true, notices: [...problems, NOTHING] }

  const { values, problems: badValues } = checkedValues(registry, after, 'keep', key =>
    concerned.some(({ template }) => needsKey(template, key)),
  )
  const wrong: Notice[] = [
    ...badValues,
    ...contradictions(values).map(message => ({ severity: 'error', message }) as const),
  ]
  if (wrong.length > 0)
    return { ...nothing, refused: true, notices: [...notices, ...wrong, NOTHING] }

  const host = { hasIPv6: await hasIPv6() }
  const staged: Staged[] = []
  const files: string[] = []
  let refused = false
  for (const { template, old, isForeign } of concerned) {
    const { target } = template
    const rendered = renderTemplate(template, values, host)
    if ('problem' in rendered) {
      notices.push(rendered.problem)
      refused = true
      continue
    }
    files.push(target)
    if (rendered.text === old) continue
    const file = stagedName(target)
    makeFolder(dirname(target))
    writeLike(statIfThere(target), file, rendered.text)
    const found = await options.check(file, target)
    notices.push(...found)
    if (found.some(({ severity }) => severity !== 'warning')) refused = true
    staged.push(isForeign ? { file, target, keepAs: freeName(target) } : { file, target })
  }
  if (refused) {
    const last = staged.at(-1)
    const where = last === undefined ? '' : `; what was refused is in ${last.file}`
    notices.push({ ...NOTHING, message: `${NOTHING.message}${where}` })
  }
  return { refused, staged, files, notices }
}

/** Does the plan change what the template renders to, or may it? */
export function isConcerned(template: Template, plan: Plan, after: Snapshot): boolean {
  if (plan.render === 'all') return true
  if (plan.render !== undefined) return plan.render.includes(template.target)
  const visible = [...plan.changes.keys()].filter(key => !isOverridden(after, plan.scope, key))
  if (visible.some(key => needsKey(template, key))) return true
  return plan.changes.size > 0 && !existsSync(template.target)
}

/** A leading dot: no `conf.d/*` include mistakes it for a configuration. */
function stagedName(target: string): string {
  return join(dirname(target), `.${basename(target)}.staged`)
}

function freeName(target: string): string {
  let name = `${target}.hand-written`
  for (let number = 2; existsSync(name); number++) name = `${target}.hand-written.${number}`
  return name
}

export function place({ staged }: Staging, now: () => Date): void {
  for (const { file, target, keepAs } of staged) {
    if (keepAs !== undefined) keep(target, keepAs)
    if (linkTarget(target) === target && isRenamed(file, target)) continue
    replaceFile(target, readFileSync(file, 'utf8'), { model: statIfThere(target), now })
    rmSync(file)
  }
}

/** False: a bind mount, which can only be written in place. */
function isRenamed(file: string, target: string): boolean {
  try {
    renameSync(file, target)
  } catch (error) {
    if (!isErrno(error, 'EBUSY')) throw error
    return false
  }
  syncFolder(dirname(target))
  return true
}

/** A second name for the old file, so that there is never a moment without a configuration. */
function keep(target: string, keepAs: string): void {
  // A hard link would end up with the new contents.
  if (linkTarget(target) === target && isLinked(target, keepAs)) return
  writeLike(statIfThere(target), keepAs, readFileSync(target))
}

function isLinked(target: string, keepAs: string): boolean {
  try {
    linkSync(target, keepAs)
    return true
  } catch (error) {
    if (!isErrno(error, 'EPERM', 'EMLINK', 'ENOTSUP', 'EXDEV')) throw error
    return false
  }
}
