/**
 * What the daemon loads when nobody names a file: the rendered configuration, made first if it is
 * missing or not what the variables say.
 *
 * A configuration that cannot be rendered or is refused leaves the old file in use. Where there is no
 * old file, bad values give way to the ones below them: a mistake in one variable must not keep
 * the mail server without its policy. MTPOLICYD_* count only in the text that is returned, never
 * in the file; so does everything on a host where this process may not write the file.
 *
 * Most starts find the file as it should be. What only the others need is imported where they do.
 */

import { join } from 'node:path'
import { formatProblem } from '../policy/problem.ts'
import type { CommitOptions } from './commit.ts'
import { isErrno, readText, type Values } from './layers.ts'
import { LockTimeout } from './lock.ts'
import { checkedValues, type Registry } from './registry.ts'
import { findTemplates, isGenerated, isMadeFrom, type TemplateFile } from './template-files.ts'
import { contradictions } from './variables.ts'

export const CONFIGURATION = 'etc/univention-mtpolicyd/mtpolicyd.conf'

export interface LoadedConfiguration {
  /** The target: what places in messages and relative includes refer to. */
  readonly file: string
  /** What to load as if it stood in that file; undefined if there is nothing at all. */
  readonly text: string | undefined
  /** hand-written: the variables are inactive. */
  readonly origin: 'variables' | 'hand-written'
  /** For the log, one line each. */
  readonly lines: readonly string[]
}

export async function ensureRendered(
  options: Pick<CommitOptions, 'registry' | 'templates' | 'check'>,
): Promise<LoadedConfiguration> {
  const { registry } = options
  const file = join(registry.root, CONFIGURATION)
  const lines: string[] = []

  const templates = findTemplates(options.templates, registry.root)
  if (templates.some(template => !isCurrent(registry, template))) {
    lines.push(...(await renderAll(options)))
  }
  const onDisk = readText(file)
  if (onDisk !== undefined && !isGenerated(onDisk)) {
    return { file, text: onDisk, origin: 'hand-written', lines }
  }

  const environment = registry.environment()
  lines.push(...environment.problems.map(formatProblem))
  if (onDisk !== undefined && environment.values.size === 0) {
    return { file, text: onDisk, origin: 'variables', lines }
  }
  const { readTemplates, renderTemplate } = await import('./render.ts')
  const read = readTemplates(options.templates, registry.root, registry.descriptions)
  const template = read.templates.find(({ target }) => target === file)
  if (template === undefined) return { file, text: onDisk, origin: 'variables', lines }

  const below = checkedValues(registry, registry.snapshot(), 'fall back')
  if (onDisk === undefined) lines.push(...below.problems.map(formatProblem))
  const rendered = renderTemplate(template, overlay(below.values, environment.values, lines))
  if ('text' in rendered) return { file, text: rendered.text, origin: 'variables', lines }
  lines.push(formatProblem(rendered.problem))
  return { file, text: onDisk, origin: 'variables', lines }
}

/** Renders every template as the variables say now; returns what is to be said about it. */
async function renderAll(
  options: Pick<CommitOptions, 'registry' | 'templates' | 'check'>,
): Promise<readonly string[]> {
  const { commitVariables } = await import('./commit.ts')
  try {
    const result = await commitVariables({ ...options, reload: () => {} }, () => {
      return { scope: 'normal', changes: new Map(), render: 'all' }
    })
    return result.lines
  } catch (error) {
    // An unprivileged daemon, or a read-only /etc: it works from the text alone.
    const isKnown = isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'SQLITE_CANTOPEN')
    if (!isKnown && !(error instanceof LockTimeout)) throw error
    return [`W: the configuration file could not be brought up to date: ${error.message}`]
  }
}

function isCurrent(registry: Registry, template: TemplateFile): boolean {
  const old = readText(template.target)
  if (old === undefined) return false
  if (!isGenerated(old)) return true
  const { values, problems } = checkedValues(registry, registry.snapshot(), 'keep')
  return problems.length === 0 && isMadeFrom(old, template, values)
}

/** The environment on top, unless that contradicts what is below: then the host stays as it is. */
function overlay(below: Values, environment: Values, lines: string[]): Values {
  const all = new Map([...below, ...environment])
  const wrong = contradictions(all)
  if (wrong.length === 0) return all
  lines.push(...wrong.map(line => `E: MTPOLICYD_*: ${line}; the value below it is used`))
  return new Map([...all, ['mtpolicyd/host', below.get('mtpolicyd/host') ?? 'localhost']])
}
