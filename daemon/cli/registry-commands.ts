/**
 * The registry commands of mtpolicyctl: set unset get search dump info shell commit update.
 *
 * Output, error text and exit status are those of UCR's own command, so that scripts written for it
 * work: 0 done, 1 refused or failed, 2 a value against its type. After UCR's lines a refusal has one
 * line of ours, indented, that says what was expected. Not copied: register and unregister (there
 * is one package here), filter and UCR's template language, Python's regular expressions (ours
 * are JavaScript's), keys with blanks or `*` (refused), the empty lines of `--non-empty`.
 */

import { join, resolve } from 'node:path'
import {
  type CommitOptions,
  type CommitResult,
  commitVariables,
  isOverridden,
  type Plan,
} from '../registry/commit.ts'
import { byCodePoint, isErrno, type Scope } from '../registry/layers.ts'
import { LockTimeout } from '../registry/lock.ts'
import { openRegistry, type Registry, type Snapshot, scopeOf } from '../registry/registry.ts'
import { readTemplates } from '../registry/render.ts'
import { shellQuote } from '../registry/replog.ts'
import type { CommandRunner } from '../registry/ucr.ts'
import {
  checkValue,
  definitionError,
  LINE_BREAKER,
  printable,
  truth,
} from '../registry/value-types.ts'
import {
  canonicalKey,
  FORBIDDEN_IN_KEYS,
  isPattern,
  userPartProblem,
  type Variable,
} from '../registry/variables.ts'

/** Everything the commands touch outside of themselves. */
export interface RegistryIo {
  readonly root: string
  readonly env: NodeJS.ProcessEnv
  /** The directory of templates/. */
  readonly templates: string
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly check: CommitOptions['check']
  readonly reload: CommitOptions['reload']
  readonly declarations?: readonly Variable[]
  readonly now?: () => Date
  readonly run?: CommandRunner
}

export const registryActions = [
  'set',
  'unset',
  'get',
  'search',
  'dump',
  'info',
  'shell',
  'commit',
  'update',
] as const

type Action = (typeof registryActions)[number]

/** What stands before the action. */
interface Filters {
  readonly shell: boolean
  readonly keysOnly: boolean
  readonly json: boolean
}

interface Call {
  readonly registry: Registry
  readonly io: RegistryIo
  readonly filters: Filters
  readonly options: ReadonlyMap<string, string>
  readonly args: readonly string[]
}

interface ActionRules {
  readonly run: (call: Call) => number | Promise<number>
  readonly leastArguments: number
  /** Action options, those with an argument as `--name=`. */
  readonly options: readonly string[]
  /** Global options that mean something here. */
  readonly filters: readonly string[]
}

const SCOPE_OPTIONS = ['--force', '--forced', '--ldap-policy', '--schedule']
const ALL_FILTERS = ['--shell', '--keys-only', '--sort', '--json']
const SEARCH_OPTIONS = [
  '--key',
  '--value',
  '--all',
  '--brief',
  '--non-empty',
  '--verbose',
  '--category=',
]

const actions: Readonly<Record<Action, ActionRules>> = {
  set: {
    run: runSet,
    leastArguments: 1,
    options: [...SCOPE_OPTIONS, '--ignore-check'],
    filters: [],
  },
  unset: { run: runUnset, leastArguments: 1, options: SCOPE_OPTIONS, filters: [] },
  get: { run: runGet, leastArguments: 1, options: [], filters: ['--shell', '--json'] },
  search: { run: runSearch, leastArguments: 0, options: SEARCH_OPTIONS, filters: ALL_FILTERS },
  dump: { run: runDump, leastArguments: 0, options: [], filters: ALL_FILTERS },
  info: { run: runInfo, leastArguments: 1, options: [], filters: ['--json'] },
  shell: { run: runShell, leastArguments: 0, options: [], filters: [] },
  commit: { run: runCommit, leastArguments: 0, options: ['--force-template'], filters: [] },
  update: { run: runUpdate, leastArguments: 0, options: [], filters: [] },
}

