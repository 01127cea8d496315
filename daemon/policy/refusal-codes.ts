/**
 * Which code a refusal ends with (decision-code.ts).
 *
 * Postfix repeats a request whose connection broke, and a client may repeat a command. The same message
 * asked again at the same stage, at RCPT about the same recipient, that gets the same answer is the same
 * decision, and has the same code: of the last 10,000 refusals that is remembered. Every other refusal has
 * a code of its own.
 */

import { ownText } from '../memory/own-text.ts'
import type { PolicyRequest } from './request.ts'

/** Refusals that are remembered; beyond that the first one is deleted. */
const MOST_REMEMBERED = 10_000
/** The length of instance, recipient and answer together; a longer one is not recognized when it is repeated. */
const MOST_CHARACTERS = 2048

export class RefusalCodes {
  /** By what makes a decision the same, the first one first. */
  readonly #given = new Map<string, string>()

  /** `action`: without its code. `next`: a code that was not given yet; empty: there is none. */
  of(request: PolicyRequest, action: string, next: () => string): string {
    const key = keyOf(request, action)
    const known = key === undefined ? undefined : this.#given.get(key)
    if (known !== undefined) return known
    const code = next()
    if (key === undefined || code === '') return code
    this.#given.set(ownText(key), code)
    if (this.#given.size > MOST_REMEMBERED) {
      for (const oldest of this.#given.keys()) {
        this.#given.delete(oldest)
        break
      }
    }
    return code
  }
}

/** Undefined: nothing says which message it is, or Postfix would not send it. */
function keyOf(request: PolicyRequest, action: string): string | undefined {
  const instance = request.text('instance')
  if (instance === '') return undefined
  const stage = request.text('protocol_state')
  const recipient = stage === 'RCPT' ? request.text('recipient') : ''
  // None of them has a line feed.
  const key = `${instance}\n${stage}\n${recipient}\n${action}`
  return key.length > MOST_CHARACTERS ? undefined : key
}
