/** A file that was created, renamed or removed is a change of its folder, and can be lost with it. */

import { closeSync, fsyncSync, openSync } from 'node:fs'

/** Waits until the folder's entries are on the disk. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
