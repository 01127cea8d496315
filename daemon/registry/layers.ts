/**
 * The files of the registry: one per layer, `key: value` per line, as UCR writes them.
 *
 * A save is the backup first, then the file, each written beside, synced and renamed: whenever a
 * process dies, one of the two is whole. A file of fewer than two lines was cut off and is read from
 * its backup. There is no escaping in this format: line breaks vanish from values, blanks around
 * them are lost at the next read, and lines that are no `key: value` are gone after the next save.
 * This file knows nothing of types, locks or templates.
 */

import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

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
  for (const line of text.split(/\r?\n/)) {
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
  const lines = readText(file)?.split(/\r?\n/) ?? []
  return Math.max(1, lines.findLastIndex(line => parseLine(line)?.key === key) + 1)
}

export function formatLayer(values: Values): string {
  const lines = [...values]
    .sort(([a], [b]) => byCodePoint(a, b))
    .map(([key, value]) => `${key}: ${value.replace(/[\r\n]/g, '')}`)
  return `# univention_ base.conf\n\n${lines.join('\n')}`
}

/** Strings compare by UTF-16 unit in JavaScript; UCR sorts by code point, which is UTF-8's order. */
export function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

export interface LayerText {
  readonly values: Map<string, string>
  /** The file was cut off and these values come from its backup. */
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

/** Undefined if it is not there. Throws the system's errors, and for a pipe, which would be waited for. */
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
  // Unlike UCR's, the backup is as secret as its file: values may hold passwords.
  replaceFile(`${file}.bak`, text, { temporary: `${file}.bak.temp`, model, now })
  replaceFile(file, text, { temporary: `${file}.temp`, model, now })
}

/** UCR has empty files for all layers from the first use on. */
export function createLayers(files: readonly LayerFile[]): void {
  for (const { file } of files) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 })
    closeSync(openSync(file, 'a', 0o644))
  }
}

interface Replacement {
  readonly temporary: string
  /** Owner and mode are taken from here. */
  readonly model: Stats | undefined
  readonly now: () => Date
}

/** Whole or not at all: written beside, synced, renamed. */
export function replaceFile(file: string, text: string, how: Replacement): void {
  const { temporary, model, now } = how
  writeAnew(temporary, text, model)
  try {
    renameSync(temporary, file)
  } catch (error) {
    if (isErrno(error, 'EBUSY')) {
      // A bind mount cannot be renamed over; the backup is whole while we write in place.
      writeSynced(file, text, model, 'w')
    } else if (isErrno(error, 'ENOENT')) {
      // A writer that does not know our lock took the temporary file: nothing may be lost.
      writeAnew(`${file}.concurrent_${now().getTime() / 1000}`, text, model)
    } else {
      throw error
    }
  }
  syncDirectory(dirname(file))
}

/** Not into what lies there: it may be a link to something else. */
export function writeAnew(file: string, text: string, model: Stats | undefined): void {
  rmSync(file, { force: true })
  writeSynced(file, text, model, 'wx')
}

function writeSynced(file: string, text: string, model: Stats | undefined, how: 'w' | 'wx'): void {
  const descriptor = openSync(file, how, model === undefined ? 0o644 : model.mode & 0o777)
  try {
    if (model !== undefined) {
      fchmodSync(descriptor, model.mode & 0o7777)
      const own = process.geteuid?.() === model.uid && process.getegid?.() === model.gid
      if (!own) fchownSync(descriptor, model.uid, model.gid)
    }
    writeFileSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

export function statIfThere(file: string): Stats | undefined {
  return statSync(file, { throwIfNoEntry: false })
}

export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
