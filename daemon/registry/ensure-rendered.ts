/**
 * What the daemon loads when no file is named: the rendered configuration, which is rendered first
 * if it is missing or out of date.
 *
 * If a configuration cannot be rendered or is rejected, the old file stays in use. If there is no
 * old file, bad values are replaced by those of the layer below: a mistake in one variable must not
 * leave the mail server without its policy. MTPOLICYD_* count only in the text that is returned,
 * never in the file; the same goes for everything on a host where this process may not write the
 * file.
 *
 * At most starts the file is up to date. What is needed only otherwise is imported only then.
 */

import { join } from 'node:path'
import type { Notice } from '../policy/problem.ts'
import type { CommitOptions } from './commit.ts'
import { isErrno, readText, type Values } from './layers.ts'
import { LockTimeout } from './lock.ts'
import { checkedValues, type Registry } from './registry.ts'
import { findTemplates, isGenerated, isMadeFrom, type TemplateFile } from './template-files.ts'
import { contradictions } from './variables.ts'

export const CONFIGURATION = 'etc/univention-mtpolicyd/mtpolicyd.conf'

export interface LoadedConfiguration {
  /** The target: messages and relative includes refer to it. */
  readonly file: string
  /** What to load as if that file contained it; undefined if there is nothing to load. */
  readonly text: string | undefined
  /** hand-written: the variables have no effect. */
  readonly origin: 'variables' | 'hand-written'
  /** For the log. */
  readonly notices: readonly Notice[]
}

export async function ensureRendered(
  options: Pick<CommitOptions, 'registry' | 'templates' | 'check'>,
): Promise<LoadedConfiguration> {
  const { registry } = options
  const file = join(registry.root, CONFIGURATION)
  const notices: Notice[] = []

  const unreadable = registry.files.flatMap(layer => whyUnreadable(layer.file) ?? [])[0]
  if (unreadable !== undefined) {
    const text = readText(file)
    // If there is nothing at all, the caller has to report that.
    if (text === undefined) throw unreadable
    const message = `${unreadable.message}: ${file} is used as it is, and MTPOLICYD_* have no effect`
    const origin = isGenerated(text) ? 'variables' : 'hand-written'
    return { file, text, origin, notices: [{ severity: 'warning', message }] }
  }
  const templates = findTemplates(options.templates, registry.root)
  if (templates.some(template => !isCurrent(registry, template))) {
    notices.push(...(await renderAll(options)))
  }
  const onDisk = readText(file)
  if (onDisk !== undefined && !isGenerated(onDisk)) {
    return { file, text: onDisk, origin: 'hand-written', notices }
  }

  const environment = registry.environment()
  notices.push(...environment.problems)
  if (onDisk !== undefined && environment.values.size === 0) {
    return { file, text: onDisk, origin: 'variables', notices }
  }
  const { readTemplates, renderTemplate } = await import('./render.ts')
  const read = readTemplates(options.templates, registry.root, registry.descriptions)
  const template = read.templates.find(({ target }) => target === file)
  if (template === undefined) return { file, text: onDisk, origin: 'variables', notices }

  const below = checkedValues(registry, registry.snapshot(), 'fall back')
  if (onDisk === undefined) notices.push(...below.problems)
  const rendered = renderTemplate(template, overlay(below.values, environment.values, notices))
  if ('text' in rendered) return { file, text: rendered.text, origin: 'variables', notices }
  notices.push(rendered.problem)
  return { file, text: onDisk, origin: 'variables', notices }
}

/** Renders every template with the current variables; returns what should be logged about it. */
async function renderAll(
  options: Pick<CommitOptions, 'registry' | 'templates' | 'check'>,
): Promise<readonly Notice[]> {
  const { commitVariables } = await import('./commit.ts')
  try {
    const result = await commitVariables({ ...options, reload: () => {} }, () => {
      return { scope: 'normal', changes: new Map(), render: 'all' }
    })
    return result.notices
  } catch (error) {
    // An unprivileged daemon, or a read-only /etc: it works from the text alone.
    const isKnown = isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'SQLITE_CANTOPEN')
    if (!isKnown && !(error instanceof LockTimeout)) throw error
    const message = `the configuration file could not be brought up to date: ${error.message}`
    return [{ severity: 'warning', message }]
  }
}

/** A registry that is for root alone, as values may be, must not keep the daemon from starting. */
function whyUnreadable(file: string): Error | undefined {
  try {
    readText(file)
  } catch (error) {
    if (isErrno(error, 'EACCES')) return error
    throw error
  }
  return undefined
}

function isCurrent(registry: Registry, template: TemplateFile): boolean {
  // What is rendered for others need not be for us to read.
  const isOurs = template.target === join(registry.root, CONFIGURATION)
  if (!isOurs && whyUnreadable(template.target) !== undefined) return true
  const old = readText(template.target)
  if (old === undefined) return false
  if (!isGenerated(old)) return true
  const { values, problems } = checkedValues(registry, registry.snapshot(), 'keep')
  return problems.length === 0 && isMadeFrom(old, template, values)
}

/** The environment on top, unless that contradicts what is below: then the host stays as it is. */
function overlay(below: Values, environment: Values, notices: Notice[]): Values {
  const all = new Map([...below, ...environment])
  const wrong = contradictions(all)
  if (wrong.length === 0) return all
  for (const contradiction of wrong) {
    const message = `MTPOLICYD_*: ${contradiction}; the value below it is used`
    notices.push({ severity: 'error', message })
  }
  return new Map([...all, ['mtpolicyd/host', below.get('mtpolicyd/host') ?? 'localhost']])
}
