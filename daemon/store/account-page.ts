/**
 * The sums of one part of the accounts of a day: what is read from the state file, kept in memory
 * and written back.
 *
 * Sums (64-bit) and names (where each begins, 32-bit, and their bytes) are two pieces: of a million
 * accounts names are 37 MB and sums 8, and where no account came only sums are written.
 */

import type { Name } from '../policy/name.ts'
import { grown, NameTable } from '../policy/name-table.ts'

/** A page as it is in the file: the names are in the order of the sums. */
export interface PackedAccounts {
  readonly sums: Buffer
  readonly names: Buffer
}

const SUM_BYTES = Float64Array.BYTES_PER_ELEMENT

let scratch = Buffer.allocUnsafeSlow(0)

export class AccountPage {
  readonly #names: NameTable
  #sums: Float64Array
  /** Does it hold something that is not in the file? */
  isDirty = false
  /** So many of its names are in the file. */
  #namesWritten = 0
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
  static unpack(seed: number, packed: PackedAccounts): AccountPage {
    const sums = aligned(packed.sums, SUM_BYTES)
    const names = aligned(packed.names, Uint32Array.BYTES_PER_ELEMENT)
    const count = sums.byteLength / SUM_BYTES
    if (!(count >= 1 && Number.isInteger(count))) throw new RangeError('no sums')
    const starts = new Uint32Array(names.buffer, names.byteOffset, count + 1)
    const table = NameTable.of(seed, starts, names.subarray(starts.byteLength))
    const values = new Float64Array(sums.buffer, sums.byteOffset, count)
    if (!values.every(sum => sum >= 0 && sum < Number.POSITIVE_INFINITY)) {
      throw new RangeError('a sum that no counting gives')
    }
    const page = new AccountPage(table, values)
    page.#namesWritten = count
    return page
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

  /** Without the names if they are in the file. Valid until this page changes, or the next is packed. */
  pack(): { readonly sums: Buffer; readonly names: Buffer | undefined } {
    const { buffer, byteOffset } = this.#sums
    const { count } = this.#names
    return {
      sums: Buffer.from(buffer, byteOffset, count * SUM_BYTES),
      names: count === this.#namesWritten ? undefined : this.#packedNames(),
    }
  }

  /** What was packed last is in the file. */
  noteWritten(): void {
    this.isDirty = false
    this.#namesWritten = this.#names.count
  }

  #packedNames(): Buffer {
    const { starts, bytes } = this.#names.packed()
    const length = starts.byteLength + bytes.length
    if (length > scratch.length) scratch = Buffer.allocUnsafeSlow(length * 2)
    scratch.set(new Uint8Array(starts.buffer, starts.byteOffset, starts.byteLength))
    scratch.set(bytes, starts.byteLength)
    return scratch.subarray(0, length)
  }
}

/** The very bytes where they begin at a multiple of `bytes`; else a copy does. */
function aligned(packed: Buffer, bytes: number): Uint8Array {
  const { buffer, byteOffset, length } = packed
  const isAligned = byteOffset % bytes === 0
  return isAligned ? new Uint8Array(buffer, byteOffset, length) : new Uint8Array(packed)
}
