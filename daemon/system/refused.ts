/**
 * Why something was not even tried: a value where the caller decides what follows, and one wording
 * where it becomes an error. Which server is meant, how long, and why, is in every message.
 */

import { LookupError } from './errors.ts'

export type Refused =
  /** It failed a moment ago and is left alone for `milliseconds` more. */
  | { readonly why: 'resting'; readonly milliseconds: number; readonly reason: string }
  /** It was left alone for a while, and one other request is trying it at this moment. */
  | { readonly why: 'probing'; readonly reason: string }
  /** As many as may be pending are. */
  | { readonly why: 'full'; readonly pending: number }
  /** Its turn did not come within `milliseconds`. */
  | { readonly why: 'late'; readonly milliseconds: number }
  /** The caller's signal was aborted before its turn came. */
  | { readonly why: 'cancelled' }
  /** What everybody in the queue was waiting for failed. */
  | { readonly why: 'failed'; readonly reason: string }
  | { readonly why: 'closed' }

/** @param title the server, as messages call it */
export function refusal(title: string, refused: Refused): LookupError {
  return new LookupError(`${title}: ${describeRefusal(refused)}`)
}

export function describeRefusal(refused: Refused): string {
  switch (refused.why) {
    case 'resting':
      return `${refused.reason}; not tried again for ${seconds(refused.milliseconds)}`
    case 'probing':
      return `${refused.reason}; another request is checking whether it has recovered`
    case 'full':
      return `${refused.pending} requests are already pending`
    case 'late':
      return `busy; gave up after waiting ${seconds(refused.milliseconds)} in the queue`
    case 'cancelled':
      return 'the request ended before its turn came'
    case 'failed':
      return refused.reason
    case 'closed':
      return 'the connection has been closed'
  }
}

/** The message about a server that did not answer in time. */
export function noAnswer(milliseconds: number): string {
  return `no answer within ${seconds(milliseconds)}`
}

/** Rounded up to tenths: "0 s" would read as a contradiction. */
export function seconds(milliseconds: number): string {
  return `${Math.ceil(milliseconds / 100) / 10} s`
}
