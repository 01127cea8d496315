/**
 * What Memcached and Redis have in common here: where they are, and how much patience they get.
 *
 * A request has four seconds, and may ask a store several times. So a server is waited for one
 * second, once: after that it is not asked for two seconds, and whoever needs it fails at once.
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
export const REST_MILLISECONDS = 2000
/** Questions that wait for one server. */
export const MOST_WAITING = 1000
/** Bytes of a value: memcached's own limit is 1 MiB with all that belongs to it. */
export const MOST_BYTES = 1_000_000

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
