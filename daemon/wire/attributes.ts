/**
 * The attributes of a request: lines `name=value` (SMTPD_POLICY_README, attr_scan(3)).
 *
 * Split at the first `=`, nothing is trimmed, the last of equal names wins, one CR before the LF is
 * dropped. What is not such lines is a ProtocolError.
 */

import { ownText } from '../policy/own-text.ts'
import type { Attributes } from '../policy/request.ts'

export const MOST_LINE_BYTES = 256 * 1024

export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

const CR = 13

/**
 * The names of a request in their order. A Postfix sends the same ones with every request, so most
 * often one pattern finds all that is asked for, and the rest need not be cut out.
 */
interface Layout {
  readonly names: readonly string[]
  /** A whole request of these names; what has been asked for is captured. */
  readonly pattern: RegExp
  /** Which of the captures a name is; 0 for one that nobody has asked for. */
  readonly captures: ReadonlyMap<string, number>
}

/**
 * By their names: several Postfixes may ask. Undefined for names that have come only once: a pattern
 * takes as long to make as thirty requests to read.
 */
const layouts = new Map<string, Layout | undefined>()
const MOST_LAYOUTS = 16
/** Postfix 3.10 sends 32 attributes, whose names have 500 characters. Long patterns take long to make. */
const MOST_NAMES = 100
const MOST_CHARACTERS = 4096

/** Names that anybody has asked for, each as it was asked for: what is the same text is found at once. */
const wanted = new Map<string, string>()

/** Of the request before. */
let usual: Layout | undefined

class UsualAttributes implements Attributes {
  #layout: Layout
  #found: RegExpExecArray

  constructor(layout: Layout, found: RegExpExecArray) {
    this.#layout = layout
    this.#found = found
  }

  get(name: string): string | undefined {
    const capture = this.#layout.captures.get(name)
    if (capture === undefined) return undefined
    return capture === 0 ? this.#want(name) : this.#found[capture]
  }

  [Symbol.iterator](): Iterator<[name: string, value: string]> {
    return new Map(linesOf(this.#found.input))[Symbol.iterator]()
  }

  /** The first time that anybody asks for it. */
  #want(name: string): string | undefined {
    wanted.set(name, name)
    usual = layoutOf(this.#layout.names)
    const key = keyOf(usual.names)
    if (layouts.has(key)) layouts.set(key, usual)
    const found = usual.pattern.exec(this.#found.input)
    if (!found) return undefined
    this.#layout = usual
    this.#found = found
    return this.get(name)
  }
}

/** A whole request, its empty line included, if it has the names of the one before. */
export function asBefore(text: string): Attributes | undefined {
  const found = usual?.pattern.exec(text)
  return usual && found ? new UsualAttributes(usual, found) : undefined
}

/** The lines of a request, without the empty one. Throws ProtocolError. */
export function attributesOf(text: string): Attributes {
  const lines = linesOf(text)
  const attributes = new Map(lines)
  // Of repeated names a pattern would not say which of them counts; a huge one is no Postfix's.
  if (lines.length === attributes.size && lines.length <= MOST_NAMES) learn([...attributes.keys()])
  return attributes
}

function learn(names: readonly string[]): void {
  const key = keyOf(names)
  if (key.length > MOST_CHARACTERS || !names.every(name => /^\w+$/.test(name))) return
  let layout = layouts.get(key)
  if (layouts.has(key)) layout ??= layoutOf(names)
  else if (layouts.size >= MOST_LAYOUTS) layouts.clear()
  layouts.set(key, layout)
  usual = layout
}

const keyOf = (names: readonly string[]): string => names.join(' ')

function layoutOf(names: readonly string[]): Layout {
  const captures = new Map<string, number>()
  let capture = 0
  let pattern = ''
  for (const name of names) {
    const asked = wanted.get(name)
    captures.set(asked ?? ownText(name), asked === undefined ? 0 : ++capture)
    // A line with a CR is read otherwise.
    pattern += asked === undefined ? `${name}=.*\n` : `${name}=(.*)\n`
  }
  return { names: [...captures.keys()], pattern: new RegExp(`^${pattern}\n$`), captures }
}

/** In their order; names may be repeated. */
function linesOf(text: string): [name: string, value: string][] {
  const lines: [string, string][] = []
  for (let at = 0; at < text.length && text[at] !== '\n'; ) {
    const lineEnd = text.indexOf('\n', at)
    const equals = text.indexOf('=', at)
    if (equals < 0 || equals >= lineEnd) {
      throw new ProtocolError('a line without "=": this is not the policy delegation protocol')
    }
    if (lineEnd - at > MOST_LINE_BYTES) {
      throw new ProtocolError(`line longer than ${MOST_LINE_BYTES} bytes`)
    }
    const value = text.slice(equals + 1, valueEnd(text, equals + 1, lineEnd))
    lines.push([text.slice(at, equals), value])
    at = lineEnd + 1
  }
  return lines
}

/** One CR before the LF is no part of the value. */
function valueEnd(text: string, valueStart: number, lineEnd: number): number {
  return lineEnd > valueStart && text.charCodeAt(lineEnd - 1) === CR ? lineEnd - 1 : lineEnd
}
