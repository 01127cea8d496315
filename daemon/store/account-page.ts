/**
 * The sums of one part of the accounts of a day: what is read from the state file, kept in memory
 * and written back as one piece.
 *
 * Written are the sums (64-bit), where each name begins (32-bit), and the names, behind a count: in
 * this order, so that where sums have changed and no account came, only the pages of the file that
 * hold sums differ, and SQLite writes no others.
 */

import type { Name } from '../policy/name.ts'
import { grown, NameTable } from '../policy/name-table.ts'

/** Bytes before the sums: the number of accounts, and nothing, so that the sums are aligned. */
const HEAD = 8

let scratch = Buffer.allocUnsafeSlow(0)

export class AccountPage {
  readonly #names: NameTable
  #sums: Float64Array
  /** Does it hold something that is not in the file? */
  isDirty = false
  /** The fold it was asked for last. */
  askedAt = 0

  private constructor(names: NameTable, sums: Float64Array) {
    this.#names = names
    this.#sums = sums
  }

  static empty(seed: number): AccountPage {
    return new AccountPage(new NameTable(seed), new Float64Array(4))
  }

  /** Takes over what was packed. Throws RangeError for what `pack` has not made. */
  static unpack(seed: number, packed: Uint8Array): AccountPage {
    // Used as it is where it begins at a place that has room for sums; else a copy does.
    const isAligned = packed.byteOffset % 8 === 0
    const { buffer, byteOffset, byteLength } = isAligned ? packed : new Uint8Array(packed)
    const count = new Uint32Array(buffer, byteOffset, 1)[0] ?? 0
    const sums = byteOffset + HEAD
    const starts = sums + count * 8
    const bytes = starts + (count + 1) * 4
    const names = NameTable.of(
      seed,
      new Uint32Array(buffer, starts, count + 1),
      new Uint8Array(buffer, bytes, byteOffset + byteLength - bytes),
    )
    return new AccountPage(names, new Float64Array(buffer, sums, count))
  }

  get byteLength(): number {
    return this.#names.byteLength + this.#sums.byteLength
  }

  /** The sum of an account; 0 for one that is not known. */
  used(account: Name): number {
    const number = this.#names.find(account)
    return number < 0 ? 0 : (this.#sums[number] ?? 0)
  }

  set(account: Name, used: number): void {
    this.#put(this.#names.find(account), account, used)
  }

  /** The new sum, or undefined if it would exceed `limit`. */
  addWithin(account: Name, count: number, limit: number): number | undefined {
    const number = this.#names.find(account)
    const sum = Math.max(0, (number < 0 ? 0 : (this.#sums[number] ?? 0)) + count)
    if (sum > limit) return undefined
    this.#put(number, account, sum)
    return sum
  }

  /** `found` is what `find` says. */
  #put(found: number, account: Name, used: number): void {
    const number = found < 0 ? this.#names.add(account) : found
    if (number >= this.#sums.length) this.#sums = grown(this.#sums, number + 1)
    this.#sums[number] = used
    this.isDirty = true
  }

  *sums(): Iterable<readonly [account: string, used: number]> {
    for (let number = 0; number < this.#names.count; number++) {
      yield [this.#names.nameOf(number), this.#sums[number] ?? 0]
    }
  }

  /** Valid until the next page is packed: pages are large, and written one after the other. */
  pack(): Buffer {
    const { starts, bytes } = this.#names.packed()
    const { count } = this.#names
    const length = HEAD + count * 8 + starts.byteLength + bytes.length
    if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2)
    const packed = scratch.subarray(0, length)
    packed.writeUInt32LE(count, 0)
    packed.writeUInt32LE(0, 4)
    const parts = [this.#sums.subarray(0, count), starts, bytes]
    let at = HEAD
    for (const { buffer, byteOffset, byteLength } of parts) {
      packed.set(new Uint8Array(buffer, byteOffset, byteLength), at)
      at += byteLength
    }
    return packed
  }
}
