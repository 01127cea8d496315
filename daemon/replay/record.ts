/** A request of the past, whatever it was read from. */

import type { Attributes } from '../policy/request.ts'

export interface Recorded {
  /** When it was sent, milliseconds since 1970. */
  readonly t: number
  /** The policy connection it came on: what is recorded under one name is one smtpd process. */
  readonly conn: string
  readonly attributes: Attributes
  /** The length of what it was read from: roughly what it takes in memory. */
  readonly bytes: number
}

/** Attributes by their names, as they are in a record. */
export class RecordedAttributes implements Attributes {
  readonly #values: Readonly<Record<string, string>>

  constructor(values: Readonly<Record<string, string>>) {
    this.#values = values
  }

  get(name: string): string | undefined {
    const value: unknown = this.#values[name]
    // What every object has by itself, such as `constructor`, is not a text.
    return typeof value === 'string' ? value : undefined
  }

  [Symbol.iterator](): Iterator<[name: string, value: string]> {
    return Object.entries(this.#values)[Symbol.iterator]()
  }
}

/** Where a record, or a line that is none, is. */
export interface RecordPlace {
  /** As it was named; `-` is standard input. */
  readonly file: string
  /** 1-based. */
  readonly line: number
}
