/**
 * A name made ready for tables and the journal: its UTF-8 bytes and their hash.
 *
 * One `Name` is filled again and again, with the name at hand: bytes are compared and copied
 * faster than characters, and nothing is made for a request that is thrown away after it.
 */

/** Of UTF-8, for one unit of a text. */
export const MOST_BYTES_EACH = 3

export class Name {
  readonly #seed: number
  #bytes = Buffer.allocUnsafeSlow(1024)
  #length = 0
  #hash: number

  /** With a seed that nobody knows, nobody can invent names that all fall into one place. */
  constructor(seed: number) {
    this.#seed = seed
    this.#hash = hashOf(this.#bytes, 0, 0, seed)
  }

  /** Is this name from now on. */
  of(text: string): this {
    const most = text.length * MOST_BYTES_EACH
    if (most > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(most)
    this.#length = this.#bytes.write(text, 0)
    this.#hash = hashOf(this.#bytes, 0, this.#length, this.#seed)
    return this
  }

  /** Is the name of these bytes from now on. */
  ofBytes(bytes: Uint8Array): this {
    const { length } = bytes
    if (length > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(length)
    this.#bytes.set(bytes)
    this.#length = length
    this.#hash = hashOf(bytes, 0, length, this.#seed)
    return this
  }

  /** The bytes of the name, and behind them those of others. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  get length(): number {
    return this.#length
  }

  get hash(): number {
    return this.#hash
  }
}

/** 32 bits (FNV-1a, then the finaliser of MurmurHash3). */
export function hashOf(bytes: Uint8Array, from: number, end: number, seed: number): number {
  let hash = seed
  for (let i = from; i < end; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193)
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
