/**
 * The accounts, each with a number, by which all that is kept refers to it. Numbers of accounts that were
 * deleted are given again.
 */

import { Name } from '../memory/name.ts'
import { NameTable } from '../memory/name-table.ts'

/** More are not told apart any more: a server that accepts every name must not fill the memory. */
export const MOST_ACCOUNTS = 2_000_000
/** Memory for their names: some 100 bytes each. */
const MOST_NAME_BYTES = 256 * 1024 * 1024
const NONE = 0xffff_ffff

export class Accounts {
  readonly #seed: number
  readonly #name: Name
  #table: NameTable
  /** The number of the account, by its place in the table; NONE: it was deleted. */
  #numbers = new Uint32Array(1024)
  /** The place in the table, by the number; NONE: no account has this number. */
  #places = new Uint32Array(1024).fill(NONE)
  /** Numbers below the end that no account has. */
  readonly #free: number[] = []
  #end = 0
  #count = 0

  constructor(seed: number) {
    this.#seed = seed
    this.#name = new Name(seed)
    this.#table = new NameTable(seed)
  }

  get count(): number {
    return this.#count
  }

  /** All numbers are below. */
  get end(): number {
    return this.#end
  }

  /** The number of an account, or -1. */
  find(name: string): number {
    return this.#find(this.#name.of(name))
  }

  /** The number of the account whose name is a part of these bytes, or -1. */
  numberOf(bytes: Uint8Array, from: number, end: number): number {
    return this.#find(this.#name.ofPart(bytes, from, end))
  }

  /** The number of an account that `numberOf` has not found just now; -1: there are too many. */
  add(bytes: Uint8Array, from: number, end: number): number {
    if (this.#count >= MOST_ACCOUNTS || this.#table.byteLength >= MOST_NAME_BYTES) return -1
    const number = this.#free.pop() ?? this.#end
    this.#put(this.#name.ofPart(bytes, from, end), number)
    return number
  }

  /** As it was kept. Numbers come in ascending order, each once. */
  restore(name: string, number: number): void {
    for (let free = this.#end; free < number; free++) this.#free.push(free)
    this.#put(this.#name.of(name), number)
  }

  nameOf(number: number): string {
    const place = this.#places[number] ?? NONE
    return place === NONE ? '' : this.#table.nameOf(place)
  }

  bytesOf(number: number): Uint8Array | undefined {
    const place = this.#places[number] ?? NONE
    return place === NONE ? undefined : this.#table.bytesOf(place)
  }

  remove(number: number): void {
    const place = this.#places[number] ?? NONE
    if (place === NONE) return
    this.#numbers[place] = NONE
    this.#places[number] = NONE
    this.#free.push(number)
    this.#count--
    if (this.#table.count > 1024 && this.#table.count > this.#count * 2) this.#rebuild()
  }

  #find(name: Name): number {
    const place = this.#table.find(name)
    if (place < 0) return -1
    const number = this.#numbers[place] ?? NONE
    return number === NONE ? -1 : number
  }

  #put(name: Name, number: number): void {
    // The name of an account that was deleted is still in the table.
    const known = this.#table.find(name)
    const place = known < 0 ? this.#table.add(name) : known
    this.#numbers = withRoom(this.#numbers, place, 0)
    this.#places = withRoom(this.#places, number, NONE)
    this.#numbers[place] = number
    this.#places[number] = place
    this.#end = Math.max(this.#end, number + 1)
    this.#count++
  }

  /** Without the names of those that were deleted. */
  #rebuild(): void {
    const table = new NameTable(this.#seed, this.#count, this.#count * 16)
    for (let number = 0; number < this.#end; number++) {
      const bytes = this.bytesOf(number)
      if (!bytes) continue
      const place = table.add(this.#name.ofBytes(bytes))
      this.#numbers[place] = number
      this.#places[number] = place
    }
    this.#table = table
  }
}

type Numbers = Uint32Array<ArrayBuffer>

function withRoom(array: Numbers, place: number, filled: number): Numbers {
  if (place < array.length) return array
  const larger = new Uint32Array(Math.max(place + 1, Math.ceil(array.length * 1.5))).fill(filled)
  larger.set(array)
  return larger
}
