/** How the registry's commands show variables: for people, for a shell, for programs. */

import { byCodePoint } from '../registry/layers.ts'
import { shellQuote } from '../registry/replog.ts'
import type { Variable } from '../registry/variables.ts'
import type { Host } from './host.ts'

export interface Filters {
  readonly shell: boolean
  readonly 'keys-only': boolean
  readonly json: boolean
}

export type Entry = readonly [key: string, value: string]

/** In the order of `KEY: VALUE`, which is UCR's. */
export function inOrder(entries: Iterable<Entry>): Entry[] {
  return [...entries].sort((a, b) => byCodePoint(`${a[0]}: ${a[1]}`, `${b[0]}: ${b[1]}`))
}

export function printEntries(host: Host, filters: Filters, entries: readonly Entry[]): void {
  const { shell, json, 'keys-only': isBare } = filters
  if (json) {
    const chosen = isBare ? entries.map(([key]) => key) : Object.fromEntries(entries)
    host.out(`${JSON.stringify(chosen, undefined, 2)}\n`)
    return
  }
  for (const [key, value] of entries) {
    if (shell) host.out(shellLine(key, isBare ? '' : value))
    else host.out(isBare ? `${key}\n` : `${key}: ${value}\n`)
  }
}

/** A variable for `eval "$(...)"`. */
export function shellLine(key: string, value: string): string {
  const name = key.replace(/[^A-Za-z0-9_]/gu, '_').replace(/^(?=\d)/, '_')
  return `${name}=${value === '' ? "''" : shellQuote(value)}\n`
}

/** In German where the locale is German, as UCR does. */
export function descriptionOf({ env }: Host, variable: Variable | undefined): string {
  const language = env.LC_ALL || env.LC_MESSAGES || env.LANG || ''
  const { en = '', de } = variable?.description ?? {}
  return language.startsWith('de') ? (de ?? en) : en
}
