/**
 * Is this MaxMind DB file intact?
 *
 * The library trusts its file: a truncated one makes it throw in the middle of a lookup, and pointers
 * that form a cycle or fan out keep it busy for ever. So before a file is used, the metadata, every
 * node of the search tree and every record a node points to are checked to be inside the file and of
 * reasonable size. Lookups in a file that passes are safe, though not necessarily right.
 *
 * Format: MaxMind DB File Format Specification 2.0. Values are measured here, not decoded.
 */

import { crc32 } from 'node:zlib'
import { formatIPv4, formatIPv6 } from '../net/address.ts'

const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')
/** How far from the end the marker may start, by the specification. */
const METADATA_BYTES = 128 * 1024
const SEPARATOR_BYTES = 16
/** A city record with names in nine languages has about 250 values. */
const VALUES_PER_RECORD = 10_000
const NESTING = 64
/** Nodes between two yields: some ten microseconds. */
const NODES_AT_ONCE = 1000
/** Sides of nodes between two yields of a walk: about a millisecond. */
const STEPS_AT_ONCE = 20_000
/** Records that are searched for one with a country. */
const SAMPLES = 2000

/** Followed by four bytes, the CRC-32 of the file before it; readers of the format ignore both. */
const SEAL = Buffer.from('mtpolicyd has checked this file: ')

/** The file with a mark that it was checked, which saves some 20 ms at every start of the daemon. */
export function sealed(file: Buffer): Buffer {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(file))
  return Buffer.concat([file, SEAL, sum])
}

/** Was this file checked before it was sealed? Throws if it has changed since. */
export function isSealed(file: Buffer): boolean {
  const end = file.length - 4 - SEAL.length
  if (end < 0 || !file.subarray(end, -4).equals(SEAL)) return false
  if (file.readUInt32BE(file.length - 4) !== crc32(file.subarray(0, end))) {
    throw new Error('the file has changed since it was built: damaged')
  }
  return true
}

export interface TreeShape {
  readonly nodeCount: number
  readonly recordSize: number
  readonly ipVersion: number
}

export function isMmdb(file: Buffer): boolean {
  return markerOf(file) >= 0
}

/** The last marker counts, as the specification says; -1 without one. */
function markerOf(file: Buffer): number {
  const from = Math.max(0, file.length - METADATA_BYTES - MARKER.length)
  const found = file.subarray(from).lastIndexOf(MARKER)
  return found < 0 ? -1 : from + found
}

/** Offset of the metadata marker, after measuring the metadata. Throws what is wrong. */
export function checkMetadata(file: Buffer): number {
  if (file.length === 0) throw new Error('the file is empty')
  const marker = markerOf(file)
  if (marker < 0) {
    throw new Error('no metadata at the end: cut short, or not a MaxMind DB file')
  }
  const start = marker + MARKER.length
  if ((file[start] ?? 0) >> 5 !== Type.map) throw new Error('the metadata is damaged')
  measurer(file, start, file.length)(start)
  return marker
}

/**
 * Checks every node of the tree and every record one points to. Yields now and then, so that other
 * work can be done in between.
 *
 * Nodes are checked in the order of the file, because following the tree takes three times as long.
 * Writers put a node before those below it, so its depth is known when its turn comes. If one does
 * not, a path that is too long may go unnoticed; a lookup just ends on it.
 */