/** Runs one registry command; `argv` begins with the global options or the action. */
export async function runRegistryCommand(argv: readonly string[], io: RegistryIo): Promise<number> {
  const fail = (line: string): number => {
    io.stderr(`${line}\n`)
    return 1
  }
  try {
    const registry = openRegistry(io)
    if (registry.disabled) return 0

    const globals = takeWhile(argv, argument => argument.startsWith('--'))
    const unknown = globals.find(option => !ALL_FILTERS.includes(option))
    if (unknown !== undefined) return fail(`E: unknown option ${unknown}`)
    const name = argv[globals.length]
    if (name === undefined) return fail('E: missing action, see --help')
    const rules = isAction(name) ? actions[name] : undefined
    if (rules === undefined) return fail(`E: unknown action "${name}", see --help`)
    const foreign = globals.find(option => !rules.filters.includes(option) && option !== '--sort')
    if (foreign !== undefined) return fail(`E: invalid option ${foreign} for command ${name}`)

    const options = new Map<string, string>()
    let next = globals.length + 1
    for (; argv[next]?.startsWith('--') === true; next++) {
      const option = argv[next] ?? ''
      const [given, ...rest] = option.split('=')
      if (rules.options.includes(option)) {
        options.set(option, '')
      } else if (rules.options.includes(`${given}=`)) {
        const value = rest.length > 0 ? rest.join('=') : argv[++next]
        if (value === undefined) {
          return fail(`E: option ${given} for command ${name} expects an argument`)
        }
        options.set(given ?? '', value)
      } else {
        return fail(`E: invalid option ${option} for command ${name}`)
      }
    }
    const args = argv.slice(next)
    if (args.length < rules.leastArguments) {
      return fail(`E: too few arguments for command [${name}]\n${HINT}`)
    }
    const filters = {
      shell: globals.includes('--shell'),
      keysOnly: globals.includes('--keys-only'),
      json: globals.includes('--json'),
    }
    return await rules.run({ registry, io, filters, options, args })
  } catch (error) {
    const why = reason(error)
    if (why === undefined) throw error
    return fail(`E: your request could not be fulfilled\n${HINT}\n  ${why}`)
  }
}

const HINT = 'try `mtpolicyctl --help` for more information'

/** Of what the machine refuses the operator is told why; anything else is a bug of ours. */
function reason(error: unknown): string | undefined {
  if (error instanceof LockTimeout) return error.message
  if (isErrno(error, 'SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_PERM', 'SQLITE_IOERR')) {
    return `the registry cannot be locked: ${error.message}`
  }
  return error instanceof Error && 'syscall' in error ? error.message : undefined
}

function isAction(name: string): name is Action {
  return Object.hasOwn(actions, name)
}

function takeWhile(list: readonly string[], test: (item: string) => boolean): string[] {
  const end = list.findIndex(item => !test(item))
  return list.slice(0, end < 0 ? list.length : end)
}

// ---------------------------------------------------------------- set, unset

function scopeOption({ registry, options }: Call): Scope {
  if (registry.files.some(({ scope }) => scope === 'custom')) return 'custom'
  if (options.has('--force') || options.has('--forced')) return 'forced'
  if (options.has('--ldap-policy')) return 'ldap'
  return options.has('--schedule') ? 'schedule' : 'normal'
}

