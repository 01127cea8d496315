/**
 * Takes over what Debian's mtpolicyd leaves behind: its configuration and its counters.
 *
 * Everything is copied, so that nothing is missed when that package is purged; the original files
 * are never changed. The copy of the configuration names the copies: databases below
 * /var/lib/mtpolicyd, other databases with acct_* tables, and files of /etc/mtpolicyd. Our own loader
 * judges it. What it would refuse is kept beside and not used; a policy that lost a part on the
 * way protects nobody. The file beside is also the record: what has been taken over once is
 * never taken over again.
 */

import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { configFiles } from '../config/files.ts'
import { parseConfig } from '../config/parser.ts'
import type { Paths } from '../paths.ts'
import { describeError } from '../policy/errors.ts'
import type { Problem } from '../policy/problem.ts'
import { copySqlite, sqliteTables } from '../store/sqlite-copy.ts'
import { type Endpoint, parseEndpoints } from '../wire/endpoint.ts'

/** Where Debian's mtpolicyd has its things; both go when it is purged. */
const CONFIG_FOLDER = '/etc/mtpolicyd'
const STATE_FOLDER = '/var/lib/mtpolicyd'
const CONFIG = `${CONFIG_FOLDER}/mtpolicyd.conf`

const NOTE = `# Copied from ${CONFIG} when univention-mtpolicyd was installed.
# Use it and the host variables rest; mtpolicyctl commit --force-template goes over to them.
`

export interface CopiedFile {
  readonly from: string
  readonly to: string
  /** Rows of its acct_* tables; undefined for what is no database. */
  readonly counters: number | undefined
}

export interface Takeover {
  /**
   * none: there is nothing; before: it was done at another time; used: the copy is the
   * configuration now; unchanged: nobody ever wrote the original; unusable: see `problems`;
   * own: there is a hand-written configuration already.
   */
  readonly outcome: 'none' | 'before' | 'used' | 'unchanged' | 'unusable' | 'own'
  readonly from: string
  /** The copy with its paths rewritten. */
  readonly kept: string
  readonly files: readonly CopiedFile[]
  readonly problems: readonly Problem[]
  /** Where Postfix may be asking the original. */
  readonly endpoints: readonly Endpoint[]
}

export interface TakeoverOptions {
  readonly paths: Paths
  /** Has the configuration, whose text this is, been changed since its package brought it? */
  isChanged(text: string): Promise<boolean>
  /** What our loader says of a text as if it stood in the file. */
  check(file: string, text: string): Promise<readonly Problem[]>
  /** Is this text of our configuration one that we rendered? */
  isGenerated(text: string): boolean
}

/** Throws if something cannot be read or written; then nothing is in use that was not before. */
export async function takeOver(options: TakeoverOptions): Promise<Takeover> {
  const { paths } = options
  const from = below(paths, CONFIG)
  const kept = `${paths.config}.from-mtpolicyd`
  const nothing = { from, kept, files: [], problems: [], endpoints: [] }
  if (existsSync(kept)) return { ...nothing, outcome: 'before' }
  if (!existsSync(from)) return { ...nothing, outcome: 'none' }

  const original = readFileSync(from, 'utf8')
  const parsed = parseConfig(from, configFiles)
  const texts = new Map(parsed.files.map(file => [file, readFileSync(file, 'utf8')]))
  texts.set(from, original)

  const files: CopiedFile[] = []
  try {
    mkdirSync(dirname(kept), { recursive: true, mode: 0o755 })
    mkdirSync(paths.state, { recursive: true, mode: 0o750 })
    copyFiles(paths, texts, files)
    const rewrite = rewriter(paths, from, files)
    for (const [file, text] of texts) {
      if (file !== from && isInside(dirname(from), file)) {
        put(join(keptFolder(paths), relative(dirname(from), file)), rewrite(text), file, paths)
      }
    }
    const text = NOTE + rewrite(original)
    const problems = await options.check(kept, text)
    const endpoints = endpointsOf(parsed.root.options)
    const outcome = !(await options.isChanged(original))
      ? 'unchanged'
      : problems.some(({ severity }) => severity !== 'warning') || hasSocket(endpoints)
        ? 'unusable'
        : hasOwnConfiguration(options)
          ? 'own'
          : 'used'
    if (outcome === 'used') put(paths.config, text, from, paths)
    // Last: from here on it has been done.
    put(kept, text, from, paths)
    return { outcome, from, kept, files, problems, endpoints }
  } catch (error) {
    // So that it can be tried again.
    for (const { to } of files) rmSync(to, { force: true })
    throw error
  }
}

function hasOwnConfiguration({ paths, isGenerated }: TakeoverOptions): boolean {
  return existsSync(paths.config) && !isGenerated(readFileSync(paths.config, 'utf8'))
}

/** Sockets of the original lie where the daemon's unit may not write. */
function hasSocket(endpoints: readonly Endpoint[]): boolean {
  return endpoints.some(({ kind }) => kind === 'unix')
}

function below(paths: Paths, path: string): string {
  return isInside(paths.root, path) && paths.root !== '/' ? path : join(paths.root, path)
}

