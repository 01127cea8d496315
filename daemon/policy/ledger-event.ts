/** What the ledger is told of a request: which message it is about, and how much of it. */

import { ownText } from '../memory/own-text.ts'
import type { Claim, LedgerEvent, RequestedMessage } from './ports/ledger.ts'
import type { PolicyRequest, Stage } from './request.ts'

/** Longest text that is remembered, in characters; Postfix's instance has about 25, an address at most 320 (RFC 5321). */
const MOST_CHARACTERS = 512

/** Makes events. Each request that Postfix would not send counts as a message of its own. */
export class LedgerEvents {
  #anonymous = 0
  /** The querying SMTP service; usually the same as in the previous request. */
  #service = { address: '', port: '', name: ':' }

  /** `claims` and `mostRecipients`: see LedgerEvent; `now`: milliseconds since 1970. */
  of(
    request: PolicyRequest,
    stage: Stage,
    claims: readonly Claim[],
    mostRecipients: number,
    now: number,
  ): LedgerEvent {
    return {
      account: request.account(''),
      stage,
      instance: this.#instanceOf(request.text('instance'), now),
      connection: request.connection.id,
      service: this.#serviceOf(request.text('server_address'), request.text('server_port')),
      recipient: this.#recipientOf(request.text('recipient')),
      recipients: stage === 'RCPT' ? 1 : Math.max(1, request.count('recipient_count')),
      bytes: request.count('size'),
      queueId: known(request.text('queue_id')),
      mostRecipients,
      now,
      claims,
    }
  }

  /** The message that a request is about; undefined: Postfix would not send it, so there was none before. */
  messageOf(request: PolicyRequest): RequestedMessage | undefined {
    const instance = request.text('instance')
    if (instance === '' || instance.length > MOST_CHARACTERS) return undefined
    const service = this.#serviceOf(request.text('server_address'), request.text('server_port'))
    return { account: request.account(''), instance, service }
  }

  #instanceOf(instance: string, now: number): string {
    return instance === '' || instance.length > MOST_CHARACTERS
      ? `anonymous.${now}.${this.#anonymous++}`
      : instance
  }

  /** No mail system accepts a longer address; it is counted, but not recognized when it is repeated. */
  #recipientOf(recipient: string): string {
    return recipient.length > MOST_CHARACTERS ? `long.${this.#anonymous++}` : recipient
  }

  #serviceOf(address: string, port: string): string {
    const last = this.#service
    if (address === last.address && port === last.port) return last.name
    const name = `${address}:${port}`.slice(0, MOST_CHARACTERS)
    this.#service = { address: ownText(address), port: ownText(port), name: ownText(name) }
    return this.#service.name
  }
}

/** What is too long to be Postfix's is unknown. */
function known(text: string): string {
  return text.length > MOST_CHARACTERS ? '' : text
}
