/**
 * Where a file really is that an administrator has put elsewhere and linked: in a checkout, on another disk.
 * It is rewritten there, and the link stays a link.
 *
 * This process may be root, so only root's links and its own are followed: those of other users could lead
 * to any file.
 */

import { lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** The kernel's own limit. */
const MOST_LINKS = 40

/** The path itself if it is not a link; neither it nor the link's target has to exist. */
export function linkTarget(file: string): string {
  let path = file
  for (let links = 0; links <= MOST_LINKS; links++) {
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined || !found.isSymbolicLink()) return path
    if (found.uid !== 0 && found.uid !== process.geteuid?.()) {
      throw new Error(`${path} is a link that belongs to user ${found.uid}; it is not followed`)
    }
    path = resolve(realpathSync(dirname(path)), readlinkSync(path))
  }
  throw new Error(`${file} is a link that leads to itself`)
}
