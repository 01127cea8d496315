/**
 * Which files an `<<include PATH>>` means, and reading them.
 *
 * A relative path is resolved against the current directory, then against the folder of the main
 * file if that was given as an absolute path. Every file is read once; a second include is a warning and skipped.
 * Our extension to the dialect: `*` and `?` in the last component match file names, sorted; no match
 * is not a mistake. A file of exactly that name takes precedence. Such a path is only looked for beside
 * the main file: where an administrator happens to be, `conf.d/*.conf` may be Dovecot's.
 *
 * Bounded: 1 MiB a file, 16 MiB in all, 1000 files, 16 levels. Decoding is the caller's: `read`
 * returns text; what editors of other systems add to it is removed here.
 */

import { basename, dirname, isAbsolute, join, normalize } from 'node:path'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import { excerpt } from '../text/excerpt.ts'
import { plainText } from '../text/plain-text.ts'

export interface ConfigIo {
  /** The text of a file. Throws; a `code` of ENOENT, ENOTDIR or EISDIR is understood. */
  read(path: string): string
  /** The names in a directory, in any order. Throws as `read` does. */
  list(directory: string): readonly string[]
}

export interface Source {
  readonly file: string
  readonly text: string
}

const FILE_BYTES = 1024 * 1024
const TOTAL_BYTES = 16 * FILE_BYTES
const FILE_COUNT = 1000
const INCLUDE_DEPTH = 16
/** How much of a path a message shows. */
const PATH_LENGTH = 300

/** Opens the files of one configuration and reports those that cannot be opened. */
export class Opener {
  /** In the order they were opened. */
  readonly files: string[] = []
  readonly #main: string
  readonly #io: ConfigIo
  readonly #report: (problem: Problem) => void
  readonly #seen = new Set<string>()
  /** Where relative paths are looked for. */
  readonly #bases: readonly string[]
  #bytesRead = 0
  #full = false

  constructor(main: string, io: ConfigIo, report: (problem: Problem) => void) {
    this.#main = main
    this.#io = io
    this.#report = report
    this.#bases = isAbsolute(main) ? ['', dirname(main)] : ['']
  }