export function* checkTree(file: Buffer, marker: number, shape: TreeShape): Generator<void> {
  const { nodeCount, recordSize, ipVersion } = shape
  if (!Number.isInteger(nodeCount) || nodeCount < 1) throw new Error('the search tree is empty')
  if (ipVersion !== 4 && ipVersion !== 6) throw new Error(`unknown IP version ${ipVersion}`)
  const treeBytes = (nodeCount * recordSize) / 4
  const dataStart = treeBytes + SEPARATOR_BYTES
  if (dataStart > marker) {
    throw new Error(`the search tree of ${nodeCount} nodes does not fit into the file: cut short`)
  }

  const { left, right } = nodeReader(file, recordSize)
  const measure = measurer(file, dataStart, marker)
  const bits = addressBits(shape)
  const depths = new Uint8Array(nodeCount)
  /** A bit for each byte from the end of the tree to the marker, set where a checked record starts. */
  const seen = new Uint8Array((marker - treeBytes + 7) >> 3)

  const checkRecord = (place: number): void => {
    const byte = seen[place >> 3] ?? 0
    const bit = 1 << (place & 7)
    if ((byte & bit) !== 0) return
    measure(place + treeBytes)
    seen[place >> 3] = byte | bit
  }
  // Outside of the generator and short, so that V8 compiles it.
  const checkNodes = (from: number, to: number): void => {
    for (let node = from; node < to; node++) {
      const below = (depths[node] ?? 0) + 1
      if (below > bits) throw new Error('the search tree is deeper than an address: damaged')
      const leftSide = left(node)
      const rightSide = right(node)
      if (leftSide < nodeCount) depths[leftSide] = below
      else if (leftSide > nodeCount) checkRecord(leftSide - nodeCount)
      if (rightSide < nodeCount) depths[rightSide] = below
      else if (rightSide > nodeCount) checkRecord(rightSide - nodeCount)
    }
  }
  for (let node = 0; node < nodeCount; node += NODES_AT_ONCE) {
    checkNodes(node, Math.min(node + NODES_AT_ONCE, nodeCount))
    yield
  }
}

/**
 * One address for each of up to SAMPLES different records, and undefined where it yields to other
 * work. The tree must have been checked.
 */
export function* sampleAddresses(
  file: Buffer,
  shape: TreeShape,
): Generator<string | undefined, void> {
  const { nodeCount, recordSize } = shape
  const { left, right } = nodeReader(file, recordSize)
  const seenNodes = new Uint8Array(nodeCount)
  const seenRecords = new Set<number>()
  // The nodes from the root down to the current one, and which side of each is next.
  const nodes = new Uint32Array(addressBits(shape))
  const sides = new Uint8Array(nodes.length)
  let depth = 0
  let steps = 0

  while (depth >= 0 && seenRecords.size < SAMPLES) {
    const side = sides[depth] ?? 0
    if (side === 2) {
      depth--
      continue
    }
    sides[depth] = side + 1
    if (++steps % STEPS_AT_ONCE === 0) yield undefined
    const node = nodes[depth] ?? 0
    const record = side === 0 ? left(node) : right(node)
    if (record < nodeCount) {
      // A path longer than an address leads nowhere.
      if (seenNodes[record] === 1 || depth + 1 === nodes.length) continue
      seenNodes[record] = 1
      depth++
      nodes[depth] = record
      sides[depth] = 0
    } else if (record > nodeCount && !seenRecords.has(record)) {
      seenRecords.add(record)
      yield addressAt(sides, depth, nodes.length)
    }
  }
}

function addressBits({ ipVersion }: TreeShape): number {
  return ipVersion === 4 ? 32 : 128
}

/** The lowest address below the side that was visited last; `sides` are one ahead. */
function addressAt(sides: Uint8Array, depth: number, bits: number): string {
  const address = Buffer.alloc(16)
  for (let bit = 0; bit <= depth; bit++) {
    if (sides[bit] === 2) address[bit >> 3] = (address[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  }
  if (bits === 32) return formatIPv4(address.readUInt32BE(0))
  return formatIPv6(Array.from({ length: 8 }, (_, group) => address.readUInt16BE(group * 2)))
}

type Side = (node: number) => number

/** The library does not export its own. Nodes must be inside the file. */
function nodeReader(file: Buffer, recordSize: number): { left: Side; right: Side } {
  // Several times faster than the methods of a Buffer.
  const view = new DataView(file.buffer, file.byteOffset, file.length)
  switch (recordSize) {
    case 24:
      return {
        left: node => view.getUint32(node * 6) >>> 8,
        right: node => view.getUint32(node * 6 + 2) & 0xffffff,
      }
    case 28:
      // The middle byte holds the top four bits of both records.
      return {
        left: node => {
          const bytes = view.getUint32(node * 7)
          return (bytes >>> 8) | ((bytes & 0xf0) << 20)
        },
        right: node => view.getUint32(node * 7 + 3) & 0xfffffff,
      }
    case 32:
      return { left: node => view.getUint32(node * 8), right: node => view.getUint32(node * 8 + 4) }
    default:
      throw new Error(`unknown record size ${recordSize}`)
  }
}

const Type = {
  extended: 0,
  pointer: 1,
  string: 2,
  double: 3,
  bytes: 4,
  uint16: 5,
  uint32: 6,
  map: 7,
  int32: 8,
  uint64: 9,
  uint128: 10,
  array: 11,
  boolean: 14,
  float: 15,
} as const

/** Sizes of the number types; the library reads doubles and floats in full, whatever the size says. */
const NUMBER_BYTES: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
  [Type.double, [8, 8]],
  [Type.float, [4, 4]],
  [Type.uint16, [0, 2]],
  [Type.uint32, [0, 4]],
  [Type.int32, [0, 4]],
  [Type.uint64, [0, 8]],
  [Type.uint128, [0, 16]],
])

