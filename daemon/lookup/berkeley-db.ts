/**
 * Berkeley DB files, hash and btree, as libdb 4.2 to 6 write them; read only.
 *
 * Pages of 512 bytes to 64 KiB in either byte order, items that outgrew their page ("overflow"),
 * pages with checksums (which are not verified). The layout is that of libdb's `dbinc/db_page.h`;
 * all numbers below are from there. Keys are compared as bytes. Not supported, with an error that
 * says so: encrypted or partitioned files, several databases in one file, duplicates outside their
 * page, records by number, compression, the old format 1.85.
 *
 * Nothing in the file is trusted: each page must have the expected number and kind, an offset that
 * points outside is an error, every loop is bounded. Throws only LookupError.
 */

import { LookupError } from '../system/errors.ts'
import { type Bytes, damaged, type Find } from './bytes.ts'

const HASH_MAGIC = 0x061561
const BTREE_MAGIC = 0x053162
const OLDEST_VERSION = 8
const NEWEST_VERSION = 10

/** Kinds of pages. */
const UNWRITTEN = 0
const HASH_UNSORTED = 2
const BTREE_INTERNAL = 3
const BTREE_LEAF = 5
const OVERFLOW = 7
const HASH = 13

/** Kinds of items on a hash page, and on a btree page. */
const HASH_PLAIN = 1
const HASH_DUPLICATES = 2
const HASH_OFF_PAGE = 3
const BTREE_PLAIN = 1
const BTREE_OFF_PAGE = 3
const BTREE_DELETED = 0x80

/** No real file has a bucket or an item that spans more pages than this. */
const MOST_PAGES = 4096
/** Far more than any value of a map. */
const LARGEST_ITEM = 2 ** 20

export interface BerkeleyDb {
  readonly find: Find
  /** False while libdb has the file open for writing: its first page is written last. */
  readonly isWhole: boolean
  isEmpty(): boolean
}

export function openBerkeleyDb(file: Bytes): BerkeleyDb {
  const pages = openPages(file)
  const open = pages.magic === HASH_MAGIC ? openHash : openBtree
  const { find, isEmpty } = open(pages)
  return {
    find: key => guarded(() => find(key)),
    isWhole: file.size === (pages.last + 1) * pages.size,
    isEmpty: () => guarded(isEmpty),
  }
}

/** Damage within a page shows as a number that would have to be read outside of it. */
function guarded<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof RangeError) throw damaged('an offset points outside its page')
    throw error
  }
}

interface Pages {
  readonly magic: number
  /** The part of the first page that describes the file. */
  readonly meta: Buffer
  readonly size: number
  /** Number of the last page. */
  readonly last: number
  /** Size of a page's header; the table of items follows it. */
  readonly header: number
  u16(page: Buffer, at: number): number
  u32(page: Buffer, at: number): number
  /** A page that must be of one of these kinds. */
  read(number: number, ...kinds: readonly number[]): Buffer
  /** Where item `index` of a page begins. */
  item(page: Buffer, index: number): number
  /** The bytes of an item that has pages of its own. */
  overflow(number: number, length: number): Buffer
}

