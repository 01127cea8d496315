/**
 * `NAME=VALUE` as an administrator types it: the key and the value to store, or a refusal in UCR's words and a
 * line of ours.
 */

import { nearestName } from '../policy/problem.ts'
import { canonicalKey, FORBIDDEN_IN_KEYS, namePartProblem } from '../registry/name-key.ts'
import type { Registry } from '../registry/registry.ts'
import { checkValue, LINE_BREAKER, printable } from '../registry/value-types.ts'
import type { ExitStatus } from './command.ts'
import type { Host } from './host.ts'

export interface Assigning {
  readonly host: Pick<Host, 'out' | 'err'>
  readonly registry: Registry
  /** Refuse values that do not fit their types? */
  readonly isStrict: boolean
}

/** What to store; the status of a refusal; undefined: nothing, and that is all right. */
export function takeAssignment(
  call: Assigning,
  argument: string,
  layer: ReadonlyMap<string, string>,
): { readonly key: string; readonly value: string } | ExitStatus | undefined {
  const { host, registry } = call
  const assignment = /^([^=?]*)([=?])(.*)$/s.exec(argument)
  if (assignment === null) {
    host.err(`W: Missing value for config registry variable '${argument}'\n`)
    return undefined
  }
  const [, name = '', operator = '', raw = ''] = assignment
  const key = canonicalKey(name)
  const complaint = keyComplaint(key === '' ? operator : key)
  if (complaint !== undefined) {
    host.out(`Not setting ${key === '' ? operator : key}\n`)
    const expected = 'expected a key of letters, digits and . : _ - / such as mtpolicyd/port'
    host.err(`${complaint}\n  ${expected}\n`)
    return 1
  }
  const advice = umlautAdvice(key)
  if (advice !== undefined) host.err(`${advice}\n`)
  if (operator === '?' && layer.has(key)) {
    host.out(`Not updating ${key}\n`)
    return undefined
  }
  if (registry.ucr === undefined) host.out(`${layer.has(key) ? 'Setting' : 'Create'} ${key}\n`)
  const value = takeValue(call, key, raw)
  return typeof value === 'number' ? value : { key, value }
}

/** The value to store, or the status of its refusal. */
function takeValue(
  { host, registry, isStrict }: Assigning,
  key: string,
  raw: string,
): string | number {
  const variable = registry.descriptions.find(key)
  const explain = (expected: string) => host.err(`  ${key}: ${expected}\n`)
  if (variable === undefined) {
    const near = nearestOfOurs(registry, key)
    if (near !== undefined) explain(`nothing reads this variable; did you mean ${near}?`)
    return raw
  }

  const wrongName = namePartProblem(key)
  if (wrongName !== undefined) {
    host.err(`E: Value '${printable(raw)}' incompatible for '${key}'\n`)
    explain(wrongName)
    return 2
  }
  const checked = checkValue(variable, raw)
  if (checked.kind === 'broken') {
    const intro = `Invalid UCR type definition for type '${variable.type}' of '${key}'`
    host.err(
      isStrict
        ? `E: ${intro}, value '${printable(raw)}' not set\n`
        : `W: ${intro}, but set anyway\n`,
    )
    if (!isStrict) return raw
    explain(checked.reason)
    return 1
  }
  // Line breaks silently vanish from a value in UCR; from a declared one they must not.
  const hasBreak = LINE_BREAKER.test(raw)
  if (checked.kind === 'good' && !hasBreak) return checked.value

  const intro = `Value '${printable(raw)}' incompatible for '${key}'`
  if (!isStrict) {
    host.err(`W: ${intro}, but setting anyway\n`)
    return raw
  }
  host.err(`E: ${intro}\n`)
  explain(checked.kind === 'bad' && !hasBreak ? checked.expected : 'expected one line of text')
  return 2
}

/** A misspelt variable is stored, as UCR would, but it should not go unnoticed. */
export function nearestOfOurs({ declarations }: Registry, key: string): string | undefined {
  const prefix = 'mtpolicyd/'
  if (!key.startsWith(prefix)) return undefined
  // A user's or domain's variable is compared as the pattern that it is meant to fit.
  const [, named = '', owner = ''] = /^mtpolicyd\/((?:user|domain)\/)([^/]+)\//.exec(key) ?? []
  const given = key.slice(prefix.length + named.length + owner.length)
  const names = declarations.map(({ name }) => name.slice(prefix.length))
  const near = nearestName(named === '' ? given : `${named}.*${given}`, names)
  return near === undefined ? undefined : prefix + near.replace('.*', owner || '.*')
}

/** UCR's complaint about a key, or undefined. UCR accepts spaces and `*`; we do not. */
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
