/** commit: the configuration from the host variables, also where no variable has changed. */

import { join, resolve } from 'node:path'
import { commitVariables, type Plan } from '../../registry/commit.ts'
import type { Registry } from '../../registry/registry.ts'
import { findTemplates } from '../../registry/template-files.ts'
import { defineCommand } from '../command.ts'
import type { Host } from '../host.ts'
import { sortFilter } from '../options.ts'
import { commitOptions, report, scopeFor, withRegistry } from '../registry-command.ts'

export const commit = defineCommand({
  name: 'commit',
  group: 'variables',
  operands: '[FILE ...]',
  offers: 'files',
  summary: 'generate the configuration again',
  more: `
    Generates the configuration from the host variables, even if none has changed. A file that was
    written by hand is left alone, with a message. --force-template replaces it and keeps a copy.
  `,
  dialect: 'ucr',
  options: {
    'force-template': { type: 'boolean', doc: 'Replace a file that was written by hand.' },
    ...sortFilter,
  },
  run: ({ operands, 'force-template': isForced }, host) =>
    withRegistry(host, async registry => {
      const render = operands.length === 0 ? 'all' : targetsNamed(operands, host, registry)
      const plan: Plan = { scope: scopeFor(registry), changes: new Map(), render }
      const options = commitOptions(host, registry, isForced)
      return report(host, await commitVariables(options, () => plan))
    }),
})

/** A path may be given as this host sees it, or as the moved root does. */
function targetsNamed(words: readonly string[], host: Host, registry: Registry): string[] {
  const targets = findTemplates(host.registry.templates, registry.root).map(one => one.target)
  return words.flatMap(word => {
    const path = resolve(word)
    const target = targets.find(name => name === path || name === join(registry.root, path))
    if (target !== undefined) return [target]
    host.err(`Warning: The file '${word}' is not registered as an UCR template.\n`)
    return []
  })
}
