/** Questions to the daemon's history: that none is kept is no mistake of who asks, but a state of the host. */

import type { AnswerName, ArgumentsOf, ResultOf } from '../control/control.ts'
import { HISTORY_OFF } from '../run/commands/kept-history.ts'
import type { Daemon } from './daemon.ts'
import { WebError } from './reply.ts'

/** All that is kept may have to be looked through. */
const MILLISECONDS = 60_000

/** Throws a WebError: 409 if no history is kept, else as `Daemon.call`. */
export async function askHistory<Name extends AnswerName>(
  daemon: Daemon,
  command: Name,
  given: ArgumentsOf<Name>,
): Promise<ResultOf<Name>> {
  try {
    return await daemon.call(command, given, MILLISECONDS)
  } catch (error) {
    if (error instanceof WebError && error.message === HISTORY_OFF) {
      throw new WebError(409, error.message)
    }
    throw error
  }
}
