/**
 * Copies what a configuration names, as root, out of folders and into folders that are not root's
 * alone. What has been made is remembered, so that it can be undone.
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
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import type { Paths } from '../assembly/paths.ts'
import { daemonUser } from '../system/daemon-user.ts'
import { describeError } from '../system/errors.ts'
import { linkTarget } from '../system/link-target.ts'
import { makeFolder } from '../system/made-folder.ts'
import { replaceFile } from '../system/replace-file.ts'
import { copySqlite, sqliteTables } from '../system/sqlite-copy.ts'
import type { Mention } from './inventory.ts'
import { below, CONFIG_FOLDER, isInside, keptFolder, STATE_FOLDER } from './original.ts'

export interface CopiedFile {
  readonly from: string
  readonly to: string
  /** Rows of its acct_* tables; undefined for what is not a database. */
  readonly counters: number | undefined
}

/** Undoes its steps, the last one first. */
export class Undo {
  readonly #steps: (() => void)[] = []

  push(step: () => void): void {
    this.#steps.push(step)
  }

  run(): void {
    for (const step of this.#steps.splice(0).toReversed()) step()
  }
}

/** Makes a folder and those above it. Undone, those that are empty are removed again. */
export function folderFor(
  folder: string,
  undo: Undo,
  make: () => unknown = () => makeFolder(folder),
): void {
  const missing: string[] = []
  for (let path = folder; !existsSync(path); path = dirname(path)) missing.unshift(path)
  for (const path of missing) undo.push(() => removeIfEmpty(path))
  make()
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // Somebody else has put something there, or it was never made.
  }
}

/** Copies every file that is named and would go with the original, or in which it counts. */
export function copyNamed(
  paths: Paths,
  mentions: readonly Mention[],
  isConfiguration: (path: string) => boolean,
  undo: Undo,
): CopiedFile[] {
  const folders = [CONFIG_FOLDER, STATE_FOLDER].map(folder => below(paths, folder))
  const files: CopiedFile[] = []
  for (const from of new Set(mentions.map(({ path }) => path))) {
    const path = below(paths, from)
    if (isConfiguration(path) || !existsSync(path) || !statSync(path).isFile()) continue
    // What the original's own user could have pointed anywhere is not read by root.
    const { uid } = lstatSync(path)
    if (uid !== statSync(path).uid) continue
    const folder = folders.find(one => isInside(one, path))
    if (isDatabase(path)) {
      if (folder === undefined && sumOfCounters(sqliteTables(path)) === undefined) continue
      const to = join(paths.state, basename(path))
      files.push({ from, to, counters: copyDatabase(paths, path, to, undo) })
    } else if (folder !== undefined) {
      const to = join(keptFolder(paths), relative(folder, path))
      put(to, readFileSync(path), path, paths, undo)
      files.push({ from, to, counters: undefined })
    }
  }
  return files
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
 * The state folder, which exists, is the daemon's, and we are root: the copy is made in a folder of our own within it and
 * linked into place, so that nothing that lies there already is followed or overwritten.
 */
function copyDatabase(paths: Paths, path: string, to: string, undo: Undo): number {
  const { uid, gid } = daemonUser(paths.root) ?? statSync(paths.state)
  const folder = mkdtempSync(join(paths.state, '.takeover-'))
  try {
    const copy = join(folder, 'copy')
    const tables = copySqlite(path, copy)
    handOver(copy, uid, gid)
    linkSync(copy, to)
    undo.push(() => rmSync(to, { force: true }))
    return sumOfCounters(tables) ?? 0
  } catch (error) {
    throw new Error(`${path} cannot be copied to ${to}: ${describeError(error)}`, { cause: error })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The owner of the folder around ours could have exchanged what is in it: no link is followed. */
function handOver(file: string, uid: number, gid: number): void {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { uid: owner, nlink } = fstatSync(fd)
    if (owner !== process.geteuid?.() || nlink !== 1)
      throw new Error(`${file} is no longer the file that was just written`)
    fchownSync(fd, uid, gid)
    fchmodSync(fd, 0o640)
  } finally {
    closeSync(fd)
  }
}

/**
 * Replaces a file whole. Who may read it: everybody, if everybody could read the original; otherwise
 * the daemon's group. Undone, it is what it was before.
 */
export function put(
  name: string,
  content: string | Buffer,
  original: string,
  paths: Paths,
  undo: Undo,
): void {
  folderFor(dirname(name), undo)
  const to = linkTarget(name)
  const isOpen = (statSync(original).mode & 0o004) !== 0
  const uid = process.geteuid?.() ?? 0
  const gid = daemonUser(paths.root)?.gid ?? statSync(paths.state).gid
  remember(to, undo)
  replaceFile(to, content, {
    mode: isOpen ? 0o644 : 0o640,
    owner: isOpen ? undefined : { uid, gid },
    sync: 'nothing',
    temporary: `${to}.new`,
    mountPoint: 'fail',
  })
}

/** Whatever is there, so that it can be put back. */
function remember(file: string, undo: Undo): void {
  if (!existsSync(file)) {
    undo.push(() => rmSync(file, { force: true }))
    return
  }
  const { mode, uid, gid } = statSync(file)
  const before = readFileSync(file)
  undo.push(() => {
    writeFileSync(file, before)
    chownSync(file, uid, gid)
    chmodSync(file, mode & 0o7777)
  })
}
