/**
 * Which files an `<<include PATH>>` means, and reading them.
 *
 * A relative path is looked for from the current directory, then beside the main file if that was
 * given as an absolute path. Every file is read once; a second include is a warning and skipped.
 * Our extension to the dialect: `*` and `?` in the last component stand for any file names that
 * match, sorted; no match is nothing wrong. A file that exists under the literal name wins.
 *
 * Bounded: 1 MiB a file, 16 MiB in all, 1000 files, 16 levels. Decoding is the caller's: `read`
 * returns text, and only a byte order mark is taken off here.
 */

import { basename, dirname, isAbsolute, join, normalize } from 'node:path'
import { excerpt } from '../policy/excerpt.ts'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'

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

const fileBytes = 1024 * 1024
const totalBytes = 16 * fileBytes
const fileCount = 1000
const includeDepth = 16
/** How much of a path a message shows. */
const pathLength = 300

/** Opens the files of one configuration; what cannot be opened goes to `report`. */
export function createOpener(main: string, io: ConfigIo, report: (problem: Problem) => void) {
  const files: string[] = []
  const seen = new Set<string>()
  const bases = isAbsolute(main) ? ['', dirname(main)] : ['']
  let bytesRead = 0
  let full = false

  function fail(place: Place, message: string): undefined {
    report({ severity: 'fatal', place, message })
  }

  /** The file's text; 'missing' if there is none of that name; undefined if reported. */
  function open(file: string, place: Place, ifDirectory?: Problem['severity'], isLast = true) {
    const key = normalize(file)
    if (seen.has(key)) {
      const message = `"${excerpt(file, pathLength)}" has been read already and is skipped here: a file is read only once`
      report({ severity: 'warning', place, message })
      return undefined
    }
    if (full) return undefined
    if (files.length >= fileCount) {
      full = true
      return fail(place, `more than ${fileCount} files: this one and all after it are not read`)
    }
    let text: string
    try {
      text = io.read(file)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return 'missing'
      // A daemon started from a directory that it may not read: the file is looked for elsewhere.
      if (code === 'EACCES' && !isLast) return 'missing'
      const reason = code === 'EISDIR' ? 'it is a directory, expected a file' : reasonOf(error)
      report({
        severity: code === 'EISDIR' ? (ifDirectory ?? 'fatal') : 'fatal',
        place,
        message: `cannot read "${excerpt(file, pathLength)}": ${reason}`,
      })
      return undefined
    }
    seen.add(key)
    files.push(file)
    const bytes = Buffer.byteLength(text)
    if (bytes > fileBytes)
      return fail(
        place,
        `"${excerpt(file, pathLength)}" is larger than 1 MiB, the most a file may be`,
      )
    bytesRead += bytes
    if (bytesRead > totalBytes) {
      full = true
      return fail(
        place,
        'more than 16 MiB of configuration: this file and all after it are not read',
      )
    }
    return { file, text: text.startsWith('\uFEFF') ? text.slice(1) : text } satisfies Source
  }

  function openMain(): Source | undefined {
    const place = { file: main, line: 1, column: 1 }
    const source = open(main, place)
    return source === 'missing' ? fail(place, 'no such file') : source
  }

  function openIncluded(path: string, place: Place, depth: number): Source[] {
    if (depth > includeDepth) {
      fail(
        place,
        `"${excerpt(path, pathLength)}" is included ${depth} files deep; at most ${includeDepth} are allowed`,
      )
      return []
    }
    const candidates = isAbsolute(path) ? [path] : bases.map(base => join(base, path))
    for (const candidate of candidates) {
      const source = open(candidate, place, undefined, candidate === candidates.at(-1))
      if (source !== 'missing') return source ? [source] : []
    }
    if (/[*?]/.test(path)) return openMatching(candidates, place)
    fail(place, missing(path, candidates))
    return []
  }

  function openMatching(patterns: readonly string[], place: Place): Source[] {
    for (const pattern of patterns) {
      const directory = dirname(pattern)
      if (/[*?]/.test(directory)) {
        fail(
          place,
          `"*" and "?" may only stand in the last part of a path, not in "${excerpt(directory, pathLength)}"`,
        )
        return []
      }
      const names = list(directory, place, pattern === patterns.at(-1))
      const matching = names.filter(name => matchesName(name, basename(pattern))).sort()
      if (matching.length === 0) continue
      return matching
        .map(name => open(join(directory, name), place, 'warning'))
        .filter(source => typeof source === 'object')
    }
    return []
  }

  /** Empty if there is no such directory. */
  function list(directory: string, place: Place, isLast: boolean): readonly string[] {
    try {
      return io.list(directory)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return []
      if (code === 'EACCES' && !isLast) return []
      fail(place, `cannot list "${excerpt(directory, pathLength)}": ${reasonOf(error)}`)
      return []
    }
  }

  function missing(path: string, candidates: readonly string[]): string {
    const message = `cannot include "${excerpt(path, pathLength)}": no such file${
      candidates.length > 1
        ? `, neither here nor as "${excerpt(candidates.at(-1) ?? '', pathLength)}"`
        : ''
    }`
    if (/^(["']).*\1$/.test(path)) return `${message}; write the path without quotes`
    if (path.trimEnd() !== path) return `${message}; the blank before ">>" belongs to the path`
    if (basename(path).length > 255) return message
    for (const candidate of candidates) {
      try {
        const nearest = nearestName(basename(candidate), io.list(dirname(candidate)))
        if (nearest !== undefined)
          return `${message}; did you mean "${join(dirname(path), nearest)}"?`
      } catch {
        // Only a hint is lost; that the file is missing is said anyway.
      }
    }
    return message
  }

  return { files, openMain, openIncluded }
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
  return excerpt(error instanceof Error ? error.message : String(error), pathLength)
}
