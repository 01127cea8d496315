/**
 * What Memcached and Redis have in common here: where they are, and how much patience they get.
 *
 * A request has four seconds, and may ask a store several times. So a server is waited for one
 * second, once: after that it is not asked for two seconds, and whoever needs it fails at once. Then
 * one question tries whether it answers again, and everybody else goes on failing until it does.
 */

import { LookupError, withoutLogin } from '../policy/errors.ts'
import type { KeyValueStore } from '../policy/key-value.ts'

export interface ClosableKeyValueStore extends KeyValueStore {
  /** Ends the connections; whatever is asked from now on fails. */
  close(): void
}

/** For connecting, and for each answer. */
export const ANSWER_MILLISECONDS = 1000
/** How long a server that did not answer in time is left alone. */
const REST_MILLISECONDS = 2000
/** Questions that wait for one server. */
export const MOST_WAITING = 1000
/** Bytes of a value: memcached's own limit is 1 MiB with all that belongs to it. */
export const MOST_BYTES = 1_000_000

/** Whether a server may be asked. */
export class Patience {
  #restsUntil = Number.NEGATIVE_INFINITY
  #isSilent = false
  #isTried = false

  /** Why it is not asked now; undefined: ask, and tell how it ended. */
  refusal(): string | undefined {
    if (performance.now() < this.#restsUntil) return 'did not answer a moment ago'
    if (!this.#isSilent) return undefined
    if (this.#isTried) return 'has not answered again yet'
    this.#isTried = true
    return undefined
  }

  /** There was an answer, or an end that took no time. */
  noteHeard(): void {
    this.#isSilent = false
    this.#isTried = false
  }

  noteSilent(): void {
    this.#restsUntil = performance.now() + REST_MILLISECONDS
    this.#isSilent = true
    this.#isTried = false
  }
}

/** HOST:PORT, HOST, [IPV6]:PORT, or the path of a socket. */
export function serverAddress(
  text: string,
  defaultPort: number,
): { readonly path: string } | { readonly host: string; readonly port: number } {
  const trimmed = text.trim()
  if (trimmed.startsWith('/')) return { path: trimmed }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:\s]+))(?::(\d+))?$/.exec(trimmed) ?? []
  const host = bracketed ?? plain
  const port = Number(digits ?? defaultPort)
  if (host === undefined || port < 1 || port > 65_535) {
    throw new LookupError(`expected HOST:PORT, found "${withoutLogin(text)}"`)
  }
  return { host, port }
}

/** Throws LookupError if no store takes so much. */
export function checkSize(value: string): void {
  const bytes = Buffer.byteLength(value)
  if (bytes > MOST_BYTES) {
    throw new LookupError(`a value of ${bytes} bytes is more than is kept (${MOST_BYTES})`)
  }
}
