/** search: variables by name, value or description. */

import { byCodePoint } from '../../registry/layers.ts'
import type { Registry } from '../../registry/registry.ts'
import { truth } from '../../registry/value-types.ts'
import type { Variable } from '../../registry/variables.ts'
import { defineCommand, type ExitStatus, type Values } from '../command.ts'
import type { Host } from '../host.ts'
import { listFilters } from '../options.ts'
import { withRegistry } from '../registry-command.ts'
import { descriptionOf, inOrder, printEntries } from '../registry-print.ts'

const options = {
  key: { type: 'boolean', doc: 'Search the names. This is the default.' },
  value: { type: 'boolean', doc: 'Search the values.' },
  all: { type: 'boolean', doc: 'Search names, values and descriptions.' },
  brief: { type: 'boolean', doc: 'Omit the descriptions.' },
  verbose: { type: 'boolean', doc: 'Also show the category.' },
  'non-empty': { type: 'boolean', doc: 'Omit variables without a value.' },
  category: {
    type: 'string',
    argument: 'NAME',
    offers: ['service-mail'],
    doc: 'Only variables of this category.',
  },
  ...listFilters,
} as const

export const search = defineCommand({
  name: 'search',
  group: 'variables',
  operands: '[TEXT ...]',
  offers: 'variables',
  summary: 'list variables with their descriptions',
  more: `
    Lists variables with value and description. TEXT is a regular expression that is searched for in
    the names. Without it, all variables are listed.
  `,
  json: '{NAME, ...}: the values of those found that have one. With --keys-only an array of names.',
  dialect: 'ucr',
  options,
  run: (values, host) => withRegistry(host, registry => runSearch(values, host, registry)),
})

interface Hit {
  readonly key: string
  readonly value: string | undefined
  readonly variable: Variable | undefined
  readonly text: string
}

function runSearch(values: Values<typeof options>, host: Host, registry: Registry): ExitStatus {
  const found = hitsFor(values, host, registry)
  if (typeof found === 'string') {
    host.err(`E: ${found}\n`)
    return 1
  }
  if (values.shell || values.json || values['keys-only']) {
    // These are for programs: only what has a value has one here.
    const entries = found.flatMap(({ key, value }) => {
      return value === undefined && !values['keys-only'] ? [] : [[key, value ?? ''] as const]
    })
    printEntries(host, values, inOrder(entries))
    return 0
  }
  const briefly = truth(registry.snapshot().merged.get('ucr/output/brief')) === true
  const isBrief = values.brief || (briefly && !values.verbose)
  const blocks = found.map(({ key, value, variable, text }) => {
    const head = `${key}: ${value ?? '<empty>'}\n`
    if (isBrief) return head
    const about = variable === undefined ? '' : ` ${text}\n`
    const isShown = values.verbose && variable !== undefined
    const group = isShown ? ` Categories: ${variable.categories}\n` : ''
    return `${head}${about}${group}\n`
  })
  for (const block of blocks.sort(byCodePoint)) host.out(block)
  return 0
}

/** What was found, or why nothing can be. */
function hitsFor(values: Values<typeof options>, host: Host, registry: Registry): Hit[] | string {
  const { category, operands, 'non-empty': isFilled } = values
  const { all: described } = registry.descriptions
  if ([values.key, values.value, values.all].filter(Boolean).length > 1) {
    return 'at most one out of [--key|--value|--all] may be set'
  }
  const categories = new Set(described.map(variable => variable.categories.toLowerCase()))
  if (category !== undefined && !categories.has(category.toLowerCase())) {
    return `unknown category: "${category}"`
  }
  const patterns = patternsOf(operands)
  if (typeof patterns === 'string') return patterns

  const { merged } = registry.snapshot()
  const isMatch = ({ key, value, text }: Hit): boolean => {
    const texts = values.all ? [key, value, text] : [values.value ? value : key]
    const matches = (pattern: RegExp) =>
      texts.some(part => part !== undefined && pattern.test(part))
    return patterns.length === 0 || patterns.some(matches)
  }
  return [...new Set([...merged.keys(), ...described.map(variable => variable.name)])]
    .map((key): Hit => {
      const variable = registry.descriptions.find(key)
      return { key, value: merged.get(key), variable, text: descriptionOf(host, variable) }
    })
    .filter(({ variable }) => category === undefined || variable?.categories === category)
    .filter(({ value }) => !isFilled || (value ?? '') !== '')
    .filter(isMatch)
}

function patternsOf(sources: readonly string[]): RegExp[] | string {
  try {
    return sources.map(source => new RegExp(source))
  } catch (error) {
    return `invalid regular expression: ${error instanceof Error ? error.message : error}`
  }
}
