/** What handlers answer. The server adds the security headers to each. */

import type { EventStream } from './event-stream.ts'

export type Reply = WholeReply | EventReply

export interface WholeReply {
  readonly kind: 'whole'
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** Server-sent events. */
export interface EventReply {
  readonly kind: 'events'
  /** Called once; what it returns is called when the reader has gone. */
  readonly start: (stream: EventStream) => () => void
}

const JSON_TYPE = 'application/json; charset=utf-8'

export function json(value: unknown, status = 200): WholeReply {
  const body = JSON.stringify(value)
  return { kind: 'whole', status, headers: { 'content-type': JSON_TYPE }, body }
}

export function events(start: EventReply['start']): EventReply {
  return { kind: 'events', start }
}

/** An answer that is not the one hoped for: thrown by handlers, told as `{"error": message}`. */
export class WebError extends Error {
  override readonly name = 'WebError'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  /** @param status 4xx: what the browser may do better; 5xx: what it may not. */
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}
