/** Which request tells of its message: the last one that its service sends, so that no message is noted twice. */

import { ownText } from '../memory/own-text.ts'
import type { PolicyRequest } from '../policy/request.ts'
import { STAGES } from './spool-format.ts'

/** Services that are remembered to ask after RCPT; with more, all are learnt again. */
const MOST_SERVICES = 1000
const RCPT = STAGES.indexOf('RCPT')

export class ToldOnce {
  /** Services that are queried at DATA or END-OF-MESSAGE: at RCPT nothing has to be noted. */
  readonly #asksAtEnd = new Set<string>()
  #hasAskedAtRecipient = false

  /** `stage`: an index of STAGES. */
  tells(request: PolicyRequest, stage: number): boolean {
    const isAtRecipient = stage === RCPT
    if (!isAtRecipient && !this.#hasAskedAtRecipient) return true
    this.#hasAskedAtRecipient = true
    const service = `${request.text('server_address')}:${request.text('server_port')}`
    if (isAtRecipient) return !this.#asksAtEnd.has(service)
    if (this.#asksAtEnd.size >= MOST_SERVICES) this.#asksAtEnd.clear()
    if (!this.#asksAtEnd.has(service)) this.#asksAtEnd.add(ownText(service))
    return true
  }
}
