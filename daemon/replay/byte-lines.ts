/**
 * Bytes, as they come, to blocks of whole lines. Nothing is decoded: whether a line matters can be
 * seen in its bytes. What is held is bounded, whatever the file.
 */

/** A request may have 1 MiB, and JSON writes some characters in six. */
const LONGEST_LINE_BYTES = 4 * 1024 * 1024
const LINE_FEED = 0x0a

export interface LineBlock {
  /** Lines with a line feed between them. */
  readonly bytes: Buffer
  /** The number of the first one, from 1. */
  readonly firstLine: number
  /** The line of that number was left out; `bytes` is empty. */
  readonly isTooLong: boolean
}

export async function* lineBlocks(source: AsyncIterable<Buffer>): AsyncGenerator<LineBlock> {
  let rest: Buffer = Buffer.alloc(0)
  let line = 1
  let isSkipping = false
  for await (const chunk of source) {
    let bytes = chunk
    if (isSkipping) {
      const end = chunk.indexOf(LINE_FEED)
      if (end < 0) continue
      yield { bytes: Buffer.alloc(0), firstLine: line, isTooLong: true }
      line++
      isSkipping = false
      bytes = chunk.subarray(end + 1)
    } else if (rest.length > 0) bytes = Buffer.concat([rest, chunk])
    const end = bytes.lastIndexOf(LINE_FEED)
    rest = bytes.subarray(end + 1)
    if (end >= 0) {
      const whole = bytes.subarray(0, end)
      yield { bytes: whole, firstLine: line, isTooLong: false }
      line += countLines(whole)
    }
    if (rest.length <= LONGEST_LINE_BYTES) continue
    rest = Buffer.alloc(0)
    isSkipping = true
  }
  if (isSkipping) yield { bytes: Buffer.alloc(0), firstLine: line, isTooLong: true }
  else if (rest.length > 0) yield { bytes: rest, firstLine: line, isTooLong: false }
}

/** Lines that are separated by line feeds. */
export function countLines(bytes: Buffer): number {
  let count = 1
  // Faster than a look at each byte: the search is the machine's own.
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++
  return count
}
