/**
 * Names by the hundred thousand, each with a number, kept as bytes outside of V8's heap.
 *
 * A Map of strings takes three times the memory, is walked by every garbage collection, and holds
 * the event loop while it grows. Here a name is its UTF-8 bytes behind those of the one before, and
 * an open-addressed table finds its number: 0 for the first that was added, and so on. Names are
 * never removed; a table that is too old is emptied or dropped whole.
 */

import { hashOf, type Name } from './name.ts'

/** Slots are used to three quarters at most. */
const MOST_FILLED = 0.75
/** Of a slot: eight bits of the name's hash, which tell most others apart unseen. */
const TAG = 0xff000000
/** Of a slot: the name's number + 1. So a table has 16 million names at most. */
const NUMBER = 0x00ffffff

export class NameTable {
  readonly #seed: number
  /** At the place a name's hash says, or one of the next; 0 where there is none. */
  #slots: Uint32Array
  /** Where each name begins; one more than there are names. */
  #starts: Uint32Array
  #bytes: Uint8Array
  #count = 0

  /** `names` and `bytes`: how much room there is before anything must grow. */
  constructor(seed: number, names = 4, bytes = 64) {
    this.#seed = seed
    this.#slots = new Uint32Array(slotsFor(names))
    this.#starts = new Uint32Array(names + 1)
    this.#bytes = new Uint8Array(bytes)
  }

  /** From `starts` and `bytes` as `packed` gives them. Throws RangeError if they do not fit together. */
  static of(seed: number, starts: Uint32Array, bytes: Uint8Array): NameTable {
    const table = new NameTable(seed, 0, 0)
    let before = 0
    for (const start of starts) {
      if (start < before) throw new RangeError('names in disorder')
      before = start
    }
    if (starts[0] !== 0 || before !== bytes.length) throw new RangeError('names cut short')
    table.#starts = starts
    table.#bytes = bytes
    table.#count = starts.length - 1
    table.#spread(slotsFor(table.#count))
    return table
  }

  get count(): number {
    return this.#count
  }

  /** Memory in use. */
  get byteLength(): number {
    return this.#slots.byteLength + this.#starts.byteLength + this.#bytes.byteLength
  }

  /** Without names, and with as much room as before. */
  clear(): void {
    this.#slots.fill(0)
    this.#count = 0
  }

  /** The number of a name, which has this table's seed; or -1. */
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

  /** The number of a name that is not in the table yet. */
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

  /** The bytes of all names, and where each begins and the last one ends. */
  packed(): { readonly starts: Uint32Array; readonly bytes: Uint8Array } {
    const starts = this.#starts.subarray(0, this.#count + 1)
    return { starts, bytes: this.#bytes.subarray(0, starts[this.#count]) }
  }

  /** The bytes of a name, where they lie. */
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

  /** Puts all names into so many slots, a power of two. */
  #spread(slots: number): void {
    this.#slots = new Uint32Array(slots)
    for (let number = 0; number < this.#count; number++) {
      const [start = 0, end = 0] = [this.#starts[number], this.#starts[number + 1]]
      this.#put(number, hashOf(this.#bytes, start, end, this.#seed))
    }
  }
}

/** Of bits that say neither the page of an account nor, but in large tables, the slot. */
function tagOf(hash: number): number {
  return (hash << 8) & TAG
}

function slotsFor(names: number): number {
  let slots = 8
  while (slots * MOST_FILLED < names) slots *= 2
  return slots
}

/** By half, so that growing costs little and not much lies idle. */
export function grown<T extends Uint8Array | Uint32Array | Float64Array>(
  array: T,
  needed: number,
): T {
  // The constructor of an array makes arrays of its own kind.
  const Kind = array.constructor as new (length: number) => T
  const larger = new Kind(Math.max(needed, Math.ceil(array.length * 1.5), 8))
  larger.set(array)
  return larger
}