async function runSet(call: Call): Promise<number> {
  const { registry, io, options, args } = call
  const scope = scopeOption(call)
  let status = 0
  const worst = (found: number) => {
    status = Math.max(status, found)
  }

  const decide = (snapshot: Snapshot): Plan => {
    status = 0
    const layer = snapshot.layers.find(candidate => candidate.scope === scope)?.values ?? new Map()
    const ignoreCheck = options.has('--ignore-check')
    const isStrict = truth(snapshot.merged.get('ucr/check/type')) !== false && !ignoreCheck
    const changes = new Map<string, string>()

    for (const argument of args) {
      const assignment = /^([^=?]*)([=?])(.*)$/s.exec(argument)
      if (assignment === null) {
        io.stderr(`W: Missing value for config registry variable '${argument}'\n`)
        continue
      }
      const [, name = '', operator = '', raw = ''] = assignment
      const key = canonicalKey(name)
      const complaint = keyComplaint(key === '' ? operator : key)
      if (complaint !== undefined) {
        io.stdout(`Not setting ${key === '' ? operator : key}\n`)
        io.stderr(
          `${complaint}\n  expected a key of letters, digits and . : _ - / such as mtpolicyd/port\n`,
        )
        worst(1)
        continue
      }
      const advice = umlautAdvice(key)
      if (advice !== undefined) io.stderr(`${advice}\n`)
      if (operator === '?' && layer.has(key)) {
        io.stdout(`Not updating ${key}\n`)
        continue
      }
      if (registry.ucr === undefined) {
        io.stdout(`${layer.has(key) ? 'Setting' : 'Create'} ${key}\n`)
      }
      const taken = takeValue(call, key, raw, isStrict)
      if ('status' in taken) {
        worst(taken.status)
        continue
      }
      changes.set(key, taken.value)
      if (isOverridden(snapshot, scope, key) && registry.ucr === undefined) {
        io.stderr(`W: ${key} is overridden by scope "${scopeOf(snapshot, key)}"\n`)
      }
    }
    return { scope, changes, ignoreCheck: ignoreCheck || !isStrict }
  }
  const result = await commitVariables(commitOptions(call), decide)
  return Math.max(report(call, result), status)
}

/** The value to store, or the status of its refusal. */
function takeValue(
  { registry, io }: Call,
  key: string,
  raw: string,
  isStrict: boolean,
): { value: string } | { status: number } {
  const variable = registry.descriptions.find(key)
  if (variable === undefined) return { value: raw }
  const explain = (expected: string) => io.stderr(`  ${key}: ${expected}\n`)

  const ofUser = userPartProblem(key)
  if (ofUser !== undefined) {
    io.stderr(`E: Value '${printable(raw)}' incompatible for '${key}'\n`)
    explain(ofUser)
    return { status: 2 }
  }
  const checked = checkValue(variable, raw)
  if (checked.kind === 'broken') {
    const intro = `Invalid UCR type definition for type '${variable.type}' of '${key}'`
    io.stderr(
      isStrict
        ? `E: ${intro}, value '${printable(raw)}' not set\n`
        : `W: ${intro}, but set anyway\n`,
    )
    if (!isStrict) return { value: raw }
    explain(checked.reason)
    return { status: 1 }
  }
  // Line breaks silently vanish from a value in UCR; of what is declared they must not.
  const hasBreak = LINE_BREAKER.test(raw)
  if (checked.kind === 'good' && !hasBreak) return { value: checked.value }

  const intro = `Value '${printable(raw)}' incompatible for '${key}'`
  if (!isStrict) {
    io.stderr(`W: ${intro}, but setting anyway\n`)
    return { value: raw }
  }
  io.stderr(`E: ${intro}\n`)
  explain(checked.kind === 'bad' && !hasBreak ? checked.expected : 'expected one line of text')
  return { status: 2 }
}

async function runUnset(call: Call): Promise<number> {
  const { registry, io, args } = call
  const scope = scopeOption(call)
  const decide = (snapshot: Snapshot): Plan => {
    const layer = snapshot.layers.find(candidate => candidate.scope === scope)
    // A default of ours stands in no file and cannot be unset.
    const values = scope === 'default' ? new Map<string, string>() : layer?.values
    const changes = new Map<string, undefined>()
    for (const argument of args) {
      const key = values?.has(argument) === true ? argument : canonicalKey(argument)
      if (values?.has(key) !== true) {
        io.stderr(`W: The config registry variable '${argument}' does not exist\n`)
        continue
      }
      changes.set(key, undefined)
      if (registry.ucr !== undefined) continue
      io.stdout(`Unsetting ${key}\n`)
      if (isOverridden(snapshot, scope, key)) {
        io.stderr(`W: ${key} is still set in scope "${scopeOf(snapshot, key)}"\n`)
      }
    }
    return { scope, changes }
  }
  return report(call, await commitVariables(commitOptions(call), decide))
}

function commitOptions({ registry, io, options }: Call): CommitOptions {
  return {
    registry,
    templates: io.templates,
    check: io.check,
    reload: io.reload,
    forceTemplate: options.has('--force-template'),
  }
}

