/**
 * Which SMTP services send a request at a message's end.
 *
 * Where a service sends requests at RCPT only, a completed message cannot be told from an aborted one,
 * so reservations of unfinished messages are counted. Aborted messages are normal; nothing but aborted
 * messages means that Postfix was reconfigured.
 */

import type { LedgerStore } from './store.ts'

/** After this many messages in a row without a request at their end, a service sends them at RCPT only. */
export const MISSED_ENDS = 50
/** Services that are remembered; a service is a local address and port, so there are few. */
const MOST_SERVICES = 1000

export class Services {
  readonly #asksAtEnd: Map<string, boolean>
  /** Messages in a row without a request at their end. */
  readonly #missedEnds = new Map<string, number>()

  constructor(known: Iterable<readonly [service: string, asksAtEnd: boolean]>) {
    this.#asksAtEnd = new Map(known)
  }

  /** A service has sent a request, at a message's end or at RCPT. */
  note(service: string, asksAtEnd: boolean, store: LedgerStore): void {
    const known = this.#asksAtEnd.get(service)
    if (asksAtEnd && this.#missedEnds.size > 0) this.#missedEnds.delete(service)
    if (known === true || known === asksAtEnd) return
    if (known === undefined && this.#asksAtEnd.size >= MOST_SERVICES) return
    this.#set(service, asksAtEnd, store)
  }

  /** A message is over without a request at its end. True if it is to be counted. */
  noteMissedEnd(service: string, store: LedgerStore): boolean {
    const counts = this.countsMissedEnd(service, 1)
    if (this.#asksAtEnd.get(service) !== true) return counts
    if (counts) {
      this.#missedEnds.delete(service)
      this.#set(service, false, store)
    } else this.#missedEnds.set(service, (this.#missedEnds.get(service) ?? 0) + 1)
    return counts
  }

  /** Would the `nth` message from now on that is over without a request at its end be counted? */
  countsMissedEnd(service: string, nth: number): boolean {
    const asksAtEnd = this.#asksAtEnd.get(service)
    if (asksAtEnd !== true) return asksAtEnd === false
    return (this.#missedEnds.get(service) ?? 0) + nth >= MISSED_ENDS
  }

  #set(service: string, asksAtEnd: boolean, store: LedgerStore): void {
    this.#asksAtEnd.set(service, asksAtEnd)
    store.rememberService(service, asksAtEnd)
  }

  all(): Iterable<readonly [service: string, asksAtEnd: boolean]> {
    return this.#asksAtEnd
  }

  recipientOnly(): string[] {
    return [...this.#asksAtEnd].filter(([, asksAtEnd]) => !asksAtEnd).map(([service]) => service)
  }
}
