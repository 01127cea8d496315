/**
 * Is this MaxMind DB file whole?
 *
 * The library trusts its file: cut short it throws in the middle of a lookup, and pointers that
 * form a circle or fan out keep it busy. So before a file is used the metadata, every node of the
 * search tree and every record that a node points at are measured against the file. What passes
 * here can be looked up without surprise; whether the answers are true nobody can tell.
 *
 * Format: MaxMind DB File Format Specification 2.0. Values are measured here, not decoded.
 */

import { crc32 } from 'node:zlib'
import { formatIPv4, formatIPv6 } from '../policy/address.ts'

const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')
/** The specification's bound for where the marker may start, from the end. */
const METADATA_BYTES = 128 * 1024
const SEPARATOR_BYTES = 16
/** A city record with names in nine languages has about 250 values. */
const VALUES_PER_RECORD = 10_000
const NESTING = 64
/** Nodes between two pauses: some ten microseconds. */
const NODES_AT_ONCE = 1000
/** Sides of nodes between two pauses of a walk: about a millisecond. */
const STEPS_AT_ONCE = 20_000
/** Records of which one must name a country. */
const SAMPLES = 2000

/** Behind it four bytes, the CRC-32 of the file before it; readers of the format do not look there. */
const SEAL = Buffer.from('mtpolicyd has checked this file: ')

/** The file with a mark that it was checked, which spares every start of the daemon some 20 ms. */
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
    throw new Error('the file is not what it was when it was made: damaged')
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
 * Measures every node of the tree and every record that one points at. Pauses now and then, so that
 * it can be done between other work.
 *
 * In the order of the file: following the tree takes three times as long. Writers number a node
 * before those below it, so its depth is known when its turn comes. Where one does not, a way may be
 * too long unnoticed; a lookup just ends on it.
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
  /** A bit for each byte from the end of the tree to the marker: is it the start of a record seen? */
  const seen = new Uint8Array((marker - treeBytes + 7) >> 3)

  const checkRecord = (place: number): void => {
    const byte = seen[place >> 3] ?? 0
    const bit = 1 << (place & 7)
    if ((byte & bit) !== 0) return
    measure(place + treeBytes)
    seen[place >> 3] = byte | bit
  }
  // Apart from the generator, and short, because V8 compiles what is called often.
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
 * One address for each of (up to some thousand) different records, and undefined where it pauses.
 * For a tree that was checked.
 */
export function* sampleAddresses(
  file: Buffer,
  shape: TreeShape,
): Generator<string | undefined, void> {
  const { nodeCount, recordSize } = shape
  const { left, right } = nodeReader(file, recordSize)
  const seenNodes = new Uint8Array(nodeCount)
  const seenRecords = new Set<number>()
  // The nodes from the root down to where the walk is, and which of their sides come next.
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
      // A way longer than an address leads nowhere.
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

/** The lowest address below the side of a node that was looked at last; `sides` are one ahead. */
function addressAt(sides: Uint8Array, depth: number, bits: number): string {
  const address = Buffer.alloc(16)
  for (let bit = 0; bit <= depth; bit++) {
    if (sides[bit] === 2) address[bit >> 3] = (address[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  }
  if (bits === 32) return formatIPv4(address.readUInt32BE(0))
  return formatIPv6(Array.from({ length: 8 }, (_, group) => address.readUInt16BE(group * 2)))
}

type Side = (node: number) => number

/** The library keeps its own to itself. Nodes must lie inside the file. */
function nodeReader(file: Buffer, recordSize: number): { left: Side; right: Side } {
  // Reads four bytes at once, several times faster than a buffer.
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

/** Longest payload of the number types; the library reads doubles and floats whole, whatever the size says. */
const NUMBER_BYTES: ReadonlyMap<number, readonly [least: number, most: number]> = new Map([
  [Type.double, [8, 8]],
  [Type.float, [4, 4]],
  [Type.uint16, [0, 2]],
  [Type.uint32, [0, 4]],
  [Type.int32, [1, 4]],
  [Type.uint64, [0, 8]],
  [Type.uint128, [0, 16]],
])

/**
 * Measures values of the section from `base` to `end`. Returns how many values a reader meets
 * below an offset, every pointer followed, and throws where it would meet too many or leave the section.
 */
function measurer(file: Buffer, base: number, end: number): (offset: number) => number {
  /** Pointer target → values below it; Infinity while being measured, so that a circle is "too many". */
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

  /** Values at `offset`; leaves the offset behind them in `next`. */
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
