/**
 * Templates as they lie on disk, and the header by which a rendered file is recognised: all that a
 * start needs if nothing has changed. Parsing and rendering templates (render.ts) takes longer.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { plainText } from '../text/plain-text.ts'
import { isErrno, type Values } from './layers.ts'
import { patternPart } from './variables.ts'

export interface TemplateFile {
  /** As in `etc/univention-mtpolicyd/mtpolicyd.conf.hbs`. */
  readonly name: string
  /** Its path on disk. */
  readonly file: string
  /** The file it renders to. */
  readonly target: string
  readonly source: string
}

/** All templates below a directory that are for this root. */
export function findTemplates(directory: string, root: string): TemplateFile[] {
  return templateNames(directory)
    .filter(name => isAtHome(name, root))
    .map(name => {
      const file = join(directory, name)
      const target = join(root, name.replace(/\.hbs$/, ''))
      return { name, file, target, source: plainText(readFileSync(file, 'utf8')) }
    })
}

const SYSTEMD = 'etc/systemd/system'

/** Files for systemd are rendered only if its directory exists. */
function isAtHome(name: string, root: string): boolean {
  return !name.startsWith(`${SYSTEMD}/`) || existsSync(join(root, SYSTEMD))
}

function templateNames(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.hbs'))
      .sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** Is the key one of the names, or an instance of one of the patterns among them? */
export function isNamed(names: Iterable<string>, key: string): boolean {
  for (const name of names) {
    if (name === key || (name.includes('.*') && patternPart(name, key) !== undefined)) return true
  }
  return false
}

const GENERATED = '# Written by mtpolicyctl from templates/'
const HEADER_LINES = 2
const CHECKSUM = '# crc32 of all that follows: '
/**
 * Increase when the same template and values render differently: existing files are then rendered
 * again.
 */
const RENDERING = 1

export function withHeader(template: TemplateFile, values: Values, body: string): string {
  return `${firstLine(template, values)}\n${CHECKSUM}${checksum(body)}\n${body}`
}

/** Is this text as we wrote it? If not, somebody has edited it and it is left alone. */
export function isGenerated(text: string): boolean {
  const [first = '', second = ''] = text.split('\n', 2)
  if (!first.startsWith(GENERATED) || !second.startsWith(CHECKSUM)) return false
  return second.slice(CHECKSUM.length) === checksum(text.slice(first.length + second.length + 2))
}

/** The text of a file with the header of another one; both are as we wrote them. */
export function withHeaderOf(other: string, text: string): string {
  const lines = text.split('\n')
  return [...other.split('\n', HEADER_LINES), ...lines.slice(HEADER_LINES)].join('\n')
}

/** Would this text, which we wrote, be the same if it were rendered now? */
export function isMadeFrom(text: string, template: TemplateFile, values: Values): boolean {
  return text.startsWith(`${firstLine(template, values)}\n`)
}

/** The names in a template are quoted. */
function firstLine({ name, source }: TemplateFile, values: Values): string {
  const names = new Set(Array.from(source.matchAll(/"([^"\n]+)"/g), ([, text = '']) => text))
  const used = [...values]
    .filter(([key]) => isNamed(names, key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const madeFrom = checksum(JSON.stringify([RENDERING, source, used]))
  return `${GENERATED}${name} (${madeFrom}); edit the variables, not this file.`
}

/**
 * This need not resist an attacker, only tell an edited file from ours: loading a SHA
 * implementation takes 5 ms and more.
 */
function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}
