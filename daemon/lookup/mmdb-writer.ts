/**
 * Writes MaxMind DB files (specification 2.0) that say which country an address is in.
 *
 * For the database we ship (scripts/geoip-data.ts) and for small ones in tests. The same input gives
 * the same bytes. Where ranges overlap, the later one wins. Only what this needs is implemented:
 * records of one code each, 24- or 28-bit trees, IPv4 below ::/96 of an IPv6 tree.
 */

import { parseIPv4, parseIPv6 } from '../net/address.ts'

export interface CountryRange {
  /** First and last address, both of the same family. */
  readonly first: string
  readonly last: string
  readonly code: string
}

export interface MmdbOptions {
  /** The date of the data, which the file states. */
  readonly builtAt: Date
  readonly databaseType?: string
  readonly description?: string
  readonly recordShape?: 'country' | 'registered_country' | 'country_code' | 'none'
  readonly recordSize?: 24 | 28
  readonly ipVersion?: 4 | 6
  /** Makes ::ffff:0:0/96 the same subtree as ::/96, as MaxMind's own files do. */
  readonly mappedAlias?: boolean
}

const SEPARATOR = Buffer.alloc(16)
const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')

export function writeMmdb(ranges: Iterable<CountryRange>, options: MmdbOptions): Buffer {
  const { recordShape = 'country', ipVersion = 6, mappedAlias = true } = options
  const bits = ipVersion === 4 ? 32 : 128
  const tree = new Tree(bits)
  const leaves = new Map<string, number>()
  const records: Buffer[] = []
  const offsets: number[] = []
  let dataBytes = 0

  for (const { first, last, code } of ranges) {
    let leaf = leaves.get(code)
    if (leaf === undefined) {
      leaf = records.length
      leaves.set(code, leaf)
      const record = encodeRecord(recordShape, code)
      records.push(record)
      offsets.push(dataBytes)
      dataBytes += record.length
    }
    tree.insert(wordsOf(first, ipVersion), wordsOf(last, ipVersion), leaf)
  }

  if (ipVersion === 6 && mappedAlias) tree.aliasMapped()
  const nodes = tree.nodes()
  const largest = nodes.length / 2 + SEPARATOR.length + dataBytes
  const recordSize = options.recordSize ?? (largest < 2 ** 24 ? 24 : 28)
  return Buffer.concat([
    encodeTree(nodes, offsets, recordSize),
    SEPARATOR,
    ...records,
    MARKER,
    encodeMetadata(nodes.length / 2, recordSize, ipVersion, options),
  ])
}

/** An address as one or four 32-bit words. */
function wordsOf(address: string, ipVersion: 4 | 6): Uint32Array {
  const ipv4 = parseIPv4(address)
  if (ipv4 !== undefined)
    return ipVersion === 4 ? Uint32Array.of(ipv4) : Uint32Array.of(0, 0, 0, ipv4)
  const groups = ipVersion === 6 ? parseIPv6(address) : undefined
  if (groups === undefined) throw new Error(`not an address of this database: ${address}`)
  const words = new Uint32Array(4)
  groups.forEach((group, i) => {
    words[i >> 1] = (words[i >> 1] ?? 0) * 65536 + group
  })
  return words
}

/**
 * The two records of node n are at 2n and 2n + 1. A record is 0 if empty, n > 0 for the node n, and
 * negative for the leaf -record - 1.
 */
class Tree {
  #records = new Int32Array(1024)
  #length = 2
  readonly #bits: number

  constructor(bits: number) {
    this.#bits = bits
  }

  /** Splits a range into as few networks as possible, from the top down. */
  insert(first: Uint32Array, last: Uint32Array, leaf: number): void {
    const zeros = this.#bits - trailing(first, 0)
    const ones = this.#bits - trailing(last, 0xffffffff)
    this.#insert({ first, last, record: -leaf - 1 }, 0, 0, zeros, ones)
  }

