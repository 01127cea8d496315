/**
 * The bytes of a file at random: all of it in memory, or read from the disk when asked for.
 *
 * What lies outside the file is a LookupError, so a reader of a format can follow whatever a
 * damaged file says and come to no harm.
 */

import { fstatSync, readSync } from 'node:fs'
import { LookupError } from '../policy/errors.ts'

export interface Bytes {
  readonly size: number
  /** Exactly so many bytes. */
  read(offset: number, length: number): Buffer
}

/** Finds the value of a key in a file; undefined: it has none. Throws LookupError if it is damaged. */
export type Find = (key: Buffer) => Buffer | undefined

export function bytesInMemory(content: Buffer): Bytes {
  return {
    size: content.length,
    read(offset, length) {
      checkRange(offset, length, content.length)
      return content.subarray(offset, offset + length)
    },
  }
}

/** The descriptor stays the caller's. */
export function bytesOnDisk(descriptor: number): Bytes {
  const { size } = fstatSync(descriptor)
  return {
    size,
    read(offset, length) {
      checkRange(offset, length, size)
      const bytes = Buffer.allocUnsafe(length)
      for (let have = 0; have < length; ) {
        const more = readSync(descriptor, bytes, have, length - have, offset + have)
        if (more === 0) throw damaged('the file ends early')
        have += more
      }
      return bytes
    },
  }
}

function checkRange(offset: number, length: number, size: number): void {
  if (offset < 0 || length < 0 || offset + length > size) throw damaged('the file ends early')
}

export function damaged(what: string): LookupError {
  return new LookupError(`damaged, or just being written: ${what}`)
}
