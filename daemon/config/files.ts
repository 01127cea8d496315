/**
 * The real file system, as the reader of configuration files wants it.
 *
 * Reads regular files only, so that including a FIFO or /dev/zero cannot hang the daemon, and at
 * most one byte more than the 1 MiB that a configuration file may have. Bytes that are not UTF-8
 * become U+FFFD, as everywhere in this program.
 */

import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import type { ConfigIo } from './include.ts'

/** One byte more than allowed, so that the reader can tell that the file is too large. */
const ENOUGH = 1024 * 1024 + 1

export const configFiles: ConfigIo = {
  read(path) {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = fstatSync(descriptor)
      if (stat.isDirectory()) throw Object.assign(new Error('is a directory'), { code: 'EISDIR' })
      if (!stat.isFile()) throw new Error('it is not a regular file')
      const buffer = Buffer.alloc(Math.min(stat.size, ENOUGH))
      let length = 0
      while (length < buffer.length) {
        const count = readSync(descriptor, buffer, length, buffer.length - length, null)
        if (count === 0) break
        length += count
      }
      return buffer.toString('utf8', 0, length)
    } finally {
      closeSync(descriptor)
    }
  },
  list: directory => readdirSync(directory),
}
