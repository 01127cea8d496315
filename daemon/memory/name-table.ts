/**
 * Hundreds of thousands of names, each with a number, kept as bytes outside of V8's heap.
 *
 * A Map of strings takes three times the memory, is traversed by every garbage collection, and blocks
 * the event loop while it grows. Here the UTF-8 bytes of all names are contiguous, and an
 * open-addressed table finds a name's number: 0 for the first one added, and so on. Single names are
 * never removed; a table that is too old is cleared or dropped.
 */

import { hashOf, type Name } from './name.ts'

/** Share of the slots that may be in use. */
const MOST_FILLED = 0.75
/** Bits of a slot: eight bits of the name's hash, which rule most other names out without comparing them. */
const TAG = 0xff000000
/** Bits of a slot: the name's number + 1. So a table has 16 million names at most. */
const NUMBER = 0x00ffffff

export class NameTable {
  readonly #seed: number
  /** A name's entry is in the slot that its hash selects, or in one of the next; 0 is a free slot. */
  #slots: Uint32Array
  /** Where each name begins, and the last one ends. */
  #starts: Uint32Array
  #bytes: Uint8Array
  #count = 0

  /** `names` and `bytes`: the initial capacity. */
  constructor(seed: number, names = 4, bytes = 64) {
    this.#seed = seed
    this.#slots = new Uint32Array(slotsFor(names))
    this.#starts = new Uint32Array(names + 1)
    this.#bytes = new Uint8Array(bytes)
  }

  /** From the result of `packed`. Throws RangeError if the two are inconsistent. */
  static of(seed: number, starts: Uint32Array, bytes: Uint8Array): NameTable {
    const table = new NameTable(seed, 0, 0)
    let before = 0
    for (const start of starts) {
      if (start < before) throw new RangeError('names are not in order')
      before = start
    }
    if (starts[0] !== 0 || before !== bytes.length) throw new RangeError('names are incomplete')
    table.#starts = starts
    table.#bytes = bytes
    table.#count = starts.length - 1
    table.#spread(slotsFor(table.#count))
    return table
  }

  get count(): number {
    return this.#count
  }

  /** Memory that it takes. */
  get byteLength(): number {
    return this.#slots.byteLength + this.#starts.byteLength + this.#bytes.byteLength
  }

  /** Removes all names, and keeps the capacity. */
  clear(): void {
    this.#slots.fill(0)
    this.#count = 0
  }

  /** The number of a name with this table's seed, or -1. */
  find(name: Name): number {
    const { hash } = name
    const slots = this.#slots
    const mask = slots.length - 1
    const tag = tagOf(hash)
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot] ?? 0
      if (entry === 0) return -1
      const number = (entry & NUMBER) - 1
      if (((entry ^ tag) & TAG) === 0 && this.#is(number, name)) return number
    }
  }

  /** Adds a name that is not in the table yet; its number. */
  add(name: Name): number {
    const number = this.#count
    const start = this.#starts[number] ?? 0
    const end = start + name.length
    if (number + 2 > this.#starts.length) this.#starts = grown(this.#starts, number + 2)
    if (end > this.#bytes.length) this.#bytes = grown(this.#bytes, end)
    const { bytes } = name
    for (let at = start, i = 0; at < end; at++, i++) this.#bytes[at] = bytes[i] ?? 0
    this.#starts[number + 1] = end
    this.#count = number + 1
    if (this.#count > this.#slots.length * MOST_FILLED) this.#spread(this.#slots.length * 2)
    else this.#put(number, name.hash)
    return number
  }

  /** The bytes of all names, and where each one begins and the last one ends. */
  packed(): { readonly starts: Uint32Array; readonly bytes: Uint8Array } {
    const starts = this.#starts.subarray(0, this.#count + 1)
    return { starts, bytes: this.#bytes.subarray(0, starts[this.#count]) }
  }

  /** The bytes of a name, not copied. */
  bytesOf(number: number): Uint8Array {
    return this.#bytes.subarray(this.#starts[number], this.#starts[number + 1])
  }

  /** A name as a text. */
  nameOf(number: number): string {
    const { buffer, byteOffset, byteLength } = this.bytesOf(number)
    return Buffer.from(buffer, byteOffset, byteLength).toString()
  }

  #is(number: number, { bytes, length }: Name): boolean {
    const start = this.#starts[number] ?? 0
    if ((this.#starts[number + 1] ?? 0) - start !== length) return false
    for (let i = 0; i < length; i++) if (this.#bytes[start + i] !== bytes[i]) return false
    return true
  }

  #put(number: number, hash: number): void {
    const mask = this.#slots.length - 1
    let slot = hash & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = tagOf(hash) | (number + 1)
  }

  /** Builds the table again with this many slots, a power of two. */
  #spread(slots: number): void {
    this.#slots = new Uint32Array(slots)
    for (let number = 0; number < this.#count; number++) {
      const [start = 0, end = 0] = [this.#starts[number], this.#starts[number + 1]]
      this.#put(number, hashOf(this.#bytes, start, end, this.#seed))
    }
  }
}

/** Uses bits that select neither an account's page nor, except in large tables, the slot. */
function tagOf(hash: number): number {
  return (hash << 8) & TAG
}

function slotsFor(names: number): number {
  let slots = 8
  while (slots * MOST_FILLED < names) slots *= 2
  return slots
}

/** Grows by half: few copies, and little unused. */
function grown<T extends Uint8Array | Uint32Array>(array: T, needed: number): T {
  // The constructor of an array makes arrays of its own kind.
  const Kind = array.constructor as new (length: number) => T
  const larger = new Kind(Math.max(needed, Math.ceil(array.length * 1.5), 8))
  larger.set(array)
  return larger
}
