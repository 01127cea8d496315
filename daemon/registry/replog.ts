/**
 * The replication log: who changed what, if `ucr/replog/enabled` is true.
 *
 * One line per changed variable, in UCR's format, so that programs that read UCR's log can read
 * ours. The date is the host's local time.
 */

import { appendFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeFolder } from '../system/made-folder.ts'
import type { Scope } from './layers.ts'
import type { Registry, Snapshot } from './registry.ts'
import { truth } from './value-types.ts'

const SCOPE_WORDS: ReadonlyMap<Scope, string> = new Map([
  ['forced', '--force '],
  ['ldap', '--ldap-policy '],
  ['schedule', '--schedule '],
])

/** `before` is the registry before the change, for the old values. */
export function recordChanges(
  registry: Registry,
  scope: Scope,
  before: Snapshot,
  changes: ReadonlyMap<string, string | undefined>,
): void {
  const isEnabled = truth(registry.snapshot().merged.get('ucr/replog/enabled'))
  if (isEnabled !== true) return
  const old = before.layers.find(layer => layer.scope === scope)?.values
  const lines = [...changes].map(([key, value]) => {
    const was = oneLine(old?.get(key) ?? '[Previously undefined]')
    const what =
      value === undefined
        ? `unset ${SCOPE_WORDS.get(scope) ?? ''}'${key}'`
        : `set ${SCOPE_WORDS.get(scope) ?? ''}${key}=${shellQuote(oneLine(value))}`
    return `${localTime(registry.now())}: ${what} old:${was}\n`
  })
  makeFolder(dirname(registry.replogFile))
  appendFileSync(registry.replogFile, lines.join(''), { mode: 0o640 })
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, '')
}

/** Like Python's shlex.quote: unquoted where that is safe, otherwise in single quotes. */
export function shellQuote(text: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text
  return `'${text.replaceAll("'", `'"'"'`)}'`
}

function localTime(date: Date): string {
  const two = (number: number) => String(number).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}
