/**
 * A name prepared for tables: its UTF-8 bytes and their hash.
 *
 * One `Name` is filled again and again with the name in use: bytes are compared and copied faster than
 * characters, and nothing is allocated per request. It belongs to one owner, who passes it to functions
 * that do not keep it.
 */

/** Rises with every filling of any name. */
let fillings = 0

/** Bytes that UTF-8 needs for one UTF-16 unit, at most. */
export const MOST_BYTES_EACH = 3

export class Name {
  readonly #seed: number
  #bytes = Buffer.allocUnsafeSlow(1024)
  #length = 0
  #hash: number
  #filling = 0

  /** A secret seed prevents names that are made up to collide. */
  constructor(seed: number) {
    this.#seed = seed
    this.#hash = hashOf(this.#bytes, 0, 0, seed)
  }

  /** Turns this object into the given name. */
  of(text: string): this {
    const most = text.length * MOST_BYTES_EACH
    if (most > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(most)
    this.#length = this.#bytes.write(text, 0)
    this.#hash = hashOf(this.#bytes, 0, this.#length, this.#seed)
    this.#filling = ++fillings
    return this
  }

  /** Turns this object into the name with these bytes. */
  ofBytes(bytes: Uint8Array): this {
    const { length } = bytes
    if (length > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(length)
    this.#bytes.set(bytes)
    this.#length = length
    this.#hash = hashOf(bytes, 0, length, this.#seed)
    this.#filling = ++fillings
    return this
  }

  /** Turns this object into the name that is a part of these bytes. */
  ofPart(bytes: Uint8Array, from: number, end: number): this {
    const length = end - from
    if (length > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(length)
    for (let i = 0; i < length; i++) this.#bytes[i] = bytes[from + i] ?? 0
    this.#length = length
    this.#hash = hashOf(this.#bytes, 0, length, this.#seed)
    this.#filling = ++fillings
    return this
  }

  /** The first `length` bytes are the name; the rest is left over from others. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  get length(): number {
    return this.#length
  }

  get hash(): number {
    return this.#hash
  }

  /** The same number means the same name. */
  get filling(): number {
    return this.#filling
  }
}

/** A 32-bit hash: FNV-1a, then the finaliser of MurmurHash3. */
export function hashOf(bytes: Uint8Array, from: number, end: number, seed: number): number {
  let hash = seed
  for (let i = from; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
