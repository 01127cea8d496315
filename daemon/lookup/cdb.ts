/**
 * Constant databases, read only (D. J. Bernstein's cdb: https://cr.yp.to/cdb/cdb.txt).
 *
 * 256 tables of (hash, position) pairs, whose offsets are at the beginning of the file; at each
 * position are the lengths of key and value, then both. All numbers have 32 bits, little endian, so
 * no file is larger than 4 GiB. Throws only LookupError.
 */

import { type Bytes, damaged, type Find } from './bytes.ts'

/** The first 2048 bytes: offset and length of each table. */
const HEADER = 2048
/** Tables are at least half empty, so no real file needs a longer search. */
const MOST_STEPS = 10_000

export function openCdb(file: Bytes): Find {
  const header = file.read(0, HEADER)
  for (let table = 0; table < 256; table++) {
    const end = header.readUInt32LE(8 * table) + 8 * header.readUInt32LE(8 * table + 4)
    if (end > file.size) throw damaged('a table lies outside the file')
  }

  return key => {
    let hash = 5381
    for (const byte of key) hash = (Math.imul(hash, 33) ^ byte) >>> 0
    const table = hash & 255
    const start = header.readUInt32LE(8 * table)
    const slots = header.readUInt32LE(8 * table + 4)
    if (slots === 0) return undefined
    let slot = (hash >>> 8) % slots
    for (let step = 0; step < slots; step++) {
      if (step === MOST_STEPS) throw damaged('a table without gaps')
      const entry = file.read(start + 8 * slot, 8)
      const position = entry.readUInt32LE(4)
      if (position === 0) return undefined
      if (entry.readUInt32LE(0) === hash) {
        const lengths = file.read(position, 8)
        const keyLength = lengths.readUInt32LE(0)
        if (keyLength === key.length && file.read(position + 8, keyLength).equals(key)) {
          return file.read(position + 8 + keyLength, lengths.readUInt32LE(4))
        }
      }
      slot = slot + 1 === slots ? 0 : slot + 1
    }
    return undefined
  }
}
