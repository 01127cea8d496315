/**
 * The names of all windows together: most subjects are counted in several windows, and names take the most
 * memory.
 *
 * Subjects whose hash begins with the same byte have one table. A page has of each of its subjects the
 * number in that table, and finds its own number of a subject by it. In the file each page has its names,
 * so that pages come and go by themselves.
 */

import { Name } from '../memory/name.ts'
import { grown, NameTable } from '../memory/name-table.ts'

/** Names of subjects that no page has any more are kept up to this number. */
const FEW_NAMES = 64

export class SharedNames {
  readonly #seed: number
  readonly #name: Name
  #table: NameTable
  /** What was looked for last, by all windows one after the other, and its number. */
  #sought = 0
  #found = -1

  constructor(seed: number) {
    this.#seed = seed
    this.#name = new Name(seed)
    this.#table = new NameTable(seed)
  }

  get byteLength(): number {
    return this.#table.byteLength
  }

  get count(): number {
    return this.#table.count
  }

  /** The number of a name, or -1. */
  find(name: Name): number {
    if (name.filling !== this.#sought) {
      this.#found = this.#table.find(name)
      this.#sought = name.filling
    }
    return this.#found
  }

  /** The number of a name, which is added if it is new. */
  add(name: Name): number {
    const number = this.find(name)
    if (number < 0) this.#found = this.#table.add(name)
    return this.#found
  }

  /** Makes room for the first names, exactly. */
  reserve(names: number, bytes: number): void {
    if (this.#table.count > 0) return
    this.#table = new NameTable(this.#seed, names, bytes)
    this.#sought = 0
  }

  addBytes(bytes: Uint8Array): number {
    return this.add(this.#name.ofBytes(bytes))
  }

  /** The bytes of a name, not copied. */
  bytesOf(number: number): Uint8Array {
    return this.#table.bytesOf(number)
  }

  /** Drops names that none of these pages has, if they are many. They must be all pages. */
  tidy(pages: readonly Members[]): void {
    const { count } = this.#table
    if (count <= FEW_NAMES) return
    /** By name: 1 if it is in use; then its number in the new table, plus 1. */
    const places = new Uint32Array(count)
    for (const page of pages) page.mark(places)
    const live = places.reduce((sum, place) => sum + place, 0)
    if (live > count / 2) return
    const table = new NameTable(this.#seed, live)
    for (let number = 0; number < count; number++) {
      if (places[number] === 0) continue
      places[number] = 1 + table.add(this.#name.ofBytes(this.#table.bytesOf(number)))
    }
    this.#table = table
    this.#sought = 0
    for (const page of pages) page.renumber(places)
  }
}

/** The subjects of a page, by number: 0 for the first. */
export class Members {
  readonly #shared: SharedNames
  /** The number of each subject's name. */
  #names = new Uint32Array(4)
  /** The number of the subject with each name, plus 1; 0 if it is not in this page. */
  #numbers = new Uint32Array(4)
  #count = 0

  constructor(shared: SharedNames) {
    this.#shared = shared
  }

  /** The inverse of `packed`: `count` subjects. Throws RangeError for anything else. */
  static unpack(shared: SharedNames, packed: Uint8Array, count: number): Members {
    const starts = new Uint32Array(packed.buffer, packed.byteOffset, count + 1)
    const bytes = packed.subarray(starts.byteLength)
    if (starts[0] !== 0 || starts[count] !== bytes.length) {
      throw new RangeError('names are incomplete')
    }
    shared.reserve(count, bytes.length)
    const members = new Members(shared)
    members.#names = new Uint32Array(count)
    members.#numbers = new Uint32Array(Math.max(shared.count, count))
    for (let number = 0; number < count; number++) {
      const [start = 0, end = 0] = [starts[number], starts[number + 1]]
      if (end < start || end > bytes.length) throw new RangeError('names are not in order')
      const name = shared.addBytes(bytes.subarray(start, end))
      if ((members.#numbers[name] ?? 0) > 0) throw new RangeError('a name is there twice')
      members.#put(name)
    }
    return members
  }

  get shared(): SharedNames {
    return this.#shared
  }

  get count(): number {
    return this.#count
  }

  /** Memory that it takes, without the names. */
  get byteLength(): number {
    return this.#names.byteLength + this.#numbers.byteLength
  }

  /** The number of a subject, or -1. */
  find(subject: Name): number {
    const name = this.#shared.find(subject)
    return name < 0 ? -1 : (this.#numbers[name] ?? 0) - 1
  }

  /** Adds a subject that is not in the page yet; its number. */
  add(subject: Name): number {
    return this.#put(this.#shared.add(subject))
  }

  /** Adds a subject of another page with the same names. */
  addFrom(other: Members, number: number): number {
    return this.#put(other.#names[number] ?? 0)
  }

  nameOf(number: number): string {
    const { buffer, byteOffset, byteLength } = this.#shared.bytesOf(this.#names[number] ?? 0)
    return Buffer.from(buffer, byteOffset, byteLength).toString()
  }

  /** The bytes of all names, behind where each one begins and the last one ends (32 bits). */
  packed(): Buffer {
    const starts = new Uint32Array(this.#count + 1)
    let length = 0
    for (let number = 0; number < this.#count; number++) {
      length += this.#shared.bytesOf(this.#names[number] ?? 0).length
      starts[number + 1] = length
    }
    const bytes = Buffer.allocUnsafe(starts.byteLength + length)
    bytes.set(new Uint8Array(starts.buffer))
    for (let number = 0; number < this.#count; number++) {
      const name = this.#shared.bytesOf(this.#names[number] ?? 0)
      bytes.set(name, starts.byteLength + (starts[number] ?? 0))
    }
    return bytes
  }

  /** Sets the place of each name in use to 1. */
  mark(places: Uint32Array): void {
    for (let number = 0; number < this.#count; number++) places[this.#names[number] ?? 0] = 1
  }

  /** Names have other numbers now: those in `places`, less 1. */
  renumber(places: Uint32Array): void {
    const names = this.#names
    const count = this.#count
    this.#names = new Uint32Array(count)
    this.#numbers = new Uint32Array(this.#shared.count)
    this.#count = 0
    for (let number = 0; number < count; number++) {
      this.#put((places[names[number] ?? 0] ?? 1) - 1)
    }
  }

  #put(name: number): number {
    const number = this.#count++
    if (number >= this.#names.length) this.#names = grown(this.#names, this.#count)
    if (name >= this.#numbers.length) this.#numbers = grown(this.#numbers, name + 1)
    this.#names[number] = name
    this.#numbers[name] = number + 1
    return number
  }
}