/**
 * Measures values in the section from `base` to `end`. Returns how many values a reader finds at an
 * offset if it follows every pointer, and throws if there are too many or one is outside the section.
 */
function measurer(file: Buffer, base: number, end: number): (offset: number) => number {
  /** Pointer target → values below it; Infinity while being measured, so that a cycle is "too many". */
  const measured = new Map<number, number>()
  let next = 0

  const inside = (offset: number, length: number): void => {
    if (offset < base || offset + length > end)
      throw new Error('a record leaves the file: cut short or damaged')
  }
  const unsigned = (offset: number, length: number): number => {
    inside(offset, length)
    return length === 0 ? 0 : file.readUIntBE(offset, length)
  }

  /** Values at `offset`; sets `next` to the offset after them. */
  const value = (offset: number, nesting: number): number => {
    if (nesting > NESTING) throw new Error('a record is nested too deeply: damaged')
    const control = unsigned(offset, 1)
    let type = control >> 5
    let at = offset + 1
    if (type === Type.pointer) return pointer(control, at, nesting)
    if (type === Type.extended) {
      const extended = unsigned(at++, 1)
      // That would be a map, which has a type of its own.
      if (extended === 0) throw new Error('a record holds a value of no type: damaged')
      type = 7 + extended
    }

    let size = control & 31
    if (size >= 29) {
      const bytes = size - 28
      const start = [29, 285, 65821][bytes - 1] ?? 0
      size = start + unsigned(at, bytes)
      at += bytes
    }
    if (type === Type.map || type === Type.array) {
      return items(at, type === Type.map ? size * 2 : size, nesting)
    }
    if (type === Type.boolean) {
      next = at
      return 1
    }
    const limits = NUMBER_BYTES.get(type)
    const fits = limits ? size >= limits[0] && size <= limits[1] : isText(type)
    if (!fits) throw new Error('a record holds a value of unknown type or size: damaged')
    inside(at, size)
    next = at + size
    return 1
  }

  const items = (offset: number, count: number, nesting: number): number => {
    let total = 1
    next = offset
    if (count > VALUES_PER_RECORD) throw new Error('a record holds too many values: damaged')
    for (let i = 0; i < count; i++) {
      total += value(next, nesting + 1)
      if (total > VALUES_PER_RECORD) throw new Error('a record holds too many values: damaged')
    }
    return total
  }

  const pointer = (control: number, at: number, nesting: number): number => {
    const size = (control >> 3) & 3
    const start = [0, 2048, 526336, 0][size] ?? 0
    const high = size === 3 ? 0 : (control & 7) * 256 ** (size + 1)
    const target = base + start + high + unsigned(at, size + 1)
    const behind = at + size + 1
    let below = measured.get(target)
    if (below === undefined) {
      measured.set(target, Number.POSITIVE_INFINITY)
      below = value(target, nesting + 1)
      measured.set(target, below)
    }
    next = behind
    return 1 + below
  }

  return offset => {
    const total = value(offset, 0)
    if (total > VALUES_PER_RECORD) throw new Error('a record holds too many values: damaged')
    return total
  }
}

function isText(type: number): boolean {
  return type === Type.string || type === Type.bytes
}
