/**
 * Random access to the bytes of a file: held in memory, or read from disk on demand.
 *
 * Reading outside the file throws LookupError, so the reader of a format can safely follow whatever
 * a damaged file says.
 */

import { fstatSync, readSync } from 'node:fs'
import { LookupError } from '../system/errors.ts'

export interface Bytes {
  readonly size: number
  /** Exactly `length` bytes. */
  read(offset: number, length: number): Buffer
}

/** Finds the value of a key in a file, undefined if there is none. Throws LookupError for a damaged file. */
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

/** Does not close the descriptor. */
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
  return new LookupError(`damaged, or being written: ${what}`)
}
