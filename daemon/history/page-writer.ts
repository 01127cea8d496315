/** Numbers and bytes, one after the other, in a buffer that grows and is used again for the next page. */

import { NUMBER_BYTES, putNumber } from '../memory/seven-bits.ts'

/** So few are copied faster one by one than by a function outside of V8. */
const FEW_BYTES = 256

export class PageWriter {
  #bytes = Buffer.allocUnsafeSlow(64 * 1024)
  #end = 0

  get length(): number {
    return this.#end
  }

  clear(): void {
    this.#end = 0
  }

  /** A whole number from 0. */
  number(value: number): void {
    this.#makeRoom(NUMBER_BYTES)
    this.#end = putNumber(this.#bytes, this.#end, value)
  }

  byte(value: number): void {
    this.#makeRoom(1)
    this.#bytes[this.#end++] = value
  }

  /** Copies bytes. Where they are now. */
  copy(source: Uint8Array, from: number, end: number): number {
    this.#makeRoom(end - from)
    const at = this.#end
    this.#end += end - from
    if (end - from > FEW_BYTES) this.#bytes.set(source.subarray(from, end), at)
    else for (let i = from, to = at; i < end; i++, to++) this.#bytes[to] = source[i] ?? 0
    return at
  }

  /** To change what was copied. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** A copy of all. */
  page(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#end))
  }

  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow((this.#end + bytes) * 2)
    this.#bytes.copy(larger)
    this.#bytes = larger
  }
}
