/** What Memcached and Redis have in common here: how they are addressed, and how much they may take. */

import type { ServerAccessOptions } from '../net/server-access.ts'
import type { KeyValueStore } from '../policy/ports/key-value.ts'
import type { Clock } from '../system/clock.ts'
import { LookupError, withoutLogin } from '../system/errors.ts'

export interface ClosableKeyValueStore extends KeyValueStore {
  /** Ends the connections; every later call fails. */
  close(): void
}

/**
 * For connecting and the answer together: a request has four seconds, and may query a store several times.
 */
export const ANSWER_MILLISECONDS = 1000
/** Requests pending at one server. */
const MOST_PENDING = 1000
/** Bytes of a value: memcached's own limit is 1 MiB with all that belongs to it. */
export const MOST_BYTES = 1_000_000

/** One connection carries all requests, so none of them waits for another. */
export function storeAccess(
  options: Pick<ServerAccessOptions, 'title' | 'secret' | 'closeIdle'> & { readonly clock: Clock },
): ServerAccessOptions {
  return { ...options, atOnce: MOST_PENDING, waiting: 0, milliseconds: ANSWER_MILLISECONDS }
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

/** Throws LookupError if no store takes that much. */
export function checkSize(value: string): void {
  const bytes = Buffer.byteLength(value)
  if (bytes > MOST_BYTES) {
    throw new LookupError(`a value of ${bytes} bytes is too large (at most ${MOST_BYTES})`)
  }
}
