/**
 * What can go wrong on the way to a server, as far as it decides whether it is tried again. An
 * error of any other class is an answer: the server works, and refuses.
 */

import { LookupError } from '../system/errors.ts'
import { noAnswer } from '../system/refused.ts'

export abstract class ServerFailure extends LookupError {
  /** Without the server's name. */
  readonly reason: string

  constructor(reason: string, title?: string) {
    super(title === undefined ? reason : `${title}: ${reason}`)
    this.reason = reason
  }
}

/** It did not answer in time. */
export class NoAnswer extends ServerFailure {
  /** @param waited milliseconds; undefined: as long as the request had */
  constructor(waited: number | undefined, title?: string) {
    super(waited === undefined ? 'no answer in time' : noAnswer(waited), title)
  }
}

/** No connection to it can be made, or it does not take our login. */
export class Unreachable extends ServerFailure {
  /** Milliseconds for which it is left alone at least. */
  readonly leastRest: number

  constructor(reason: string, title?: string, leastRest = 0) {
    super(reason, title)
    this.leastRest = leastRest
  }
}

/** A connection that worked has ended, which tells nothing about the next one. */
export class Lost extends ServerFailure {}
