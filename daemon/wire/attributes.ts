/**
 * The attributes of a request: lines `name=value` (SMTPD_POLICY_README, attr_scan(3)).
 *
 * Split at the first `=`, nothing is trimmed, the last of equal names wins, one CR before the LF is
 * dropped. What is not such lines is a ProtocolError.
 */

import { ownText } from '../memory/own-text.ts'
import type { Attributes } from '../policy/request.ts'

export const MOST_LINE_BYTES = 256 * 1024

export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

const CR = 13

/**
 * The names of a request in their order. A Postfix sends the same ones with every request, so most
 * often one pattern finds all the values that are used, and the rest need not be cut out.
 */
interface Shape {
  readonly names: readonly string[]
  /** A whole request of these names; values that have been asked for are captured. */
  readonly pattern: RegExp
  /** Which of the captures a name is; 0 for a name that nobody has asked for. */
  readonly captures: ReadonlyMap<string, number>
}

const MOST_SHAPES = 16
/** Postfix 3.10 sends 32 attributes, whose names have 500 characters. Long patterns take long to make. */
const MOST_NAMES = 100
const MOST_CHARACTERS = 4096

/**
 * The shapes of the requests that a server gets, learnt from them: several Postfixes may send different
 * ones. Shared by its connections.
 */
export class RequestShapes {
  /**
   * By their names. Undefined for names that have come only once: a pattern takes as long to make as
   * thirty requests take to read.
   */
  readonly #shapes = new Map<string, Shape | undefined>()
  /** Names requested so far, as the caller's own string: V8 compares identical strings by pointer. */
  readonly #demanded = new Map<string, string>()
  /** The shape of the request before. */
  #usual: Shape | undefined

  /** A whole request, its empty line included, if it has the names of the one before. */
  asBefore(text: string): Attributes | undefined {
    const shape = this.#usual
    const found = shape?.pattern.exec(text)
    return shape && found ? new ShapedAttributes(this, shape, found) : undefined
  }

  /** The lines of a request, without the empty one. Throws ProtocolError. */
  read(text: string): Attributes {
    const lines = linesOf(text)
    const attributes = new Map(lines)
    // With repeated names a pattern would not say which one counts; a huge request is not from Postfix.
    if (lines.length === attributes.size && lines.length <= MOST_NAMES) {
      this.#learn([...attributes.keys()])
    }
    return attributes
  }

  /** From now on, requests of these names capture this one, too. */
  demand(name: string, names: readonly string[]): Shape {
    this.#demanded.set(name, name)
    const shape = this.#shapeOf(names)
    const key = keyOf(shape.names)
    if (this.#shapes.has(key)) this.#shapes.set(key, shape)
    this.#usual = shape
    return shape
  }

  #learn(names: readonly string[]): void {
    const key = keyOf(names)
    if (key.length > MOST_CHARACTERS || !names.every(name => /^\w+$/.test(name))) return
    let shape = this.#shapes.get(key)
    if (this.#shapes.has(key)) shape ??= this.#shapeOf(names)
    else if (this.#shapes.size >= MOST_SHAPES) this.#shapes.clear()
    this.#shapes.set(key, shape)
    this.#usual = shape
  }

  #shapeOf(names: readonly string[]): Shape {
    const captures = new Map<string, number>()
    let capture = 0
    let pattern = ''
    for (const name of names) {
      const demanded = this.#demanded.get(name)
      captures.set(demanded ?? ownText(name), demanded === undefined ? 0 : ++capture)
      // A line with a CR does not match and is read the long way.
      pattern += demanded === undefined ? `${name}=.*\n` : `${name}=(.*)\n`
    }
    return { names: [...captures.keys()], pattern: new RegExp(`^${pattern}\n$`), captures }
  }
}

class ShapedAttributes implements Attributes {
  readonly #shapes: RequestShapes
  #shape: Shape
  #found: RegExpExecArray

  constructor(shapes: RequestShapes, shape: Shape, found: RegExpExecArray) {
    this.#shapes = shapes
    this.#shape = shape
    this.#found = found
  }

  get(name: string): string | undefined {
    const capture = this.#shape.captures.get(name)
    if (capture === undefined) return undefined
    return capture === 0 ? this.#getFirst(name) : this.#found[capture]
  }

  [Symbol.iterator](): Iterator<[name: string, value: string]> {
    return new Map(linesOf(this.#found.input))[Symbol.iterator]()
  }

  /** The first time that anybody asks for this name. */
  #getFirst(name: string): string | undefined {
    const shape = this.#shapes.demand(name, this.#shape.names)
    const found = shape.pattern.exec(this.#found.input)
    if (!found) return undefined
    this.#shape = shape
    this.#found = found
    return this.get(name)
  }
}

const keyOf = (names: readonly string[]): string => names.join(' ')

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

/** One CR before the LF is not part of the value. */
function valueEnd(text: string, valueStart: number, lineEnd: number): number {
  return lineEnd > valueStart && text.charCodeAt(lineEnd - 1) === CR ? lineEnd - 1 : lineEnd
}
