/**
 * The sums of one part of a calendar period's accounts: the unit that is read from the file, kept in
 * memory and written back.
 *
 * Sums (64-bit) and names (where each begins, 32-bit, and their bytes) are two pieces: for a million
 * accounts names take 37 MB and sums 8, and while no account is new only sums are written.
 */

import type { Name } from '../memory/name.ts'
import { grown } from '../memory/name-table.ts'
import { aligned, type CountPage, type PackedCounts, type TellBucket } from './count-page.ts'
import { Members, type SharedNames } from './shared-names.ts'

const SUM_BYTES = Float64Array.BYTES_PER_ELEMENT

export class AccountPage implements CountPage {
  readonly members: Members
  #sums: Float64Array
  isDirty = false
  /** How many of its names have been written to the file. */
  #namesWritten = 0
  usedAt = 0

  private constructor(members: Members, sums: Float64Array) {
    this.members = members
    this.#sums = sums
  }

  static empty(names: SharedNames): AccountPage {
    return new AccountPage(new Members(names), new Float64Array(4))
  }

  /** The inverse of `pack`; the sums' bytes are used, not copied. Throws RangeError for anything else. */
  static unpack(shared: SharedNames, packed: PackedCounts): AccountPage {
    const sums = aligned(packed.sums, SUM_BYTES)
    const names = aligned(packed.names, Uint32Array.BYTES_PER_ELEMENT)
    const count = sums.byteLength / SUM_BYTES
    if (!(count >= 1 && Number.isInteger(count))) throw new RangeError('no sums')
    const members = Members.unpack(shared, names, count)
    const values = new Float64Array(sums.buffer, sums.byteOffset, count)
    if (!values.every(sum => sum >= 0 && sum < Number.POSITIVE_INFINITY)) {
      throw new RangeError('an impossible sum')
    }
    const page = new AccountPage(members, values)
    page.#namesWritten = count
    return page
  }

  get byteLength(): number {
    return this.members.byteLength + this.#sums.byteLength
  }

  used(account: Name): number {
    const number = this.members.find(account)
    return number < 0 ? 0 : (this.#sums[number] ?? 0)
  }

  usedIn(account: Name): number {
    return this.used(account)
  }

  set(account: Name, _bucket: number, used: number): void {
    this.#put(this.members.find(account), account, used)
  }

  addWithin(
    account: Name,
    bucket: number,
    count: number,
    limit: number,
    _current: number,
    tell: TellBucket,
  ): number | undefined {
    const number = this.members.find(account)
    const sum = Math.max(0, (number < 0 ? 0 : (this.#sums[number] ?? 0)) + count)
    if (sum > limit) return undefined
    this.#put(number, account, sum)
    tell(bucket, sum)
    return sum
  }

  fitsFrom(account: Name, count: number, limit: number, current: number): number | undefined {
    return this.used(account) + count <= limit ? current : undefined
  }

  /** `found`: the result of `find`. */
  #put(found: number, account: Name, used: number): void {
    const number = found < 0 ? this.members.add(account) : found
    if (number >= this.#sums.length) this.#sums = grown(this.#sums, number + 1)
    this.#sums[number] = used
    this.isDirty = true
  }

  *sums(): Iterable<readonly [account: string, bucket: number, used: number]> {
    for (let number = 0; number < this.members.count; number++) {
      yield [this.members.nameOf(number), 0, this.#sums[number] ?? 0]
    }
  }

  pack(): { readonly sums: Buffer; readonly names: Buffer | undefined } {
    const { buffer, byteOffset } = this.#sums
    const { count } = this.members
    return {
      sums: Buffer.from(buffer, byteOffset, count * SUM_BYTES),
      names: count === this.#namesWritten ? undefined : this.members.packed(),
    }
  }

  noteWritten(): void {
    this.isDirty = false
    this.#namesWritten = this.members.count
  }
}
