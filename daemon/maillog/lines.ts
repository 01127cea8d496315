/** Bytes, as they come, to whole lines. What is held is bounded: a line that is too long is left out. */

/** Nothing that a parser wants is as long. */
const LONGEST_LINE_BYTES = 64 * 1024
const LINE_FEED = 0x0a

export class Lines {
  /** The beginning of a line whose end has not come yet. */
  #rest: Buffer = Buffer.alloc(0)
  /** Its beginning is missing, or it is too long. */
  #isSkipping = false

  /** The lines that are complete now, in order, without their ends. Bytes that are not UTF-8 are replaced. */
  push(chunk: Buffer): string[] {
    const end = chunk.lastIndexOf(LINE_FEED)
    if (end < 0) {
      this.#keep(Buffer.concat([this.#rest, chunk]))
      return []
    }
    const begin = this.#isSkipping ? chunk.indexOf(LINE_FEED) + 1 : 0
    const whole = Buffer.concat([this.#rest, chunk.subarray(begin, Math.max(begin, end))])
    this.#isSkipping = false
    // A copy: the chunk's memory is used again.
    this.#keep(Buffer.from(chunk.subarray(end + 1)))
    return begin > end ? [] : whole.toString().split('\n')
  }

  /** The next bytes begin in the middle of a line. */
  skipLine(): void {
    this.#rest = Buffer.alloc(0)
    this.#isSkipping = true
  }

  /** The next bytes begin a line. */
  startAnew(): void {
    this.#rest = Buffer.alloc(0)
    this.#isSkipping = false
  }

  #keep(rest: Buffer): void {
    if (this.#isSkipping || rest.length > LONGEST_LINE_BYTES) this.skipLine()
    else this.#rest = rest
  }
}
