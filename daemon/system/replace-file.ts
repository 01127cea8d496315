/**
 * Writing a file whole or not at all: beside its place first, then renamed into it. Readers see the old
 * file or the new one.
 *
 * Nothing that lies at either name is written into, so a link that somebody planted there leads nowhere:
 * the new file takes its place. To keep a link a link, the caller gives the path behind it (linkTarget,
 * realpath); which links may be followed depends on the place.
 */

import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { syncFolder } from './sync-folder.ts'

export interface FileOptions {
  /** Permission bits, whatever the umask is. */
  readonly mode: number
  /** The owner of the new file; undefined: the user of this process. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
  /**
   * What is on the disk before this returns. nothing: what can be made again, such as a copy. file: what
   * must be whole after a power failure. file and folder: and must be the new one.
   */
  readonly sync: 'nothing' | 'file' | 'file and folder'
}

export interface ReplaceOptions extends FileOptions {
  /** Beside the file; what has this name is removed. */
  readonly temporary: string
  /** A file that is a mount point of its own, as in containers, cannot be renamed over (EBUSY). */
  readonly mountPoint: 'write in place' | 'fail'
}

/** Nothing is left beside the file when this throws. */
export function replaceFile(file: string, content: string | Buffer, options: ReplaceOptions): void {
  const { temporary } = options
  try {
    writeAnew(temporary, content, options)
    renameSync(temporary, file)
  } catch (error) {
    const isMountPoint = error instanceof Error && 'code' in error && error.code === 'EBUSY'
    if (!isMountPoint || options.mountPoint === 'fail') throw error
    // A process that dies here leaves the whole text in the temporary file.
    write(file, 'w', content, options)
  } finally {
    // Renamed, it is gone already.
    rmSync(temporary, { force: true })
  }
  if (options.sync === 'file and folder') syncFolder(dirname(file))
}

/** Creates a new file, which replaces anything that has its name. */
export function writeAnew(file: string, content: string | Buffer, options: FileOptions): void {
  rmSync(file, { force: true })
  createFile(file, content, options)
}

/** Throws (EEXIST) if anything has its name. */
export function createFile(file: string, content: string | Buffer, options: FileOptions): void {
  write(file, 'wx', content, options)
}

/** Closed to others until it has its owner. */
function write(
  file: string,
  flag: 'w' | 'wx',
  content: string | Buffer,
  { mode, owner, sync }: FileOptions,
): void {
  const descriptor = openSync(file, flag, 0o600)
  try {
    writeFileSync(descriptor, content)
    const found = fstatSync(descriptor)
    const isTheirs = !owner || (found.uid === owner.uid && found.gid === owner.gid)
    if (!isTheirs) fchownSync(descriptor, owner.uid, owner.gid)
    // After that: a change of the owner takes some bits away.
    if (!isTheirs || (found.mode & 0o7777) !== mode) fchmodSync(descriptor, mode)
    if (sync !== 'nothing') fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
