/**
 * Bytes to requests: Postfix's policy delegation protocol (SMTPD_POLICY_README, attr_scan(3)).
 *
 * An empty line ends a request; `attributes.ts` reads its lines. The cut of the bytes into packets
 * makes no difference, and a request costs the same however it arrives. What is not such lines, or
 * larger than the caps, is a ProtocolError: the connection is beyond use, nobody else's is.
 */

import type { Attributes } from '../policy/request.ts'
import { asBefore, attributesOf, MOST_LINE_BYTES, ProtocolError } from './attributes.ts'

export const MOST_REQUEST_BYTES = 1024 * 1024

const LF = 10
const CR = 13

export class RequestParser {
  /** Bytes of an unfinished request; grows by doubling, so that single bytes cost no copies. */
  #held = Buffer.alloc(0)
  #length = 0
  /** Where the search for the end goes on, and where the last line seen begins. */
  #searched = 0

  /**
   * The requests that are complete with the first `length` of these bytes, in order. Throws
   * ProtocolError. Keeps nothing of `bytes`.
   */
  push(bytes: Buffer, length = bytes.length): Attributes[] {
    if (this.#length === 0 && length <= MOST_LINE_BYTES) {
      // As from Postfix: one request, and nothing else.
      const only = asBefore(bytes.toString('utf8', 0, length))
      if (only) return [only]
    }
    const chunk = bytes.subarray(0, length)
    const requests: Attributes[] = []
    if (this.#length === 0) {
      const rest = takeRequests(chunk, 0, 0, requests)
      if (rest < chunk.length) this.#hold(chunk.subarray(rest))
      return requests
    }
    this.#hold(chunk)
    // An end may lie across the seam: step back over what could be its first bytes.
    const from = Math.max(0, this.#searched - 2)
    const rest = takeRequests(this.#held.subarray(0, this.#length), 0, from, requests)
    if (requests.length > 0) {
      const left = Buffer.from(this.#held.subarray(rest, this.#length))
      this.#held = left
      this.#length = left.length
    }
    this.#searched = this.#length
    this.#checkSize()
    return requests
  }

  /** Is a request begun and not finished? */
  get isMidRequest(): boolean {
    return this.#length > 0
  }

  #hold(chunk: Buffer): void {
    const needed = this.#length + chunk.length
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, Math.min(needed * 2, MOST_REQUEST_BYTES)))
      this.#held.copy(grown, 0, 0, this.#length)
      this.#held = grown
    }
    chunk.copy(this.#held, this.#length)
    this.#length = needed
    if (this.#searched === 0) this.#checkSize()
  }

  #checkSize(): void {
    if (this.#length <= MOST_LINE_BYTES) return
    if (this.#length > MOST_REQUEST_BYTES) {
      throw new ProtocolError(`request larger than ${MOST_REQUEST_BYTES} bytes`)
    }
    const lineStart = this.#held.lastIndexOf(LF, this.#length - 1) + 1
    if (this.#length - lineStart > MOST_LINE_BYTES) {
      throw new ProtocolError(`line longer than ${MOST_LINE_BYTES} bytes`)
    }
  }
}

/**
 * Takes all complete requests out of the bytes from `begin` on; no end lies before `from`. Returns
 * where the unfinished rest begins.
 */
function takeRequests(bytes: Buffer, begin: number, from: number, requests: Attributes[]): number {
  let start = begin
  let search = from
  while (start < bytes.length) {
    const end = findEnd(bytes, start, Math.max(start, search))
    if (end === undefined) break
    requests.push(parseRequest(bytes, start, end.contentEnd))
    start = end.next
    search = start
  }
  return start
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

function parseRequest(bytes: Buffer, start: number, end: number): Attributes {
  if (end - start > MOST_REQUEST_BYTES) {
    throw new ProtocolError(`request larger than ${MOST_REQUEST_BYTES} bytes`)
  }
  return attributesOf(bytes.toString('utf8', start, end))
}
