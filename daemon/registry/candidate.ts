/**
 * The configuration that is in force, or would be with other values of variables. Unlike `ensureRendered` this
 * writes nothing, whatever is missing or out of date.
 */

import { join } from 'node:path'
import type { Notice } from '../policy/problem.ts'
import { CONFIGURATION } from './ensure-rendered.ts'
import { readText, type Values } from './layers.ts'
import { checkedValues, type Registry } from './registry.ts'
import { readTemplates, renderTemplate } from './render.ts'
import { isGenerated } from './template-files.ts'
import { contradictions } from './variables.ts'

export interface Candidate {
  /** Relative includes refer to it. */
  readonly file: string
  /** Undefined: it cannot be rendered; the problems tell why. */
  readonly text: string | undefined
  /** hand-written: the variables, and `changes`, have no effect. */
  readonly origin: 'variables' | 'hand-written'
  readonly problems: readonly Notice[]
}

/** `changes` are above everything else. Throws if a layer cannot be read. */
export function candidateConfiguration(
  registry: Registry,
  templates: string,
  changes: Values,
): Candidate {
  const file = join(registry.root, CONFIGURATION)
  const onDisk = readText(file)
  if (onDisk !== undefined && !isGenerated(onDisk)) {
    return { file, text: onDisk, origin: 'hand-written', problems: [] }
  }
  const values: Values = new Map([...registry.values(), ...validOf(registry, changes)])
  const read = readTemplates(templates, registry.root, registry.descriptions)
  const template = read.templates.find(({ target }) => target === file)
  const failed = (...problems: readonly Notice[]): Candidate => {
    return { file, text: undefined, origin: 'variables', problems }
  }
  if (template === undefined) {
    return failed({ severity: 'error', message: `there is no template of ${file}` })
  }
  const wrong = contradictions(values).map(message => ({ severity: 'error', message }) as const)
  if (wrong.length > 0) return failed(...wrong)
  const rendered = renderTemplate(template, values)
  if ('problem' in rendered) return failed(rendered.problem)
  return { file, text: rendered.text, origin: 'variables', problems: [] }
}

/** In normal form, as they would be read back. */
function validOf(registry: Registry, changes: Values): Values {
  const layers = [{ scope: 'normal', file: '', values: changes }] as const
  return checkedValues(registry, { layers, merged: changes }, 'keep', key => changes.has(key))
    .values
}
