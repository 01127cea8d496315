/**
 * What `on_failure` means: the answer when a part of the daemon has failed. Nothing else decides that.
 *
 * `observe` never holds mail back, whatever `on_failure` says.
 */

import { defer } from './verdict.ts'

export type OnFailure = 'dunno' | 'defer' | 'close'

/**
 * `plugin`: one plugin of a chain. `request`: the decision as a whole, or it took too long. `counting`: the
 * decision stands, but its counts could not be made durable.
 */
export type FailedPart = 'plugin' | 'request' | 'counting'

export type FailureAnswer =
  /** As if nothing had failed: the chain continues, the decision stands. */
  | { readonly kind: 'pass' }
  | { readonly kind: 'answer'; readonly action: string }
  /** No answer: the connection is closed, and Postfix does what its own default says. */
  | { readonly kind: 'close' }

const PASS: FailureAnswer = { kind: 'pass' }
const CLOSE: FailureAnswer = { kind: 'close' }
const CHECKED = defer('the mail could not be checked, try again later')
const COUNTED = defer('the mail could not be counted, try again later')

/** Is this what a failed plugin is answered with, whichever block it came through? */
export function isFailureAnswer(action: string): boolean {
  return action === CHECKED
}

export function failureAnswer(onFailure: OnFailure, part: FailedPart): FailureAnswer {
  switch (onFailure) {
    case 'dunno':
      return PASS
    case 'close':
      return CLOSE
    case 'defer':
      return { kind: 'answer', action: part === 'counting' ? COUNTED : CHECKED }
  }
}