function isInside(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

const keptFolder = (paths: Paths): string => join(dirname(paths.config), 'from-mtpolicyd')

function endpointsOf(
  options: readonly { readonly name: string; readonly value: string | undefined }[],
): readonly Endpoint[] {
  const value = (name: string): string | undefined =>
    options.find(option => option.name === name)?.value
  const endpoints = parseEndpoints(value('port') ?? '127.0.0.1:12345', value('host') ?? '127.0.0.1')
  return 'mistake' in endpoints ? [] : endpoints
}

/** Copies every file that a text names and that would go with the original, or that it counts in. */
function copyFiles(paths: Paths, texts: ReadonlyMap<string, string>, files: CopiedFile[]): void {
  const folders = [CONFIG_FOLDER, STATE_FOLDER].map(folder => below(paths, folder))
  const named = new Set([...texts.values()].flatMap(text => [...filesNamed(text)]))
  for (const from of named) {
    const path = below(paths, from)
    if (texts.has(path) || !existsSync(path) || !statSync(path).isFile()) continue
    // What the original's own user could have pointed anywhere is not read by root.
    const { uid } = lstatSync(path)
    if (uid !== statSync(path).uid) continue
    const folder = folders.find(one => isInside(one, path))
    if (isDatabase(path)) {
      if (folder === undefined && sumOfCounters(sqliteTables(path)) === undefined) continue
      const to = join(paths.state, basename(path))
      files.push({ from, to, counters: copyDatabase(paths, path, to) })
    } else if (folder !== undefined) {
      const to = join(keptFolder(paths), relative(folder, path))
      put(to, readFileSync(path), path, paths)
      files.push({ from, to, counters: undefined })
    }
  }
}

/** Paths in the two folders, and the files of SQLite's data source names. */
function* filesNamed(text: string): Generator<string> {
  const inFolders = /(?:\/[\w./-]*)?(?:\/etc|\/var\/lib)\/mtpolicyd\/[^\s"';,<>|]+/g
  for (const [path] of text.matchAll(inFolders)) yield path
  const sources = /dbi:SQLite:(?:[^"\n]*?\b(?:dbname|database|db)\s*=\s*)?(\/[^;"'\s]+)/gi
  for (const [, path] of text.matchAll(sources)) if (path !== undefined) yield path
}

/** An empty file counts as one: Debian's package begins with it. */
function isDatabase(path: string): boolean {
  const fd = openSync(path, 'r')
  try {
    const head = Buffer.alloc(16)
    const length = readSync(fd, head)
    const isEmpty = length === 0 && /\.(?:sqlite3?|db)$/.test(path)
    return isEmpty || head.toString('latin1') === 'SQLite format 3\0'
  } finally {
    closeSync(fd)
  }
}

/** Undefined: there are no such tables. */
function sumOfCounters(tables: ReturnType<typeof sqliteTables>): number | undefined {
  const counters = tables.filter(({ name }) => name.startsWith('acct_'))
  if (counters.length === 0) return undefined
  return counters.reduce((sum, { rows }) => sum + rows, 0)
}

/**
 * The folder is the daemon's, and we are root: the copy is made in a folder of our own within it and
 * linked into place, so that nothing which lies there already is followed or overwritten.
 */
function copyDatabase(paths: Paths, path: string, to: string): number {
  const { uid, gid } = statSync(paths.state)
  const folder = mkdtempSync(join(paths.state, '.takeover-'))
  try {
    const copy = join(folder, 'copy')
    const tables = copySqlite(path, copy)
    handOver(copy, uid, gid)
    linkSync(copy, to)
    return sumOfCounters(tables) ?? 0
  } catch (error) {
    throw new Error(`${path} cannot be copied to ${to}: ${describeError(error)}`, { cause: error })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Whose the folder around ours is could have exchanged what is in it: no link is followed. */
function handOver(file: string, uid: number, gid: number): void {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { uid: owner, nlink } = fstatSync(fd)
    if (owner !== process.geteuid?.() || nlink !== 1)
      throw new Error(`${file} is not ours any more`)
    fchownSync(fd, uid, gid)
    fchmodSync(fd, 0o640)
  } finally {
    closeSync(fd)
  }
}

/** Who reads a copy: everybody, if everybody might read the original; else the daemon's group. */
function put(to: string, content: string | Buffer, original: string, paths: Paths): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 })
  const staged = `${to}.new`
  rmSync(staged, { force: true })
  try {
    writeFileSync(staged, content, { flag: 'wx', mode: 0o600 })
    const isOpen = (statSync(original).mode & 0o004) !== 0
    if (!isOpen) chownSync(staged, statSync(staged).uid, statSync(paths.state).gid)
    chmodSync(staged, isOpen ? 0o644 : 0o640)
    renameSync(staged, to)
  } catch (error) {
    rmSync(staged, { force: true })
    throw error
  }
}

/** The text with the copies' paths, and without what this daemon's unit would not let it write. */
function rewriter(
  paths: Paths,
  from: string,
  files: readonly CopiedFile[],
): (text: string) => string {
  const longestFirst = files.toSorted((a, b) => b.from.length - a.from.length)
  const folder = keptFolder(paths)
  const included = (_: string, before: string, path: string): string =>
    before + (isInside(dirname(from), path) ? join(folder, relative(dirname(from), path)) : path)
  return text => {
    let result = text
      .replace(
        /^([ \t]*<<include[ \t]+)(.+?)(?=[ \t]*>>[ \t]*$)/gim,
        (all, before, path: string) =>
          path.startsWith('/')
            ? included(all, before, below(paths, path))
            : `${before}${join(folder, path)}`,
      )
      .replace(/^[ \t]*(?:pid_file|log_file)\b(?!.*Sys::Syslog).*$/gim, '#$&')
    for (const { from, to } of longestFirst) {
      result = result.replace(
        new RegExp(`(?<![\\w./-])${literally(from)}(?![\\w./-])`, 'g'),
        () => to,
      )
    }
    return result
  }
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
