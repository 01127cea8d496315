/**
 * Lookup tables of Postfix by their names (DATABASE_README).
 *
 * `hash:`, `btree:`, `cdb:` and `texthash:` are read here, in the file that postmap makes of the
 * path, every other type through postmap itself. A path alone is a Berkeley DB file, with or
 * without its `.db`. Keys are folded to lower case, as postmap folds them; a key ends with a NUL in
 * the file or does not, depending on what made it.
 */

import { LookupError } from '../policy/errors.ts'
import type { Table } from '../policy/table.ts'
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
export function openTable(name: string): ClosableTable {
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
      // What is wrong with it only postmap can say.
      return { ...postmapTable(name), problem: () => undefined }
  }
}

/** A Berkeley DB file of plain texts, whose owner writes while we read. Opens nothing yet. */
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

/** Tries a key with a final NUL and without; the way that found one is the way of the file. */
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