function openPages(file: Bytes): Pages {
  if (file.size < 512) throw damaged('shorter than 512 bytes, the smallest Berkeley DB file')
  const meta = file.read(0, 512)
  const isKnown = (magic: number): boolean => magic === HASH_MAGIC || magic === BTREE_MAGIC
  const isLittle = isKnown(meta.readUInt32LE(12))
  if (!isLittle && !isKnown(meta.readUInt32BE(12))) {
    const isOld = isKnown(meta.readUInt32LE(0)) || isKnown(meta.readUInt32BE(0))
    throw new LookupError(
      isOld
        ? 'a Berkeley DB file of version 1.85; create it again'
        : 'not a Berkeley DB file of hashes or a btree',
    )
  }
  const u16 = (page: Buffer, at: number): number =>
    isLittle ? page.readUInt16LE(at) : page.readUInt16BE(at)
  const u32 = (page: Buffer, at: number): number =>
    isLittle ? page.readUInt32LE(at) : page.readUInt32BE(at)

  const version = u32(meta, 16)
  if (version < OLDEST_VERSION || version > NEWEST_VERSION) {
    throw new LookupError(`version ${version} of Berkeley DB's format; create it again`)
  }
  const size = u32(meta, 20)
  if (size < 512 || size > 65_536 || (size & (size - 1)) !== 0) throw damaged(`pages of ${size}`)
  if (meta.readUInt8(24) !== 0) throw new LookupError('it is encrypted')
  if (u32(meta, 36) !== 0) throw new LookupError('it is partitioned')
  const hasChecksums = (meta.readUInt8(26) & 1) !== 0
  const last = u32(meta, 32)
  if ((last + 1) * size > file.size) throw damaged('pages are missing at its end')
  const header = hasChecksums ? 32 : 26

  const pages: Pages = {
    magic: u32(meta, 12),
    meta,
    size,
    last,
    header,
    u16,
    u32,
    read(number, ...kinds) {
      if (number === 0 || number > last) throw damaged(`there is no page ${number}`)
      const page = file.read(number * size, size)
      const kind = page.readUInt8(25)
      // A page that libdb has laid out, but never had to write, is all zeros.
      if (kind === UNWRITTEN && u32(page, 8) === 0 && kinds.includes(UNWRITTEN)) return page
      if (u32(page, 8) !== number || !kinds.includes(kind) || kind === UNWRITTEN) {
        throw damaged(`page ${number} is of another kind`)
      }
      return page
    },
    item(page, index) {
      const at = u16(page, header + 2 * index)
      if (at < header || at >= size) throw damaged('an item lies outside its page')
      return at
    },
    overflow(number, length) {
      if (length > LARGEST_ITEM) throw damaged(`an item of ${length} bytes`)
      const parts: Buffer[] = []
      let have = 0
      for (let next = number; next !== 0; ) {
        if (parts.length === MOST_PAGES) throw damaged('an item that does not end')
        const page = pages.read(next, OVERFLOW)
        const part = cut(page, header, u16(page, 22))
        parts.push(part)
        have += part.length
        next = u32(page, 16)
      }
      if (have !== length) throw damaged('an item does not have the length it should have')
      return Buffer.concat(parts)
    },
  }
  return pages
}

/** Exactly these bytes of a page. */
function cut(page: Buffer, start: number, length: number): Buffer {
  if (length < 0 || start + length > page.length) throw damaged('an item is longer than its page')
  return page.subarray(start, start + length)
}

interface Opened {
  readonly find: Find
  isEmpty(): boolean
}

function openHash(pages: Pages): Opened {
  const { meta, u16, u32, item } = pages
  // DB_HASH_SUBDB
  if ((u32(meta, 48) & 2) !== 0) throw new LookupError('it holds several databases')
  const lastBucket = u32(meta, 72)
  const highMask = u32(meta, 76)
  const lowMask = u32(meta, 80)
  // The hash of a text that libdb knows too, to see whether the file was made with this function.
  if (fnv(Buffer.from('%$sniglet^&\0')) !== u32(meta, 92)) {
    throw new LookupError('its hash function is not the usual one')
  }

  /** Buckets come in groups that double; `spares` says how far each is moved. */
  function pageOf(bucket: number): number {
    const group = bucket === 0 ? 0 : 32 - Math.clz32(bucket)
    return bucket + u32(meta, 96 + 4 * Math.min(group, 31))
  }

  /** The first item for which `pick` has something; items come in pairs of key and value. */
  function walk<T>(bucket: number, pick: (page: Buffer, pair: number) => T | undefined) {
    let next = pageOf(bucket)
    for (let count = 0; next !== 0; count++) {
      if (count === MOST_PAGES) throw damaged('a bucket that does not end')
      const page = pages.read(next, HASH, HASH_UNSORTED, UNWRITTEN)
      const entries = u16(page, 20)
      for (let pair = 0; pair + 1 < entries; pair += 2) {
        const found = pick(page, pair)
        if (found !== undefined) return found
      }
      next = u32(page, 16)
    }
    return undefined
  }

  /** Items fill the page from its end: each one ends where the previous one begins. */
  function endOf(page: Buffer, index: number): number {
    return index === 0 ? pages.size : item(page, index - 1)
  }

  function offPage(page: Buffer, at: number): Buffer {
    return pages.overflow(u32(page, at + 4), u32(page, at + 8))
  }

  function hasKey(page: Buffer, index: number, key: Buffer): boolean {
    const at = item(page, index)
    const length = endOf(page, index) - at - 1
    const kind = page.readUInt8(at)
    if (kind === HASH_PLAIN) {
      return length === key.length && page.compare(key, 0, length, at + 1, at + 1 + length) === 0
    }
    if (kind !== HASH_OFF_PAGE) throw damaged(`a key of kind ${kind}`)
    return u32(page, at + 8) === key.length && offPage(page, at).equals(key)
  }

  function itemValue(page: Buffer, index: number): Buffer {
    const at = item(page, index)
    const end = endOf(page, index)
    const kind = page.readUInt8(at)
    if (kind === HASH_PLAIN) return cut(page, at + 1, end - at - 1)
    if (kind === HASH_OFF_PAGE) return offPage(page, at)
    // The first of several values; each has its length before and after it.
    if (kind === HASH_DUPLICATES) return cut(page, at + 3, u16(page, at + 1))
    throw new LookupError('it has keys with very many values')
  }

  return {
    find(key) {
      const hash = fnv(key)
      let bucket = (hash & highMask) >>> 0
      if (bucket > lastBucket) bucket = (bucket & lowMask) >>> 0
      return walk(bucket, (page, pair) =>
        hasKey(page, pair, key) ? itemValue(page, pair + 1) : undefined,
      )
    },
    isEmpty() {
      // Buckets are added along with entries; a file with many cannot be empty.
      for (let bucket = 0; bucket <= lastBucket; bucket++) {
        if (bucket === MOST_PAGES || walk(bucket, () => true)) return false
      }
      return true
    },
  }

  function fnv(key: Buffer): number {
    let hash = 0
    for (const byte of key) hash = Math.imul(hash, 16_777_619) ^ byte
    return hash >>> 0
  }
}

