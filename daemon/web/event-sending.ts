/** Server-sent events to one browser. What it has not read is bounded; one that does not read is dropped. */

import type { ServerResponse } from 'node:http'
import type { Cancel, Clock } from '../system/clock.ts'
import type { EventStream } from './event-stream.ts'

/** What a browser has not read yet. */
export const MOST_UNREAD_BYTES = 256 * 1024
/** A comment: it keeps proxies from closing the connection, and shows which browser reads nothing. */
const HEARTBEAT_MILLISECONDS = 15_000
/** Browsers come back after so long. */
const RETRY_MILLISECONDS = 3000

export const EVENT_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // When it ends, nothing follows.
  connection: 'close',
  // nginx would collect what is to be shown at once.
  'x-accel-buffering': 'no',
}

interface SendingOptions {
  readonly response: ServerResponse
  readonly clock: Pick<Clock, 'after'>
  readonly start: (stream: EventStream) => () => void
  /** At each heartbeat: false ends the stream. */
  readonly mayGoOn: () => boolean
}

/** Ends when the browser has gone. The headers are written already. */
export function sendEvents({ response, clock, start, mayGoOn }: SendingOptions): void {
  let cancel: Cancel = () => undefined
  let hadRest = false
  const send = (text: string): boolean => {
    if (response.destroyed || response.writableEnded) return false
    if (response.writableLength + text.length > MOST_UNREAD_BYTES) {
      response.destroy()
      return false
    }
    response.write(text)
    return true
  }
  const beat = (): void => {
    const hasRest = response.writableLength > 0
    if (!mayGoOn()) response.end()
    else if (hasRest && hadRest) response.destroy()
    else send(':\n\n')
    hadRest = hasRest
    if (!response.destroyed && !response.writableEnded)
      cancel = clock.after(HEARTBEAT_MILLISECONDS, beat)
  }
  send(`retry: ${RETRY_MILLISECONDS}\n\n`)
  const stop = start({ send })
  cancel = clock.after(HEARTBEAT_MILLISECONDS, beat)
  const end = (): void => {
    cancel()
    stop()
  }
  if (response.closed) end()
  else response.once('close', end)
}
