/**
 * Which variables the console may set, and whether values fit: the same types and names that `mtpolicyctl set`
 * checks. Only what this package declares, because the console is for mail, not for the whole host.
 */

import { canonicalKey, namePartProblem } from './name-key.ts'
import type { Registry } from './registry.ts'
import { checkValue, LINE_BREAKER, printable } from './value-types.ts'
import { isPattern, patternPart, type Variable } from './variables.ts'

/** Variables of one change. */
const MOST_CHANGES = 100
/** Characters of a value. */
const LONGEST_VALUE = 10_000
const WEBHOOK = 'mtpolicyd/alert/webhook'
/**
 * Who may set them could run any program as the daemon's user; have the daemon send requests to whatever this host
 * reaches, with its token for the webhook, and be told the answers.
 */
const ONLY_ON_THE_HOST: ReadonlySet<string> = new Set(['mtpolicyd/alert/command', WEBHOOK])

export type Checked =
  | { readonly ok: true; readonly key: string; readonly value: string }
  | { readonly ok: false; readonly expected: string }

/** null: unset. */
export type Changes = ReadonlyMap<string, string | null>

/** The request made no sense, or a value does not fit. The message is for the client. */
export class UnfitChange extends Error {
  override readonly name = 'UnfitChange'
}

/** Our declaration of a name, which is canonical; undefined: we have none. */
export function declarationOf(registry: Registry, key: string): Variable | undefined {
  const found = registry.descriptions.find(key)
  if (!found) return undefined
  const isOurs = registry.declarations.includes(found)
  const isInstance = !isPattern(found.name) || (patternPart(found.name, key) ?? '') !== ''
  return isOurs && isInstance && !isPattern(key) ? found : undefined
}

/** Why the console may not set it; undefined: it may. */
export function lockOf(key: string): string | undefined {
  if (!ONLY_ON_THE_HOST.has(key)) return undefined
  return `${key} can be set on the host only: mtpolicyctl set ${key}=...`
}

/** A value as the console shows it: of a webhook, whose path is its password, the server alone. */
export function shownValue(key: string, value: string): string {
  if (key !== WEBHOOK) return value
  const url = URL.parse(value)
  if (url === null) return value === '' ? '' : '…'
  const isBare = url.href === `${url.origin}/`
  return isBare ? value : `${url.origin}/…`
}

/** What it does not show, wherever it is written, with what it shows instead. */
export function hiddenValues(registry: Registry): ReadonlyMap<string, string> {
  const { layers } = registry.snapshot()
  const all = [...layers.map(({ values }) => values), registry.values()].flatMap(
    values => values.get(WEBHOOK) ?? [],
  )
  return new Map(
    all.flatMap(value => {
      const shown = shownValue(WEBHOOK, value)
      return shown === value ? [] : [[value, shown] as const]
    }),
  )
}

/** One value. */
export function checkAssignment(registry: Registry, name: string, value: string): Checked {
  const key = keyOf(registry, name)
  if (typeof key !== 'string') return key
  const variable = declarationOf(registry, key)
  if (!variable) return unknown(name)
  if (value.length > LONGEST_VALUE) {
    return { ok: false, expected: `expected at most ${LONGEST_VALUE} characters` }
  }
  if (LINE_BREAKER.test(value)) return { ok: false, expected: 'expected one line of text' }
  const check = checkValue(variable, value)
  if (check.kind === 'good') return { ok: true, key, value: check.value }
  return { ok: false, expected: check.kind === 'bad' ? check.expected : check.reason }
}

/** A whole change, in normal form. Throws UnfitChange. */
export function checkChanges(registry: Registry, given: unknown): Changes {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new UnfitChange('"changes" must be an object')
  }
  const entries: readonly [string, unknown][] = Object.entries(given)
  if (entries.length === 0) throw new UnfitChange('there is no change')
  if (entries.length > MOST_CHANGES) {
    throw new UnfitChange(`expected at most ${MOST_CHANGES} changes at once`)
  }
  const changes = new Map<string, string | null>()
  for (const [name, value] of entries) {
    const { key, value: normal } = checkOne(registry, name, value)
    if (changes.has(key)) throw new UnfitChange(`${key} is there twice`)
    changes.set(key, normal)
  }
  return changes
}

function checkOne(registry: Registry, name: string, value: unknown) {
  if (value === null) {
    const key = keyOf(registry, name)
    if (typeof key !== 'string') throw new UnfitChange(`${printable(name)}: ${key.expected}`)
    return { key, value: null }
  }
  if (typeof value !== 'string')
    throw new UnfitChange(`${printable(name)}: expected a text or null`)
  const checked = checkAssignment(registry, name, value)
  if (checked.ok) return checked
  throw new UnfitChange(`${printable(name)}: ${checked.expected}`)
}

/** The canonical key, if the console may set it. */
function keyOf(registry: Registry, name: string): string | Extract<Checked, { ok: false }> {
  const key = canonicalKey(name)
  if (isPattern(name) || !declarationOf(registry, key)) return unknown(name)
  const problem = namePartProblem(key) ?? lockOf(key)
  return problem === undefined ? key : { ok: false, expected: problem }
}

function unknown(name: string): Extract<Checked, { ok: false }> {
  return {
    ok: false,
    expected: `"${printable(name.slice(0, 200))}" is not a variable of this package`,
  }
}
