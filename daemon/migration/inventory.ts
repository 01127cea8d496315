/**
 * What a configuration of mtpolicyd names: files, databases, includes, files it writes itself, and
 * where it listens; each with the place where it is written.
 *
 * Read from the parsed tree. A path in a comment names nothing.
 */

import type { Include } from '../config/lexer.ts'
import type { Parsed } from '../config/parser.ts'
import type { Block, Entry, Option } from '../config/tree.ts'
import { type Endpoint, parseEndpoints } from '../net/endpoint.ts'
import type { Place } from '../policy/problem.ts'
import { CONFIG_FOLDER, STATE_FOLDER } from './original.ts'

/** A path as it is written, somewhere between two places of a file. */
export interface Mention {
  /** database: of a data source of SQLite; what a file is otherwise, only its content tells. */
  readonly kind: 'database' | 'file'
  readonly path: string
  readonly from: Place
  /** Undefined: the end of the file. */
  readonly until: Place | undefined
}

export interface Inventory {
  /** In the order of the files. */
  readonly mentions: readonly Mention[]
  readonly includes: readonly Include[]
  /** Options that make the original write files where our unit does not let the daemon write. */
  readonly ownFiles: readonly Option[]
  /** Where Postfix may be querying the original. */
  readonly endpoints: readonly Endpoint[]
}

/** Its process id and its log; `log_file = Sys::Syslog` is not a file. */
const OWN_FILES = ['pid_file', 'log_file']

export function takeInventory({ root, includes }: Parsed): Inventory {
  const entries = entriesOf(root)
  return {
    mentions: entries.flatMap((entry, at) => {
      return entry.kind === 'option' ? mentionsIn(entry, nextIn(entries, at)) : []
    }),
    includes,
    ownFiles: root.options.filter(
      ({ name, value }) => OWN_FILES.includes(name) && value?.includes('Sys::Syslog') !== true,
    ),
    endpoints: endpointsOf(root.options),
  }
}

/** Each block before what is in it. */
function entriesOf({ entries }: Block): Entry[] {
  return entries.flatMap(entry => (entry.kind === 'block' ? [entry, ...entriesOf(entry)] : [entry]))
}

function nextIn(entries: readonly Entry[], at: number): Place | undefined {
  const file = entries[at]?.place.file
  return entries.slice(at + 1).find(({ place }) => place.file === file)?.place
}

function mentionsIn({ value = '', valuePlace }: Option, until: Place | undefined): Mention[] {
  const database = sqliteFile(value)
  if (database !== undefined) return [{ kind: 'database', path: database, from: valuePlace, until }]
  return pathsIn(value).map(path => ({ kind: 'file', path, from: valuePlace, until }))
}

/** The file of `dbi:SQLite:dbname=/PATH;...` or `dbi:SQLite:/PATH`. */
function sqliteFile(value: string): string | undefined {
  const prefix = 'dbi:sqlite:'
  if (!value.toLowerCase().startsWith(prefix)) return undefined
  const parts = value.slice(prefix.length).split(';')
  for (const part of parts) {
    const [name = '', ...rest] = part.split('=')
    const path = rest.length === 0 ? name : rest.join('=')
    const isPath = rest.length === 0 || ['dbname', 'database', 'db'].includes(name.trim())
    if (isPath && path.trim().startsWith('/')) return path.trim()
  }
  return undefined
}

/** Paths below the two folders of the original, also those of a moved root. */
function pathsIn(value: string): string[] {
  return value.split(/[\s"';,<>|]+/).flatMap(word => {
    const start = word.indexOf('/')
    const path = start < 0 ? '' : word.slice(start)
    const isOurs = [CONFIG_FOLDER, STATE_FOLDER].some(folder => path.includes(`${folder}/`))
    return isOurs ? [path] : []
  })
}

function endpointsOf(options: readonly Option[]): readonly Endpoint[] {
  const value = (name: string): string | undefined =>
    options.find(option => option.name === name)?.value
  const endpoints = parseEndpoints(value('port') ?? '127.0.0.1:12345', value('host') ?? '127.0.0.1')
  return 'mistake' in endpoints ? [] : endpoints
}
