/**
 * get, dump, search, info, shell: the registry commands that only show.
 *
 * Everybody may run them; nothing is locked. `--json` is ours, for programs: names and values, and
 * only what has a value.
 */

import { byCodePoint } from '../registry/layers.ts'
import { shellQuote } from '../registry/replog.ts'
import { canonicalKey } from '../registry/user-key.ts'
import { definitionError, truth } from '../registry/value-types.ts'
import { isPattern, type Variable } from '../registry/variables.ts'
import type { Call, Filters, RegistryIo } from './registry-call.ts'

export function runGet({ registry, io, filters, args }: Call): number {
  const { merged } = registry.snapshot()
  const [name = ''] = args
  const key = merged.has(name) ? name : canonicalKey(name)
  const value = merged.get(key)
  if (filters.json) io.stdout(`${JSON.stringify({ [key]: value ?? null })}\n`)
  else if (value !== undefined) io.stdout(filters.shell ? shellLine(key, value) : `${value}\n`)
  return 0
}

export function runDump({ registry, io, filters }: Call): number {
  const { merged } = registry.snapshot()
  const entries = [...merged].sort((a, b) => byCodePoint(`${a[0]}: ${a[1]}`, `${b[0]}: ${b[1]}`))
  if (entries.length === 0 && !filters.shell && !filters.json) io.stdout('\n')
  printEntries(io, filters, entries)
  return 0
}

export function runShell({ registry, io, args }: Call): number {
  const { merged } = registry.snapshot()
  const wanted = args.length === 0 ? [...merged.keys()] : args.filter(key => merged.has(key))
  const entries = wanted.map(key => [key, merged.get(key) ?? ''] as const)
  entries.sort((a, b) => byCodePoint(`${a[0]}: ${a[1]}`, `${b[0]}: ${b[1]}`))
  for (const [key, value] of entries) io.stdout(shellLine(key, value))
  return 0
}

function printEntries(
  io: RegistryIo,
  filters: Filters,
  entries: ReadonlyArray<readonly [key: string, value: string]>,
): void {
  if (filters.json) {
    const chosen = filters.keysOnly ? entries.map(([key]) => key) : Object.fromEntries(entries)
    io.stdout(`${JSON.stringify(chosen, undefined, 2)}\n`)
    return
  }
  for (const [key, value] of entries) {
    if (filters.shell) io.stdout(shellLine(key, filters.keysOnly ? '' : value))
    else io.stdout(filters.keysOnly ? `${key}\n` : `${key}: ${value}\n`)
  }
}

/** A variable for `eval "$(...)"`. */
function shellLine(key: string, value: string): string {
  const name = key.replace(/[^A-Za-z0-9_]/gu, '_').replace(/^(?=\d)/, '_')
  return `${name}=${value === '' ? "''" : shellQuote(value)}\n`
}

export function runSearch(call: Call): number {
  const { registry, io, filters, options, args } = call
  const fail = (line: string): number => {
    io.stderr(`${line}\n`)
    return 1
  }
  const { merged } = registry.snapshot()
  const { all: described } = registry.descriptions
  const subjects = ['--key', '--value', '--all'].filter(option => options.has(option))
  if (subjects.length > 1) return fail('E: at most one out of [--key|--value|--all] may be set')
  const category = options.get('--category')
  const categories = new Set(described.map(variable => variable.categories.toLowerCase()))
  if (category !== undefined && !categories.has(category.toLowerCase())) {
    return fail(`E: unknown category: "${category}"`)
  }
  const patterns: RegExp[] = []
  for (const source of args) {
    try {
      patterns.push(new RegExp(source))
    } catch (error) {
      return fail(
        `E: invalid regular expression: ${error instanceof Error ? error.message : error}`,
      )
    }
  }

  const [subject = '--key'] = subjects
  const isMatch = (key: string, value: string | undefined, text: string): boolean => {
    const texts = subject === '--key' ? [key] : subject === '--value' ? [value] : [key, value, text]
    const found = (pattern: RegExp) => texts.some(part => part !== undefined && pattern.test(part))
    return patterns.length === 0 || patterns.some(found)
  }
  const keys = new Set([...merged.keys(), ...described.map(variable => variable.name)])
  const hits = [...keys]
    .map(key => {
      const variable = registry.descriptions.find(key)
      return { key, value: merged.get(key), variable, text: descriptionText(call, variable) }
    })
    .filter(({ variable }) => category === undefined || variable?.categories === category)
    .filter(({ value }) => !options.has('--non-empty') || (value ?? '') !== '')
    .filter(({ key, value, text }) => isMatch(key, value, text))

  if (filters.shell || filters.json || filters.keysOnly) {
    // These are for programs: only what has a value has one here.
    const entries = hits.flatMap(({ key, value }) => {
      return value === undefined && !filters.keysOnly ? [] : [[key, value ?? ''] as const]
    })
    entries.sort((a, b) => byCodePoint(`${a[0]}: ${a[1]}`, `${b[0]}: ${b[1]}`))
    printEntries(io, filters, entries)
    return 0
  }
  const isBrief =
    options.has('--brief') ||
    (truth(merged.get('ucr/output/brief')) === true && !options.has('--verbose'))
  const blocks = hits.map(({ key, value, variable, text }) => {
    const head = `${key}: ${value ?? '<empty>'}\n`
    if (isBrief) return head
    const about = variable === undefined ? '' : ` ${text}\n`
    const group =
      options.has('--verbose') && variable !== undefined
        ? ` Categories: ${variable.categories}\n`
        : ''
    return `${head}${about}${group}\n`
  })
  for (const block of blocks.sort(byCodePoint)) io.stdout(block)
  return 0
}

export function runInfo(call: Call): number {
  const { registry, io, filters, args } = call
  const { merged } = registry.snapshot()
  const found: Record<string, unknown> = {}
  for (const argument of args) {
    const key = merged.has(argument) ? argument : canonicalKey(argument)
    const value = merged.get(key)
    const variable =
      value === undefined ? registry.descriptions.exact(key) : registry.descriptions.find(key)
    if (value === undefined && (variable === undefined || isPattern(key))) {
      io.stderr(`W: Unknown key: "${argument}"\n`)
      continue
    }
    if (filters.json) {
      found[key] = { value: value ?? null, ...variable }
      continue
    }
    const lines = [`${key}: ${value ?? '<empty>'}`]
    if (variable !== undefined) {
      lines.push(` ${descriptionText(call, variable)}`)
      lines.push(` Categories: ${variable.categories}`)
      lines.push(` Default: ${variable.default === '' ? '(not set)' : variable.default}`)
      lines.push(` Type: ${definitionError(variable) ?? variable.type}`)
    }
    io.stdout(`${lines.join('\n')}\n\n`)
  }
  if (filters.json) io.stdout(`${JSON.stringify(found, undefined, 2)}\n`)
  return 0
}

function descriptionText({ io: { env } }: Call, variable: Variable | undefined): string {
  const language = env.LC_ALL || env.LC_MESSAGES || env.LANG || ''
  const { en = '', de } = variable?.description ?? {}
  return language.startsWith('de') ? (de ?? en) : en
}
