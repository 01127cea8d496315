/**
 * The user the daemon runs as, and access to files with that user's rights.
 *
 * Root can read everything, so root's commands would find nothing wrong with a file that the daemon cannot
 * open. The kernel decides, not the mode bits, so groups and access lists are taken into account.
 */

import { chownSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { makeFolder } from './made-folder.ts'

export const DAEMON_USER = 'univention-mtpolicyd'

interface DaemonUser {
  readonly uid: number
  readonly gid: number
  /** All groups, the primary one included. */
  readonly groups: readonly number[]
}

/** Undefined: the user does not exist on this host (the package is not installed). */
export function daemonUser(root: string): DaemonUser | undefined {
  const entry = linesOf(join(root, 'etc/passwd')).find(([name]) => name === DAEMON_USER)
  const uid = Number(entry?.[2])
  const gid = Number(entry?.[3])
  if (entry === undefined || !Number.isInteger(uid) || !Number.isInteger(gid)) return undefined
  const others = linesOf(join(root, 'etc/group'))
    .filter(([, , , members = '']) => members.split(',').includes(DAEMON_USER))
    .map(([, , id]) => Number(id))
  return { uid, gid, groups: [gid, ...others.filter(Number.isInteger)] }
}

function linesOf(file: string): string[][] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map(line => line.split(':'))
  } catch {
    return []
  }
}

/** Is this process root, and can it take on the daemon's rights? */
export function canBeDaemon(root: string): boolean {
  // The rights belong to the process; a thread that is not its first cannot change them.
  return isMainThread && process.geteuid?.() === 0 && (daemonUser(root)?.uid ?? 0) !== 0
}

/** Runs `work` with the daemon's rights, if this process is root and the user exists. */
export async function asDaemon<T>(root: string, work: () => Promise<T>): Promise<T> {
  const user = canBeDaemon(root) ? daemonUser(root) : undefined
  if (user === undefined) return work()
  const before = { groups: process.getgroups?.() ?? [], gid: process.getegid?.() ?? 0 }
  process.setgroups?.([...user.groups])
  process.setegid?.(user.gid)
  process.seteuid?.(user.uid)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(before.gid)
    process.setgroups?.(before.groups)
  }
}

/** Creates the state directory for a daemon that has not been started yet: owned by it, closed to others. */
export function makeStateFolder(root: string, folder: string): void {
  makeFolder(dirname(folder))
  if (!makeFolder(folder, 0o750)) return
  const user = daemonUser(root)
  if (user !== undefined && process.geteuid?.() === 0) chownSync(folder, user.uid, user.gid)
}