function openBtree(pages: Pages): Opened {
  const { meta, u16, u32, item } = pages
  const flags = u32(meta, 48)
  // BTM_SUBDB, BTM_RECNO, BTM_COMPRESS
  if ((flags & 0x20) !== 0) throw new LookupError('it holds several databases')
  if ((flags & 0x02) !== 0) throw new LookupError('its records have numbers instead of keys')
  if ((flags & 0x80) !== 0) throw new LookupError('it is compressed')
  const root = u32(meta, 88)

  /** The bytes of an item that begins at `at`; on an internal page its text begins later. */
  function bytesOf(page: Buffer, at: number, text: number): Buffer {
    const kind = page.readUInt8(at + 2) & ~BTREE_DELETED
    if (kind === BTREE_PLAIN) return cut(page, at + text, u16(page, at))
    if (kind !== BTREE_OFF_PAGE) throw new LookupError('it has keys with very many values')
    const big = text === 3 ? at : at + text
    return pages.overflow(u32(page, big + 4), u32(page, big + 8))
  }

  /** The subtree that may have the key. The first key of an internal page means "anything less". */
  function childFor(page: Buffer, key: Buffer): number {
    let low = 0
    for (let high = u16(page, 20) - 1; low < high; ) {
      const middle = (low + high + 1) >> 1
      if (bytesOf(page, item(page, middle), 12).compare(key) <= 0) low = middle
      else high = middle - 1
    }
    return u32(page, item(page, low) + 4)
  }

  function inLeaf(page: Buffer, key: Buffer): Buffer | undefined {
    let low = 0
    for (let high = (u16(page, 20) >> 1) - 1; low <= high; ) {
      const middle = (low + high) >> 1
      const order = bytesOf(page, item(page, 2 * middle), 3).compare(key)
      if (order === 0) return valueAt(page, item(page, 2 * middle + 1))
      if (order < 0) low = middle + 1
      else high = middle - 1
    }
    return undefined
  }

  function valueAt(page: Buffer, at: number): Buffer | undefined {
    if ((page.readUInt8(at + 2) & BTREE_DELETED) !== 0) return undefined
    return bytesOf(page, at, 3)
  }

  return {
    find(key) {
      let page = pages.read(root, BTREE_INTERNAL, BTREE_LEAF)
      while (page.readUInt8(25) === BTREE_INTERNAL) {
        const level = page.readUInt8(24)
        page = pages.read(childFor(page, key), BTREE_INTERNAL, BTREE_LEAF)
        if (page.readUInt8(24) >= level) throw damaged('its tree has a cycle')
      }
      return inLeaf(page, key)
    },
    isEmpty() {
      const page = pages.read(root, BTREE_INTERNAL, BTREE_LEAF)
      return page.readUInt8(25) === BTREE_LEAF && u16(page, 20) === 0
    },
  }
}
