/**
 * Messages that go through a filter before the queue: smtpd knows their users, but no queue id; behind the
 * filter they have a queue id, but no user. The answer of the filter joins both. It is logged before or after
 * the queue manager has the message.
 */

import { readProxyAccept } from '../maillog/proxy-accept.ts'
import type { ClientRecord, MailRecord } from '../maillog/record.ts'

/** Connections to users, of which one process has one at a time. */
const MOST_CLIENTS = 10_000
/** Messages without a login that the queue manager took over lately. */
const MOST_QUEUED = 1000

export class ProxiedMail {
  /** By host and process. */
  readonly #clients = new Map<string, ClientRecord>()
  /** Lines of the queue manager, by queue id; undefined: its user is known without the filter. */
  readonly #queued = new Map<string, string | undefined>()
  /** Messages whose queue id the filter did not tell. */
  unnamed = 0
  /** Messages that no filter has accepted, so far. */
  unaccepted = 0

  /** A message that has no queue id begins. */
  begin(client: ClientRecord): void {
    this.unaccepted++
    keep(this.#clients, keyOf(client), client, MOST_CLIENTS)
  }

  /** A message without a login. `line` is asked for only where it may matter. */
  noteQueued(queueId: string, line: () => string): void {
    if (this.#clients.size > 0) keep(this.#queued, queueId, line(), MOST_QUEUED)
  }

  /** A filter may tell the server behind it who has logged in (XCLIENT). */
  noteRequest(queueId: string): void {
    if (this.#clients.size > 0) keep(this.#queued, queueId, undefined, MOST_QUEUED)
  }

  /**
   * The client of a message that the filter has accepted, with its queue id behind the filter, and the queue
   * manager's line if that came before. Undefined: it was none, or cannot be found.
   */
  accept(
    record: MailRecord,
  ): { readonly client: ClientRecord; readonly queued: string | undefined } | undefined {
    const accepted = readProxyAccept(record.text)
    if (!accepted) return undefined
    const { queueId, saslUsername } = accepted
    const begun = this.#clients.get(keyOf(record))
    if (begun) this.unaccepted--
    if (!begun || queueId === '') {
      this.unnamed++
      return undefined
    }
    const queued = this.#queued.get(queueId)
    if (queued === undefined && this.#queued.has(queueId)) return undefined
    this.#queued.delete(queueId)
    const login = saslUsername === '' ? begun.saslUsername : saslUsername
    return { client: { ...begun, queueId, saslUsername: login }, queued }
  }
}

function keyOf({ host, pid }: Pick<MailRecord, 'host' | 'pid'>): string {
  return `${host} ${pid}`
}

/** The newest are kept. */
function keep<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= most) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
