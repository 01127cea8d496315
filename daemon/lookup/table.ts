/**
 * Lookup tables of Postfix by name (DATABASE_README).
 *
 * `hash:`, `btree:`, `cdb:` and `texthash:` are read here, from the file that postmap makes of the
 * path; every other type is read through postmap. A path alone means a Berkeley DB file, with or
 * without `.db`. Keys are folded to lower case, as postmap does. Whether keys end with a NUL depends
 * on the program that wrote the file.
 */

import type { Table } from '../policy/ports/table.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { LookupError } from '../system/errors.ts'
import { type BerkeleyDb, openBerkeleyDb } from './berkeley-db.ts'
import type { Bytes, Find } from './bytes.ts'
import { openCdb } from './cdb.ts'
import { postmapTable } from './postmap.ts'
import { type ClosableFileTable, type Content, openTableFile } from './table-file.ts'
import { readTextTable } from './text-table.ts'

export interface ClosableTable extends Table {
  close(): void
}

const LARGEST_TEXT = 64 * 2 ** 20

/** Opens nothing yet. */
export function openTable(name: string, clock: Clock = systemClock): ClosableTable {
  const [, type, path = ''] = /^([a-z][a-z0-9_-]*):(.*)$/is.exec(name) ?? []
  const isLive = false
  switch (type) {
    case undefined:
      return openTableFile({ paths: [name, `${name}.db`], isLive, read: berkeleyTable })
    case 'hash':
    case 'btree':
      return openTableFile({ paths: [`${path}.db`], isLive, read: berkeleyTable })
    case 'cdb':
      return openTableFile({ paths: [`${path}.cdb`], isLive, read: cdbTable })
    case 'texthash':
      return openTableFile({ paths: [path], isLive, read: textTable })
    default:
      return postmapAsTable(name, clock)
  }
}

function postmapAsTable(name: string, clock: Clock): ClosableTable {
  const table = postmapTable(name, clock)
  return {
    get: key => table.get(key),
    // What is wrong with it only postmap can say.
    problem: () => undefined,
    close: () => table.close(),
  }
}

/** A Berkeley DB file of plain texts, whose owner writes while we read. Does not open it yet. */
export function openPlainTable(path: string): ClosableFileTable {
  return openTableFile({ paths: [path], isLive: true, read: plainTable })
}

function plainTable(bytes: Bytes): Content {
  const file = openBerkeleyDb(bytes)
  return { ...whole(file), get: key => file.find(Buffer.from(key))?.toString() }
}

function berkeleyTable(bytes: Bytes): Content {
  const file = openBerkeleyDb(bytes)
  return { ...whole(file), get: postfixLookup(file.find) }
}

function whole({ isWhole, isEmpty }: BerkeleyDb): Omit<Content, 'get'> {
  return { isWhole, isEmpty }
}

function cdbTable(bytes: Bytes): Content {
  // postmap renames the finished file.
  return { isWhole: true, isEmpty: () => false, get: postfixLookup(openCdb(bytes)) }
}

function textTable(bytes: Bytes): Content {
  if (bytes.size > LARGEST_TEXT) throw new LookupError('larger than 64 MiB; use hash or cdb')
  const table = readTextTable(bytes.read(0, bytes.size).toString())
  return {
    isWhole: true,
    isEmpty: () => table.size === 0,
    get: key => table.get(key.toLowerCase()),
  }
}

/** Tries keys with a final NUL and without; the first match decides for the file. */
function postfixLookup(find: Find): Content['get'] {
  let endsWithNul: boolean | undefined
  return key => {
    const withNul = Buffer.from(`${key.toLowerCase()}\0`)
    if (endsWithNul !== false) {
      const value = find(withNul)
      if (value) {
        endsWithNul = true
        return textOf(value)
      }
    }
    if (endsWithNul) return undefined
    const value = find(withNul.subarray(0, -1))
    if (value) endsWithNul = false
    return value && textOf(value)
  }
}

function textOf(value: Buffer): string {
  const end = value.indexOf(0)
  return value.toString('utf8', 0, end < 0 ? value.length : end)
}
