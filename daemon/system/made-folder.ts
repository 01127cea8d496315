/**
 * Creates a folder with the intended mode: root's umask must not keep the daemon out of it. A folder that
 * exists already is left as it is.
 */

import { chmodSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Creates the folder and missing ones above it, all with this mode. Returns whether any was created. */
export function makeFolder(folder: string, mode = 0o755): boolean {
  const first = mkdirSync(folder, { recursive: true, mode })
  if (first === undefined) return false
  const highest = resolve(first)
  for (let made = resolve(folder); made.length >= highest.length; made = dirname(made)) {
    chmodSync(made, mode)
  }
  return true
}
