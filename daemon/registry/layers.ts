/**
 * The files of the registry: one per layer, `key: value` per line, as UCR writes them.
 *
 * A save writes the backup first, then the file, each to a temporary file that is synced and
 * renamed: whenever a process dies, one of the two is intact. A file of fewer than two lines was
 * truncated and is read from its backup. The format has no escaping: line breaks are removed from
 * values, surrounding spaces are lost at the next read, and lines that are not `key: value` are
 * dropped by the next save. This file knows nothing about types, locks or templates.
 */

import { readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { linkTarget } from '../system/link-target.ts'
import { makeFolder } from '../system/made-folder.ts'
import {
  createFile,
  type FileOptions,
  replaceFile as replaceWhole,
  writeAnew,
} from '../system/replace-file.ts'
import { syncFolder } from '../system/sync-folder.ts'
import { plainText } from '../text/plain-text.ts'

export type Scope = 'default' | 'normal' | 'ldap' | 'schedule' | 'forced' | 'custom'

/** Later ones win. */
export const LAYER_FILES: ReadonlyArray<readonly [scope: Scope, name: string]> = [
  ['default', 'base-defaults.conf'],
  ['normal', 'base.conf'],
  ['ldap', 'base-ldap.conf'],
  ['schedule', 'base-schedule.conf'],
  ['forced', 'base-forced.conf'],
]

export interface LayerFile {
  readonly scope: Scope
  readonly file: string
}

export type Values = ReadonlyMap<string, string>

/** The five layers below a directory, or the single custom file that replaces them all. */
export function layerFiles(directory: string, customFile: string | undefined): LayerFile[] {
  if (customFile !== undefined && customFile !== '') return [{ scope: 'custom', file: customFile }]
  return LAYER_FILES.map(([scope, name]) => ({ scope, file: join(directory, name) }))
}

export function parseLayer(text: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const line of plainText(text).split('\n')) {
    const entry = parseLine(line)
    if (entry !== undefined) values.set(entry.key, entry.value)
  }
  return values
}

function parseLine(line: string): { key: string; value: string } | undefined {
  const hash = line.indexOf('#')
  if (hash >= 0 && hash < line.indexOf(':')) return undefined
  const split = line.indexOf(': ')
  return split < 0 ? undefined : { key: line.slice(0, split), value: line.slice(split + 2).trim() }
}

/** Where a variable stands in a layer file, for messages. */
export function lineOf(file: string, key: string): number {
  const lines = plainText(readText(file) ?? '').split('\n')
  return Math.max(1, lines.findLastIndex(line => parseLine(line)?.key === key) + 1)
}

export function formatLayer(values: Values): string {
  const lines = [...values]
    .sort(([a], [b]) => byCodePoint(a, b))
    .map(([key, value]) => `${key}: ${value.replace(/[\r\n]/g, '')}`)
  return `# univention_ base.conf\n\n${lines.join('\n')}`
}

/** JavaScript compares strings by UTF-16 unit; UCR sorts by code point, which is UTF-8's order. */
export function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

export interface LayerText {
  readonly values: Map<string, string>
  /** The file was truncated and these values come from its backup. */
  readonly recovered: boolean
}

export function readLayer(file: string): LayerText {
  const text = readText(file)
  if (text !== undefined && isWhole(text)) return { values: parseLayer(text), recovered: false }
  const backup = readText(`${file}.bak`)
  if (backup !== undefined && isWhole(backup))
    return { values: parseLayer(backup), recovered: true }
  return { values: parseLayer(text ?? ''), recovered: false }
}

function isWhole(text: string): boolean {
  return text.split('\n').length > 2
}

/**
 * Undefined if there is no such file. Throws the system's errors, and for a pipe, which would
 * block.
 */
export function readText(file: string): string | undefined {
  try {
    const found = statIfThere(file)
    if (found?.isFIFO()) throw new Error(`${file} is a pipe; a file is expected there`)
    if (found?.isDirectory()) throw new Error(`${file} is a directory; a file is expected there`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Stores a layer. The caller holds the lock. */
export function saveLayer(file: string, values: Values, now: () => Date): void {
  const text = formatLayer(values)
  const model = statIfThere(file)
  // Unlike UCR's, the backup is as secret as its file: values may be passwords.
  replaceFile(`${file}.bak`, text, { model, now })
  replaceFile(file, text, { model, now })
}

/** UCR has empty files for all layers from first use on. */
export function createLayers(files: readonly LayerFile[]): void {
  for (const { file } of files) {
    makeFolder(dirname(file))
    const real = linkTarget(file)
    if (statIfThere(real) === undefined) createFile(real, '', { ...like(undefined), sync: 'file' })
  }
}

interface Replacement {
  /** Owner and mode are copied from here. */
  readonly model: Stats | undefined
  readonly now: () => Date
}

/** All or nothing: written to a temporary file, synced, renamed. A link stays a link. */
export function replaceFile(name: string, text: string, { model, now }: Replacement): void {
  const file = linkTarget(name)
  try {
    replaceWhole(file, text, {
      ...like(model),
      sync: 'file and folder',
      temporary: `${file}.temp`,
      // The backup is whole in the meantime.
      mountPoint: 'write in place',
    })
  } catch (error) {
    if (!isErrno(error, 'ENOENT') || error.syscall !== 'rename') throw error
    // A writer that does not know our lock took the temporary file: nothing may be lost.
    writeLike(model, `${file}.concurrent_${now().getTime() / 1000}`, text)
    syncFolder(dirname(file))
  }
}

/** A new file with the owner and mode of the model. */
export function writeLike(model: Stats | undefined, file: string, text: string | Buffer): void {
  writeAnew(file, text, { ...like(model), sync: 'file' })
}

/** Without a model it is for everybody to read. */
function like(model: Stats | undefined): Pick<FileOptions, 'mode' | 'owner'> {
  return model === undefined ? { mode: 0o644 } : { mode: model.mode & 0o7777, owner: model }
}

export function statIfThere(file: string): Stats | undefined {
  return statSync(file, { throwIfNoEntry: false })
}

export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
