/** Whole numbers and short texts as bytes: seven bits of a number in each, lowest first; its last one is below 128. */

/** Bytes of a number below 2 ** 53, at most. */
export const NUMBER_BYTES = 8
/** From here on, bits are not what is calculated with. */
const LARGE = 0x8000_0000

/** Writes a whole number, not negative. Returns where it ends; there must be room for `NUMBER_BYTES`. */
export function putNumber(bytes: Uint8Array, from: number, value: number): number {
  if (value >= 128) return putLong(bytes, from, value)
  bytes[from] = value
  return from + 1
}

function putLong(bytes: Uint8Array, from: number, value: number): number {
  let at = from
  let large = value
  for (; large >= LARGE; large = Math.floor(large / 128)) bytes[at++] = (large % 128) + 128
  let rest = large | 0
  for (; rest >= 128; rest >>= 7) bytes[at++] = (rest & 127) | 128
  bytes[at++] = rest
  return at
}

/**
 * Writes a text in ASCII, one byte a character, which is faster here than a function outside of V8 is
 * called if the text is short. Returns where it ends, or -1 if it is not in ASCII.
 */
export function putAscii(bytes: Uint8Array, from: number, text: string): number {
  const { length } = text
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) return -1
    bytes[from + i] = unit
  }
  return from + length
}

/** Reads numbers that `putNumber` has written, one after the other. */
export class NumberReader {
  readonly #bytes: Uint8Array
  readonly #end: number
  #at: number

  /** Reads all bytes, or those between two places. */
  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#at = from
    this.#end = end
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end
  }

  /** Where the next one begins. */
  get at(): number {
    return this.#at
  }

  /** Skips bytes that are not numbers. Throws RangeError if there are fewer. */
  skip(length: number): void {
    if (this.#at + length > this.#end) throw new RangeError('a page is cut off')
    this.#at += length
  }

  /** Throws RangeError at the end, and for a number of 2 ** 53 or more. */
  next(): number {
    if (this.#at >= this.#end) throw new RangeError('a number is missing')
    const first = this.#bytes[this.#at] ?? 0
    if (first >= 128) return this.#long()
    this.#at++
    return first
  }

  #long(): number {
    let value = 0
    for (let unit = 1; ; unit *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined || this.#at > this.#end) throw new RangeError('a number is missing')
      value += (byte & 127) * unit
      if (byte < 128) break
      if (unit >= 2 ** 49) throw new RangeError('a number is too long')
    }
    if (!Number.isSafeInteger(value)) throw new RangeError('a number is too large')
    return value
  }
}
