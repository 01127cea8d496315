/**
 * Bytes to requests: Postfix's policy delegation protocol (SMTPD_POLICY_README, attr_scan(3)).
 *
 * Lines `name=value`, an empty line ends the request. Split at the first `=`, nothing is trimmed,
 * the last of equal names wins, one CR before the LF is dropped. The cut of the bytes into packets
 * makes no difference, and a request costs the same however it arrives. What is not such lines, or
 * larger than the caps, is a ProtocolError: the connection is beyond use, nobody else's is.
 */

import { ownText } from '../policy/own-text.ts'
import type { Attributes } from '../policy/request.ts'

export const MOST_LINE_BYTES = 256 * 1024
export const MOST_REQUEST_BYTES = 1024 * 1024

export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** Postfix 3.10 sends 32 attributes. */
const MOST_USUAL_NAMES = 100

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
    const first = this.#length === 0 ? takeAsUsual(bytes, length) : undefined
    // As from Postfix: one request, and nothing else.
    if (first?.byteLength === length) return [first]
    const chunk = bytes.subarray(0, length)
    if (this.#length === 0) {
      const requests: Attributes[] = first ? [first] : []
      const begin = first?.byteLength ?? 0
      const rest = takeRequests(chunk, begin, begin, requests)
      if (rest < chunk.length) this.#hold(chunk.subarray(rest))
      return requests
    }
    const requests: Attributes[] = []
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
  return parseAnew(bytes.toString('utf8', start, end))
}

/** The names of a request in their order. */
interface Layout {
  /** All the `name=`, as lines begin, joined. */
  readonly heads: Uint8Array
  /** Where each of them ends. */
  readonly headEnds: readonly number[]
  readonly places: ReadonlyMap<string, number>
}

/**
 * Of the request before. A Postfix sends the same names in the same order with every request, so
 * most often they need only be compared, not cut out and sorted in.
 */
let usual: Layout = { heads: new Uint8Array(0), headEnds: [], places: new Map() }

class SentAttributes implements Attributes {
  readonly #layout: Layout
  readonly #text: string
  /** Where in the text each line ends. */
  readonly #lineEnds: readonly number[]

  constructor(layout: Layout, text: string, lineEnds: readonly number[]) {
    this.#layout = layout
    this.#text = text
    this.#lineEnds = lineEnds
  }

  get(name: string): string | undefined {
    const place = this.#layout.places.get(name)
    return place === undefined ? undefined : this.#value(place)
  }

  /** Of the request, the empty line that ends it included. */
  get byteLength(): number {
    return this.#text.length + 1
  }

  *[Symbol.iterator](): Iterator<[name: string, value: string]> {
    for (const [name, place] of this.#layout.places) yield [name, this.#value(place)]
  }

  #value(place: number): string {
    const { headEnds } = this.#layout
    const head = (headEnds[place] ?? 0) - (headEnds[place - 1] ?? 0)
    const start = (this.#lineEnds[place - 1] ?? -1) + 1 + head
    return this.#text.slice(start, this.#lineEnds[place])
  }
}

/** The request that the bytes begin with, if it is complete and of the usual layout. */
function takeAsUsual(bytes: Buffer, length: number): SentAttributes | undefined {
  if (length > MOST_LINE_BYTES) return undefined
  const lineEnds = linesAsUsual(bytes, length, usual)
  const end = lineEnds?.at(-1)
  if (!lineEnds || end === undefined) return undefined
  const text = bytes.toString('utf8', 0, end + 1)
  // Places of bytes are places of characters only where each byte is one.
  return text.length === end + 1 ? new SentAttributes(usual, text, lineEnds) : undefined
}

/**
 * Where the lines of a complete request end; undefined if it has another layout. Every byte of
 * nearly every request comes by here: plain loops, which ask for nothing beyond the end.
 */
function linesAsUsual(bytes: Buffer, length: number, layout: Layout): number[] | undefined {
  const { heads, headEnds } = layout
  const lineEnds = new Array<number>(headEnds.length)
  let at = 0
  let compared = 0
  for (let line = 0; line < headEnds.length; line++) {
    const headEnd = headEnds[line] ?? 0
    if (at + headEnd - compared >= length) return undefined
    for (; compared < headEnd; compared++) if (bytes[at++] !== heads[compared]) return undefined
    while (at < length && bytes[at] !== LF) at++
    // Lines that end otherwise are read otherwise.
    if (bytes[at - 1] === CR) return undefined
    lineEnds[line] = at
    at++
  }
  return at < length && bytes[at] === LF ? lineEnds : undefined
}

function parseAnew(text: string): Attributes {
  const attributes = new Map<string, string>()
  let lines = 0
  for (let at = 0; at < text.length; lines++) {
    const lineEnd = text.indexOf('\n', at)
    const equals = text.indexOf('=', at)
    if (equals < 0 || equals >= lineEnd) {
      throw new ProtocolError('a line without "=": this is not the policy delegation protocol')
    }
    if (lineEnd - at > MOST_LINE_BYTES) {
      throw new ProtocolError(`line longer than ${MOST_LINE_BYTES} bytes`)
    }
    const name = text.slice(at, equals)
    attributes.set(name, text.slice(equals + 1, valueEnd(text, equals + 1, lineEnd)))
    at = lineEnd + 1
  }
  // A layout of repeated names would not say which of them counts; a huge one is no Postfix's.
  if (lines === attributes.size && lines <= MOST_USUAL_NAMES) usual = layoutOf(attributes.keys())
  return attributes
}

/** One CR before the LF is no part of the value. */
function valueEnd(text: string, valueStart: number, lineEnd: number): number {
  return lineEnd > valueStart && text.charCodeAt(lineEnd - 1) === CR ? lineEnd - 1 : lineEnd
}

function layoutOf(names: Iterable<string>): Layout {
  const places = new Map<string, number>()
  const headEnds: number[] = []
  let heads = ''
  for (const name of names) {
    places.set(ownText(name), headEnds.length)
    heads += `${name}=`
    headEnds.push(Buffer.byteLength(heads))
  }
  return { heads: Buffer.from(heads), headEnds, places }
}
