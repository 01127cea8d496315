/**
 * What a change of variables would do to the files that are rendered from them. Unlike a commit it writes
 * nothing and takes no lock, so it needs no rights but to read.
 */

import { hasIPv6 } from '../net/has-ipv6.ts'
import type { Notice, Problem } from '../policy/problem.ts'
import { apply, type Plan } from './commit.ts'
import { readText } from './layers.ts'
import { checkedValues, isOverridden, type Registry, scopeOf } from './registry.ts'
import { needsKey, readTemplates, renderTemplate } from './render.ts'
import { isConcerned } from './stage.ts'
import { isGenerated } from './template-files.ts'
import { contradictions } from './variables.ts'

export interface PreviewOptions {
  readonly registry: Registry
  /** The directory of templates/. */
  readonly templates: string
  /** What the daemon's loader finds wrong with a text that would be this file. */
  readonly check: (target: string, text: string) => Promise<readonly Problem[]>
}

export interface Preview {
  /** Files with another text than now; undefined: there is none yet. */
  readonly files: readonly {
    readonly file: string
    readonly before: string | undefined
    readonly after: string
  }[]
  readonly notices: readonly Notice[]
}

/** Throws if a layer or a template cannot be read. */
export async function previewOf(options: PreviewOptions, plan: Plan): Promise<Preview> {
  const { registry, templates: folder, check } = options
  const after = apply(registry.snapshot(), plan)
  const { templates, problems } = readTemplates(folder, registry.root, registry.descriptions)
  const notices: Notice[] = []
  for (const key of plan.changes.keys()) {
    if (!isOverridden(after, plan.scope, key)) continue
    const message = `${key} is overridden by scope "${scopeOf(after, key)}", so nothing changes`
    notices.push({ severity: 'warning', message })
  }
  const concerned = templates
    .filter(template => isConcerned(template, plan, after))
    .map(template => ({ template, old: readText(template.target) }))
    .filter(({ template: { target }, old }) => {
      const isForeign = old !== undefined && !isGenerated(old)
      const message = `${target} was written by hand and is kept; the host variables have no effect`
      if (isForeign) notices.push({ severity: 'warning', message })
      return !isForeign
    })
  if (concerned.length > 0) notices.push(...problems)
  const { values, problems: badValues } = checkedValues(registry, after, 'keep', key =>
    concerned.some(({ template }) => needsKey(template, key)),
  )
  const wrong = contradictions(values).map(message => ({ severity: 'error', message }) as const)
  notices.push(...badValues, ...wrong)
  const files: { file: string; before: string | undefined; after: string }[] = []
  if (notices.some(({ severity }) => severity !== 'warning')) return { files, notices }
  const host = { hasIPv6: await hasIPv6() }
  for (const { template, old } of concerned) {
    const rendered = renderTemplate(template, values, host)
    if ('problem' in rendered) {
      notices.push(rendered.problem)
      continue
    }
    if (rendered.text === old) continue
    notices.push(...(await check(template.target, rendered.text)))
    files.push({ file: template.target, before: old, after: rendered.text })
  }
  return { files, notices }
}
