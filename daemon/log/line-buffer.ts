/**
 * Lines on their way to the log, as bytes, composed piece by piece.
 *
 * Composed as a string, a line would be a tree of its pieces, then a flat string, then bytes; and while it
 * waited, it would keep the whole request alive that its pieces are slices of.
 */

import { MOST_BYTES_EACH } from '../memory/name.ts'

const [ZERO, POINT] = [48, 46]
const ASCII = new Uint8Array(128).fill(1)

export class LineBuffer {
  #bytes: Buffer
  #length = 0

  /** `bytes`: initial size; it grows when needed. */
  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes)
  }

  get length(): number {
    return this.#length
  }

  /** What has been added, up to `length`; valid until more is added. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** Drops everything after the first `length` bytes; the memory is kept. */
  cutTo(length: number): void {
    this.#length = length
  }

  /** Adds a text as UTF-8. */
  text(text: string): void {
    if (!this.textOnlyOf(ASCII, text)) this.#length += this.#bytes.write(text, this.#length)
  }

  /**
   * Adds a text if `characters` is not 0 for any of its characters; else nothing, and returns false.
   * Most texts are short: a call of Node's takes longer than a loop.
   */
  textOnlyOf(characters: Uint8Array, text: string): boolean {
    const end = this.#length + text.length * MOST_BYTES_EACH
    if (end > this.#bytes.length) this.#grow(end)
    for (let at = this.#length, i = 0; i < text.length; i++, at++) {
      const character = text.charCodeAt(i)
      if (!characters[character]) return false
      this.#bytes[at] = character
    }
    this.#length += text.length
    return true
  }

  /** Adds a number as String does. */
  number(value: number): void {
    if (!(value >= 0 && value < 1e15 && Number.isInteger(value))) this.text(String(value))
    else this.#digits(value, 1)
  }

  /** Adds a number of milliseconds with three digits behind the point; from eleven days on, as String does. */
  milliseconds(time: number): void {
    const microseconds = Math.round(time * 1000)
    if (!(microseconds >= 0 && microseconds < 1e12)) {
      this.text(String(time))
      return
    }
    this.#digits(Math.floor(microseconds / 1000), 1)
    this.#bytes[this.#length++] = POINT
    this.#digits(microseconds % 1000, 3)
  }

  /** Adds a whole number below 10 ** 15, with at least `least` digits. */
  #digits(value: number, least: number): void {
    let digits = least
    for (let bound = 10 ** least; bound <= value; bound *= 10) digits++
    const end = this.#length + digits
    // One more, for the point.
    if (end + 1 > this.#bytes.length) this.#grow(end + 1)
    for (let at = end - 1, rest = value; at >= this.#length; at--) {
      const tenth = Math.trunc(rest / 10)
      this.#bytes[at] = ZERO + rest - tenth * 10
      rest = tenth
    }
    this.#length = end
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}
