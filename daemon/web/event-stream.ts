/**
 * Server-sent events (WHATWG HTML, 9.2). All readers share what is sent: an event is made into text once.
 *
 *   const hub = new EventHub({ begun: startPolling, ended: stopPolling })
 *   { method: 'GET', path: '/api/events', role: 'read', handle: () => events(hub.join) }
 *   hub.publish('status', JSON.stringify(status))
 *
 * A reader that does not read is dropped; EventSource comes back by itself.
 */

/** One reader. */
export interface EventStream {
  /** @param text what `eventText` has made. False: the reader is too slow, and was dropped. */
  send(text: string): boolean
}

/** @param data without line breaks, as JSON.stringify makes it. */
export function eventText(name: string, data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`
}

interface HubOptions {
  /** The first reader has come: the polling of what is sent may begin. */
  readonly begun?: () => void
  /** The last one has gone. */
  readonly ended?: () => void
  /** What a new reader gets at once, such as the last status: texts that `eventText` has made. */
  readonly greeting?: () => readonly string[]
}

export class EventHub {
  readonly #options: HubOptions
  readonly #streams = new Set<EventStream>()

  constructor(options: HubOptions = {}) {
    this.#options = options
  }

  get isHeard(): boolean {
    return this.#streams.size > 0
  }

  /** For `events(hub.join)`. */
  readonly join = (stream: EventStream): (() => void) => {
    for (const text of this.#options.greeting?.() ?? []) stream.send(text)
    this.#streams.add(stream)
    if (this.#streams.size === 1) this.#options.begun?.()
    return () => {
      if (!this.#streams.delete(stream)) return
      if (this.#streams.size === 0) this.#options.ended?.()
    }
  }

  publish(name: string, data: string): void {
    if (!this.isHeard) return
    const text = eventText(name, data)
    for (const stream of this.#streams) stream.send(text)
  }
}