function report({ io }: Call, result: CommitResult): number {
  if (result.ucr !== undefined) {
    io.stdout(result.ucr.stdout)
    io.stderr(result.ucr.stderr)
  }
  if (!result.refused) for (const file of result.files) io.stdout(`File: ${file}\n`)
  for (const line of result.lines) io.stderr(`${line}\n`)
  if (result.refused || result.reloadFailed) return 1
  return result.ucr?.status ?? 0
}

/** UCR's complaint about a key, or undefined. Blanks and `*` pass there and not here. */
function keyComplaint(key: string): string | undefined {
  if (key.includes(': '))
    return `Please fix invalid ": " in config variable key "${printable(key)}".`
  const wrong = FORBIDDEN_IN_KEYS.exec(key)?.[0] ?? /[\s*\u2028\u2029]/u.exec(key)?.[0]
  if (wrong === undefined) return undefined
  return `Please fix invalid character "${printable(wrong)}" in config variable key "${printable(key)}".`
}

const SPELLED_OUT: ReadonlyMap<string, string> = new Map([
  ['ä', 'ae'],
  ['ö', 'oe'],
  ['ü', 'ue'],
  ['Ä', 'Ae'],
  ['Ö', 'Oe'],
  ['Ü', 'Ue'],
  ['ß', 'ss'],
])

function umlautAdvice(key: string): string | undefined {
  const spelled = key.replace(/[äöüÄÖÜß]/g, letter => SPELLED_OUT.get(letter) ?? letter)
  if (spelled === key) return undefined
  return `Umlauts in config variable key are not recommended. Please consider renaming "${key}" to ${spelled}.`
}

// ---------------------------------------------------------------- get, dump, search, info, shell

function runGet({ registry, io, filters, args }: Call): number {
  const { merged } = registry.snapshot()
  const [name = ''] = args
  const key = merged.has(name) ? name : canonicalKey(name)
  const value = merged.get(key)
  if (filters.json) io.stdout(`${JSON.stringify({ [key]: value ?? null })}\n`)
  else if (value !== undefined) io.stdout(filters.shell ? shellLine(key, value) : `${value}\n`)
  return 0
}

function runDump({ registry, io, filters }: Call): number {
  const { merged } = registry.snapshot()
  const entries = [...merged].sort((a, b) => byCodePoint(`${a[0]}: ${a[1]}`, `${b[0]}: ${b[1]}`))
  if (entries.length === 0 && !filters.shell && !filters.json) io.stdout('\n')
  printEntries(io, filters, entries)
  return 0
}

function runShell({ registry, io, args }: Call): number {
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

function runSearch(call: Call): number {
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

function runInfo(call: Call): number {
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

// ---------------------------------------------------------------- commit, update

async function runCommit(call: Call): Promise<number> {
  const { registry, io, args } = call
  const scope = scopeOption(call)
  const { templates } = readTemplates(io.templates, registry.root, registry.descriptions)
  const targets = templates.map(({ target }) => target)
  // A path as this host sees it, or as the moved root does.
  const wanted = args.flatMap(argument => {
    const path = resolve(argument)
    const target = targets.find(name => name === path || name === join(registry.root, path))
    if (target !== undefined) return [target]
    io.stderr(`Warning: The file '${argument}' is not registered as an UCR template.\n`)
    return []
  })
  const render = args.length === 0 ? 'all' : wanted
  const plan: Plan = { scope, changes: new Map(), render }
  return report(call, await commitVariables(commitOptions(call), () => plan))
}

async function runUpdate(call: Call): Promise<number> {
  const { registry } = call
  const scope: Scope = registry.files.some(file => file.scope === 'custom') ? 'custom' : 'default'
  if (scope === 'custom' || registry.ucr !== undefined) return runCommit({ ...call, args: [] })
  const decide = (snapshot: Snapshot): Plan => {
    const stored = snapshot.layers.find(layer => layer.scope === scope)?.values ?? new Map()
    const changes = new Map<string, string | undefined>()
    for (const key of stored.keys()) changes.set(key, undefined)
    for (const { name, default: value } of registry.descriptions.all) {
      if (value !== '' && !isPattern(name)) changes.set(name, value)
    }
    return { scope, changes }
  }
  return report(call, await commitVariables(commitOptions(call), decide))
}
