/**
 * What is known about each variable: our declarations, and description files of other packages.
 *
 * Description files (`*.cfg`) are read as UCR reads them: INI, keys in any case, `Name[lang]`, no
 * interpolation, the first description of a name wins, a section with `.*` is a pattern and the
 * longest matching pattern describes a variable. A file that cannot be read is skipped: another
 * package's mistake must not break ours.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { plainText } from '../text/plain-text.ts'
import { isPattern, patternPart, type Variable } from './variables.ts'

export interface Descriptions {
  /** In order of name, including patterns. */
  readonly all: readonly Variable[]
  /** The description of a key: its own, or that of the longest matching pattern. */
  find(key: string): Variable | undefined
  /** Only if the name itself is described. */
  exact(name: string): Variable | undefined
}

export function describe(variables: Iterable<Variable>): Descriptions {
  const byName = new Map<string, Variable>()
  for (const variable of variables) {
    if (!byName.has(variable.name)) byName.set(variable.name, variable)
  }
  const patterns = [...byName.values()]
    .filter(({ name }) => isPattern(name))
    .sort((a, b) => b.name.length - a.name.length)
  return {
    all: [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    exact: name => byName.get(name),
    find: key =>
      byName.get(key) ?? patterns.find(({ name }) => patternPart(name, key) !== undefined),
  }
}

/** All descriptions of a directory, in the order of its file names. */
export function readDescriptions(directory: string): Variable[] {
  let names: string[]
  try {
    names = readdirSync(directory).filter(name => name.endsWith('.cfg'))
  } catch {
    return []
  }
  return names.sort().flatMap(name => {
    try {
      return parseDescriptions(readFileSync(join(directory, name), 'utf8'))
    } catch {
      return []
    }
  })
}

export function parseDescriptions(text: string): Variable[] {
  const sections: Array<{ name: string; fields: Map<string, string> }> = []
  for (const line of plainText(text).split('\n')) {
    if (/^\s*([#;]|$)/.test(line)) continue
    const header = /^\[([^\]]+)\]\s*$/.exec(line)
    if (header?.[1] !== undefined) {
      sections.push({ name: header[1], fields: new Map() })
      continue
    }
    const option = /^([^=:]+?)\s*[=:]\s*(.*?)\s*$/.exec(line)
    const fields = sections.at(-1)?.fields
    if (option?.[1] !== undefined) fields?.set(option[1].toLowerCase(), option[2] ?? '')
  }
  return sections.map(({ name, fields }) => toVariable(name, fields))
}

function toVariable(name: string, fields: ReadonlyMap<string, string>): Variable {
  const en = fields.get('description[en]') ?? fields.get('description') ?? ''
  const de = fields.get('description[de]')
  const given = {
    min: fields.get('min'),
    max: fields.get('max'),
    regex: fields.get('regex'),
    elementType: fields.get('elementtype'),
    separator: fields.get('separator'),
  }
  const present = Object.entries(given).filter(([, value]) => value !== undefined && value !== '')
  return {
    name,
    type: fields.get('type') ?? 'str',
    default: fields.get('default') ?? '',
    description: de === undefined ? { en } : { en, de },
    categories: fields.get('categories') ?? '',
    ...Object.fromEntries(present),
  }
}
