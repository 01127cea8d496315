/**
 * set, unset, commit, update: the registry commands that change something.
 *
 * What is said follows UCR line by line, order included: the line about a key comes before the
 * refusal of its value. Of several assignments in one call the good ones are stored. The decisions
 * are made under the registry's lock, on layers read there.
 */

import { join, resolve } from 'node:path'
import { nearestName } from '../policy/problem.ts'
import {
  type CommitOptions,
  type CommitResult,
  commitVariables,
  type Plan,
} from '../registry/commit.ts'
import type { Scope } from '../registry/layers.ts'
import { isOverridden, type Snapshot, scopeOf } from '../registry/registry.ts'
import { findTemplates } from '../registry/template-files.ts'
import { canonicalKey, FORBIDDEN_IN_KEYS, userPartProblem } from '../registry/user-key.ts'
import { checkValue, LINE_BREAKER, printable, truth } from '../registry/value-types.ts'
import { isPattern } from '../registry/variables.ts'
import type { Call } from './registry-call.ts'

function scopeOption({ registry, options }: Call): Scope {
  if (registry.files.some(({ scope }) => scope === 'custom')) return 'custom'
  if (options.has('--force') || options.has('--forced')) return 'forced'
  if (options.has('--ldap-policy')) return 'ldap'
  return options.has('--schedule') ? 'schedule' : 'normal'
}

export async function runSet(call: Call): Promise<number> {
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
  call: Call,
  key: string,
  raw: string,
  isStrict: boolean,
): { value: string } | { status: number } {
  const { registry, io } = call
  const variable = registry.descriptions.find(key)
  const explain = (expected: string) => io.stderr(`  ${key}: ${expected}\n`)
  if (variable === undefined) {
    const near = nearestOfOurs(call, key)
    if (near !== undefined) explain(`nothing reads this variable; did you mean ${near}?`)
    return { value: raw }
  }

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

/** A misspelt variable is stored, as UCR would, but it should not go unnoticed. */
function nearestOfOurs({ registry }: Call, key: string): string | undefined {
  const prefix = 'mtpolicyd/'
  if (!key.startsWith(prefix)) return undefined
  const names = registry.declarations.map(({ name }) => name.slice(prefix.length))
  const near = nearestName(key.slice(prefix.length), names)
  return near === undefined ? undefined : prefix + near
}

export async function runUnset(call: Call): Promise<number> {
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
  // UCR's command, where it is the registry, would take it for an option.
  if (key.startsWith('-'))
    return `Please fix invalid "-" at the start of config variable key "${printable(key)}".`
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
  const spelled = key.replace(
    /[\xe4\xf6\xfc\xc4\xd6\xdc\xdf]/g,
    letter => SPELLED_OUT.get(letter) ?? letter,
  )
  if (spelled === key) return undefined
  return `Umlauts in config variable key are not recommended. Please consider renaming "${key}" to ${spelled}.`
}

export async function runCommit(call: Call): Promise<number> {
  const { registry, io, args } = call
  const scope = scopeOption(call)
  const targets = findTemplates(io.templates, registry.root).map(({ target }) => target)
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

export async function runUpdate(call: Call): Promise<number> {
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
