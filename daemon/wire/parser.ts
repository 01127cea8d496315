/**
 * Bytes to requests: Postfix's policy delegation protocol (SMTPD_POLICY_README, attr_scan(3)).
 *
 * An empty line ends a request; `attributes.ts` reads its lines. The cut of the bytes into packets
 * makes no difference, and a request costs the same however it arrives. A request is read when it is
 * asked for: what has come and nobody asks for stays what it is, bytes. What is not such lines, or
 * larger than the caps, is a ProtocolError: the connection is beyond use, nobody else's is.
 */

import type { Attributes } from '../policy/request.ts'
import { MOST_LINE_BYTES, ProtocolError, RequestShapes } from './attributes.ts'

export const MOST_REQUEST_BYTES = 1024 * 1024

const LF = 10
const CR = 13
const NOTHING = Buffer.alloc(0)

export class RequestParser {
  readonly #shapes: RequestShapes
  /** What has come and was not asked for; grows by doubling, so that single bytes cost no copies. */
  #held = NOTHING
  #start = 0
  #end = 0
  /** No request ends before it, but for an end of which it has only a part. */
  #searched = 0

  constructor(shapes = new RequestShapes()) {
    this.#shapes = shapes
  }

  /** Bytes of memory in use. */
  get heldBytes(): number {
    return this.#held.length
  }

  /** Bytes that have come and are not asked for yet. */
  get length(): number {
    return this.#end - this.#start
  }

  /** The request that these bytes are, as from Postfix: one as usual, whole, and nothing besides. */
  only(bytes: Buffer, length = bytes.length): Attributes | undefined {
    if (this.length > 0 || length > MOST_LINE_BYTES) return undefined
    return this.#shapes.asBefore(bytes.toString('utf8', 0, length))
  }

  /** Takes the first `length` bytes in; keeps nothing of `bytes`. */
  push(bytes: Buffer, length = bytes.length): void {
    const before = this.length
    const needed = before + length
    if (this.#end + length > this.#held.length) {
      const room = needed > this.#held.length ? Math.max(needed, roomFor(needed)) : 0
      const target = room > 0 ? Buffer.allocUnsafe(room) : this.#held
      this.#held.copy(target, 0, this.#start, this.#end)
      this.#held = target
      this.#searched -= this.#start
      this.#start = 0
      this.#end = before
    }
    bytes.copy(this.#held, this.#end, 0, length)
    this.#end += length
  }

  /** The next request that is complete, in their order; undefined if none is. Throws ProtocolError. */
  next(): Attributes | undefined {
    const start = this.#start
    const bytes = this.#held.subarray(0, this.#end)
    // An end may lie across the seam: step back over what could be its first bytes.
    const end = findEnd(bytes, start, Math.max(start, this.#searched - 2))
    if (!end) {
      this.#searched = this.#end
      this.#checkSize()
      return undefined
    }
    const attributes = this.#read(bytes, start, end.contentEnd)
    this.#start = end.next
    this.#searched = end.next
    if (this.length === 0) this.clear()
    return attributes
  }

  /** Drops what has come. */
  clear(): void {
    this.#held = NOTHING
    this.#start = 0
    this.#end = 0
    this.#searched = 0
  }

  #read(bytes: Buffer, start: number, end: number): Attributes {
    if (end - start > MOST_REQUEST_BYTES) {
      throw new ProtocolError(`request larger than ${MOST_REQUEST_BYTES} bytes`)
    }
    return this.#shapes.read(bytes.toString('utf8', start, end))
  }

  #checkSize(): void {
    if (this.length <= MOST_LINE_BYTES) return
    if (this.length > MOST_REQUEST_BYTES) {
      throw new ProtocolError(`request larger than ${MOST_REQUEST_BYTES} bytes`)
    }
    const lineStart = Math.max(this.#start, this.#held.lastIndexOf(LF, this.#end - 1) + 1)
    if (this.#end - lineStart > MOST_LINE_BYTES) {
      throw new ProtocolError(`line longer than ${MOST_LINE_BYTES} bytes`)
    }
  }
}

function roomFor(bytes: number): number {
  return Math.min(bytes * 2, MOST_REQUEST_BYTES)
}

/** The first empty line at or after `search`: where its request's content ends, and what follows it. */
function findEnd(
  bytes: Buffer,
  start: number,
  search: number,
): { contentEnd: number; next: number } | undefined {
  // An empty line at the very start: a request without attributes.
  if (bytes[start] === LF) return { contentEnd: start, next: start + 1 }
  if (bytes[start] === CR && bytes[start + 1] === LF) {
    return { contentEnd: start, next: start + 2 }
  }
  // Line by line: a search for the whole mark would run through all that follows, for each request.
  for (let lf = bytes.indexOf(LF, search); lf >= 0; lf = bytes.indexOf(LF, lf + 1)) {
    if (bytes[lf + 1] === LF) return { contentEnd: lf + 1, next: lf + 2 }
    if (bytes[lf + 1] === CR && bytes[lf + 2] === LF) return { contentEnd: lf + 1, next: lf + 3 }
  }
  return undefined
}