  /** From depth `zeros` on, the lower bound has only zeros; from `ones` on, the upper only ones. */
  #insert(range: Bounds, node: number, depth: number, zeros: number, ones: number): void {
    const low = zeros <= depth ? 0 : bitOf(range.first, depth)
    const high = ones <= depth ? 1 : bitOf(range.last, depth)
    if (low > high) throw new Error('a range ends before it begins')
    for (let side = low; side <= high; side++) {
      // Everything between the bounds belongs to the range.
      const zerosHere = side > low ? 0 : zeros
      const onesHere = side < high ? 0 : ones
      const slot = node * 2 + side
      if (zerosHere <= depth + 1 && onesHere <= depth + 1) this.#records[slot] = range.record
      else this.#insert(range, this.#nodeAt(slot), depth + 1, zerosHere, onesHere)
    }
  }

  /** The node in a slot, created if there is none; a leaf there moves into both its records. */
  #nodeAt(slot: number): number {
    const present = this.#records[slot] ?? 0
    if (present > 0) return present
    if (this.#length + 2 > this.#records.length) {
      const larger = new Int32Array(this.#records.length * 2)
      larger.set(this.#records)
      this.#records = larger
    }
    const node = this.#length / 2
    this.#records.fill(present, this.#length, this.#length + 2)
    this.#length += 2
    this.#records[slot] = node
    return node
  }

  /** Makes ::ffff:0:0/96 lead to the same records as ::/96. */
  aliasMapped(): void {
    let ipv4 = 0
    for (let depth = 0; depth < 96; depth++) {
      ipv4 = this.#records[ipv4 * 2] ?? 0
      if (ipv4 <= 0) break
    }
    let node = 0
    for (let depth = 0; depth < 95; depth++) node = this.#nodeAt(node * 2 + (depth < 80 ? 0 : 1))
    this.#records[node * 2 + 1] = ipv4
  }

  /**
   * The tree in preorder. Equal parts of it are written once, which more than halves it, and nodes
   * with the same leaf, or nothing, on both sides are left out.
   */
  nodes(): Int32Array {
    const known = new Map<number, number>()
    for (const side of [0, 1]) this.#records[side] = this.#merge(this.#records[side] ?? 0, known)
    const nodes = new Int32Array(this.#length)
    const copies = new Int32Array(this.#length / 2)
    let count = 0
    const copy = (node: number): number => {
      const at = count++
      copies[node] = at
      for (const side of [0, 1]) {
        const record = this.#records[node * 2 + side] ?? 0
        // Already copied, as it is reached from several places.
        nodes[at * 2 + side] = record > 0 ? copies[record] || copy(record) : record
      }
      return at
    }
    copy(0)
    return nodes.slice(0, count * 2)
  }

  /** What represents the record: a leaf, or the first node with the same two sides. */
  #merge(record: number, known: Map<number, number>): number {
    if (record <= 0) return record
    const left = this.#merge(this.#records[record * 2] ?? 0, known)
    const right = this.#merge(this.#records[record * 2 + 1] ?? 0, known)
    this.#records[record * 2] = left
    this.#records[record * 2 + 1] = right
    if (left === right && left <= 0) return left
    // One number for both; no tree here has 2^25 nodes.
    const sides = left * 2 ** 26 + right
    const first = known.get(sides)
    if (first === undefined) known.set(sides, record)
    return first ?? record
  }
}

interface Bounds {
  readonly first: Uint32Array
  readonly last: Uint32Array
  readonly record: number
}

function bitOf(words: Uint32Array, depth: number): number {
  return ((words[depth >> 5] ?? 0) >>> (31 - (depth & 31))) & 1
}

/** How many bits at the end of the address equal those of `fill` (all zero or all one). */
function trailing(words: Uint32Array, fill: number): number {
  for (let i = words.length - 1; i >= 0; i--) {
    const differing = ((words[i] ?? 0) ^ fill) >>> 0
    if (differing === 0) continue
    const lowest = 31 - Math.clz32(differing & -differing)
    return (words.length - 1 - i) * 32 + lowest
  }
  return words.length * 32
}

function encodeTree(nodes: Int32Array, offsets: readonly number[], recordSize: 24 | 28): Buffer {
  const nodeCount = nodes.length / 2
  const pointer = (record: number): number => {
    if (record > 0) return record
    if (record === 0) return nodeCount
    return nodeCount + SEPARATOR.length + (offsets[-record - 1] ?? 0)
  }
  const nodeBytes = recordSize / 4
  const tree = Buffer.alloc(nodeCount * nodeBytes)
  for (let node = 0; node < nodeCount; node++) {
    const left = pointer(nodes[node * 2] ?? 0)
    const right = pointer(nodes[node * 2 + 1] ?? 0)
    const at = node * nodeBytes
    if (recordSize === 28) tree[at + 3] = ((left >>> 24) << 4) | (right >>> 24)
    tree.writeUIntBE(left & 0xffffff, at, 3)
    tree.writeUIntBE(right & 0xffffff, at + nodeBytes - 3, 3)
  }
  return tree
}

function encodeRecord(shape: NonNullable<MmdbOptions['recordShape']>, code: string): Buffer {
  switch (shape) {
    case 'none':
      return encodeMap({ autonomous_system_organization: encodeText(code) })
    case 'country_code':
      return encodeMap({ country_code: encodeText(code) })
    default:
      return encodeMap({ [shape]: encodeMap({ iso_code: encodeText(code) }) })
  }
}

function encodeMetadata(
  nodeCount: number,
  recordSize: number,
  ipVersion: number,
  { builtAt, databaseType = 'Country', description = '' }: MmdbOptions,
): Buffer {
  return encodeMap({
    binary_format_major_version: encodeUnsigned(5, 2),
    binary_format_minor_version: encodeUnsigned(5, 0),
    build_epoch: encodeUnsigned(9, Math.floor(builtAt.getTime() / 1000)),
    database_type: encodeText(databaseType),
    description: encodeMap({ en: encodeText(description) }),
    ip_version: encodeUnsigned(5, ipVersion),
    languages: Buffer.concat([control(11, 1), encodeText('en')]),
    node_count: encodeUnsigned(6, nodeCount),
    record_size: encodeUnsigned(5, recordSize),
  })
}

function encodeMap(entries: Readonly<Record<string, Buffer>>): Buffer {
  const pairs = Object.entries(entries)
  const parts = pairs.flatMap(([key, value]) => [encodeText(key), value])
  return Buffer.concat([control(7, pairs.length), ...parts])
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([control(2, bytes.length), bytes])
}

/** Types: 5 uint16, 6 uint32, 9 uint64. Has as few bytes as the number needs. */
function encodeUnsigned(type: 5 | 6 | 9, value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  const start = bytes.findIndex(byte => byte !== 0)
  const needed = start < 0 ? Buffer.alloc(0) : bytes.subarray(start)
  return Buffer.concat([control(type, needed.length), needed])
}

/** Control byte, extended type, and sizes above 28. */
function control(type: number, size: number): Buffer {
  if (size > 65820) throw new Error(`too large for this writer: ${size} bytes`)
  const [short, more] =
    size < 29
      ? [size, []]
      : size < 285
        ? [29, [size - 29]]
        : [30, [(size - 285) >> 8, (size - 285) & 255]]
  return type > 7
    ? Buffer.from([short, type - 7, ...more])
    : Buffer.from([(type << 5) | short, ...more])
}
