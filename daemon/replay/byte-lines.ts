/**
 * Bytes, as they come, to blocks of whole lines. Nothing is decoded: whether a line matters can be
 * seen in its bytes. What is held is bounded, whatever the file.
 */

/** A request may have 1 MiB, and JSON writes some characters in six. */
const LONGEST_LINE_BYTES = 4 * 1024 * 1024
/** A chunk, and what was left of the one before. */
const FIRST_BYTES = 2 * 1024 * 1024
const LINE_FEED = 0x0a

export interface LineBlock {
  /** Lines with a line feed between them. */
  readonly bytes: Buffer
  /** The number of the first one, from 1. */
  readonly firstLine: number
  /** The line of that number was left out; `bytes` is empty. */
  readonly isTooLong: boolean
}

/** The bytes of a block are overwritten when the next one is asked for. */
export async function* lineBlocks(source: AsyncIterable<Buffer>): AsyncGenerator<LineBlock> {
  // Used again and again: a new one for each block would be most of the memory.
  let buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)
  /** Bytes at its beginning whose line has no end yet. */
  let held = 0
  let line = 1
  let isSkipping = false
  for await (const chunk of source) {
    let from = 0
    if (isSkipping) {
      const end = chunk.indexOf(LINE_FEED)
      if (end < 0) continue
      yield { bytes: buffer.subarray(0, 0), firstLine: line, isTooLong: true }
      line++
      isSkipping = false
      from = end + 1
    }
    const length = held + chunk.length - from
    if (length > buffer.length) buffer = grown(buffer, held, length)
    chunk.copy(buffer, held, from)
    const end = buffer.lastIndexOf(LINE_FEED, length - 1)
    if (length > 0 && end >= 0) {
      const whole = buffer.subarray(0, end)
      yield { bytes: whole, firstLine: line, isTooLong: false }
      line += countLines(whole)
      buffer.copyWithin(0, end + 1, length)
      held = length - end - 1
    } else held = length
    if (held <= LONGEST_LINE_BYTES) continue
    held = 0
    isSkipping = true
  }
  const rest = buffer.subarray(0, held)
  if (isSkipping) yield { bytes: rest, firstLine: line, isTooLong: true }
  else if (held > 0) yield { bytes: rest, firstLine: line, isTooLong: false }
}

function grown(buffer: Buffer, held: number, length: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(2 * length)
  buffer.copy(larger, 0, 0, held)
  return larger
}

/** Lines that are separated by line feeds. */
export function countLines(bytes: Buffer): number {
  let count = 1
  // Faster than a look at each byte: the search is the machine's own.
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++
  return count
}