  #fail(place: Place, message: string): undefined {
    this.#report({ severity: 'fatal', place, message })
  }

  /** The file's text; 'missing' if there is no such file; undefined if a problem was reported. */
  #open(file: string, place: Place, ifDirectory?: Problem['severity'], isLast = true) {
    const key = normalize(file)
    if (this.#seen.has(key)) {
      const message = `"${excerpt(file, PATH_LENGTH)}" has already been read and is skipped here: a file is read only once`
      this.#report({ severity: 'warning', place, message })
      return undefined
    }
    if (this.#full) return undefined
    if (this.files.length >= FILE_COUNT) {
      this.#full = true
      return this.#fail(
        place,
        `more than ${FILE_COUNT} files: this one and all after it are ignored`,
      )
    }
    let text: string
    try {
      text = this.#io.read(file)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing'
      // The current directory may be unreadable for the daemon: try the next candidate.
      if (code === 'EACCES' && !isLast) return 'missing'
      const reason = code === 'EISDIR' ? 'it is a directory, expected a file' : reasonOf(error)
      this.#report({
        severity: code === 'EISDIR' ? (ifDirectory ?? 'fatal') : 'fatal',
        place,
        message: `cannot read "${excerpt(file, PATH_LENGTH)}": ${reason}`,
      })
      return undefined
    }
    this.#seen.add(key)
    this.files.push(file)
    const bytes = Buffer.byteLength(text)
    if (bytes > FILE_BYTES)
      return this.#fail(
        place,
        `"${excerpt(file, PATH_LENGTH)}" is larger than 1 MiB, the most a file may be`,
      )
    this.#bytesRead += bytes
    if (this.#bytesRead > TOTAL_BYTES) {
      this.#full = true
      return this.#fail(
        place,
        'more than 16 MiB of configuration: this file and all after it are ignored',
      )
    }
    return { file, text: plainText(text) } satisfies Source
  }

  openMain(): Source | undefined {
    const place = { file: this.#main, line: 1, column: 1 }
    const source = this.#open(this.#main, place)
    return source === 'missing' ? this.#fail(place, 'no such file') : source
  }

  openIncluded(path: string, place: Place, depth: number): Source[] {
    if (depth > INCLUDE_DEPTH) {
      this.#fail(
        place,
        `"${excerpt(path, PATH_LENGTH)}" is included ${depth} files deep; at most ${INCLUDE_DEPTH} are allowed`,
      )
      return []
    }
    const isPattern = /[*?]/.test(path)
    const bases = isPattern ? this.#bases.slice(-1) : this.#bases
    const candidates = isAbsolute(path) ? [path] : bases.map(base => join(base, path))
    for (const candidate of candidates) {
      const source = this.#open(candidate, place, undefined, candidate === candidates.at(-1))
      if (source !== 'missing') return source ? [source] : []
    }
    if (isPattern) return this.#openMatching(candidates[0] ?? path, place)
    this.#fail(place, this.#missing(path, candidates))
    return []
  }

  #openMatching(pattern: string, place: Place): Source[] {
    const directory = dirname(pattern)
    if (/[*?]/.test(directory)) {
      this.#fail(
        place,
        `"*" and "?" are allowed only in the last part of a path, not in "${excerpt(directory, PATH_LENGTH)}"`,
      )
      return []
    }
    return this.#list(directory, place)
      .filter(name => matchesName(name, basename(pattern)))
      .sort()
      .map(name => this.#openListed(join(directory, name), place))
      .filter(source => source !== undefined)
  }

  /** A listed name that cannot be found is a dangling symbolic link. */
  #openListed(file: string, place: Place): Source | undefined {
    const source = this.#open(file, place, 'warning')
    if (source !== 'missing') return source
    const message = `"${excerpt(file, PATH_LENGTH)}" is a dangling symbolic link; it is ignored`
    this.#report({ severity: 'warning', place, message })
    return undefined
  }

  /** Empty if there is no such directory. */
  #list(directory: string, place: Place): readonly string[] {
    try {
      return this.#io.list(directory)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return []
      this.#fail(place, `cannot list "${excerpt(directory, PATH_LENGTH)}": ${reasonOf(error)}`)
      return []
    }
  }

  #missing(path: string, candidates: readonly string[]): string {
    const message = `cannot include "${excerpt(path, PATH_LENGTH)}": no such file${
      candidates.length > 1
        ? `, neither here nor as "${excerpt(candidates.at(-1) ?? '', PATH_LENGTH)}"`
        : ''
    }`
    if (/^(["']).*\1$/.test(path)) return `${message}; write the path without quotes`
    if (path.trimEnd() !== path) return `${message}; the space before ">>" is part of the path`
    if (basename(path).length > 255) return message
    for (const candidate of candidates) {
      try {
        const nearest = nearestName(basename(candidate), this.#io.list(dirname(candidate)))
        if (nearest !== undefined)
          return `${message}; did you mean "${join(dirname(path), nearest)}"?`
      } catch {
        // Only the hint is lost; the missing file is reported anyway.
      }
    }
    return message
  }
}

/** `*` any characters, `?` one; a leading dot must be written out. Linear but for one step back. */
export function matchesName(name: string, pattern: string): boolean {
  if (name.startsWith('.') && !pattern.startsWith('.')) return false
  let at = 0
  let star = -1
  let resume = 0
  for (let i = 0; i < name.length; ) {
    if (pattern[at] === '*') {
      star = at++
      resume = i
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[i])) {
      at++
      i++
    } else if (star >= 0) {
      at = star + 1
      i = ++resume
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

function reasonOf(error: unknown): string {
  if (codeOf(error) === 'EACCES') return 'permission denied'
  return excerpt(error instanceof Error ? error.message : String(error), PATH_LENGTH)
}
