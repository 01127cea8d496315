/**
 * The process id in a file, for programs that look for it there (`pid_file`). A file that names another
 * running daemon refuses a second start; one that was left behind is replaced, whichever process has that
 * number now. It may lie in a folder that others can write to, so whatever is there is neither followed
 * nor written into.
 */

import { lstatSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface PidFile {
  /** Is it the file that this path names, however it is spelt? /var/run is /run. */
  readonly isAt: (path: string) => boolean
  /** Removes it, unless it has become another daemon's. */
  readonly release: () => void
}

/** The file for a configuration: the present one, if it names that. Throws like `claimPidFile`. */
export function pidFileFor(path: string | undefined, present?: PidFile): PidFile | undefined {
  if (path === undefined) return undefined
  return present?.isAt(path) ? present : claimPidFile(path)
}

/** Throws if another daemon has it, or if it cannot be written. */
export function claimPidFile(path: string): PidFile {
  const other = livingOwner(path)
  if (other !== undefined) throw new Error(`${path}: another daemon runs as process ${other}`)
  // A new file: what somebody else's link points to is not ours to overwrite.
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false) rmSync(path)
  writeFileSync(path, `${process.pid}\n`, { flag: 'wx', mode: 0o644 })
  const place = placeOf(path)
  return {
    isAt: other => placeOf(other) === place,
    release() {
      if (livingOwner(path) === undefined) rmSync(path, { force: true })
    },
  }
}

function placeOf(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path))
  } catch {
    return path
  }
}

/** The daemon in the file, if it is running and is not this process. */
function livingOwner(path: string): number | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  const pid = Number.parseInt(text, 10)
  if (!(pid > 0) || pid === process.pid) return undefined
  try {
    // Empty where it is another user's and hidden from us, or is not a program at all.
    const isDaemon = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('mtpolicyd')
    return isDaemon ? pid : undefined
  } catch {
    return undefined
  }
}
