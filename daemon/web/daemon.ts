/**
 * The daemon, as the console sees it: through the control socket, so that nothing here can hold up an answer
 * to Postfix. What all consoles need is queried once.
 */

import { callDaemon, openStream } from '../control/client.ts'
import type { AnswerName, ArgumentsOf, ItemOf, ResultOf, StreamName } from '../control/control.ts'
import type { DaemonStatus } from '../control/protocol.ts'
import type { Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { WebError } from './reply.ts'
import { Turns } from './turns.ts'

/** A status younger than this is shown to all consoles. */
const STATUS_MILLISECONDS = 1000
/** Commands at once; the control sockets take 64 connections, and mtpolicyctl needs some. */
const MOST_CALLS = 16
/** Commands that wait for one of those to end. */
const MOST_WAITING = 200

export interface Daemon {
  /** Throws a WebError: 400 what the daemon refuses, 503 if it cannot be reached. */
  call<Name extends AnswerName>(
    command: Name,
    given: ArgumentsOf<Name>,
    milliseconds?: number,
  ): Promise<ResultOf<Name>>
  /** Items from the moment it resolves, until the signal is aborted. */
  follow<Name extends StreamName>(
    command: Name,
    given: ArgumentsOf<Name>,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<ItemOf<Name>, void>>
  /** At most a second old. */
  status(): Promise<DaemonStatus>
}

export function daemonAt(control: string, clock: Pick<Clock, 'elapsed'>): Daemon {
  const turns = new Turns({ atOnce: MOST_CALLS, waiting: MOST_WAITING })
  let last: { readonly at: number; readonly status: Promise<DaemonStatus> } | undefined

  async function call<Name extends AnswerName>(
    command: Name,
    given: ArgumentsOf<Name>,
    milliseconds?: number,
  ): Promise<ResultOf<Name>> {
    const reply = await turns.run(() =>
      callDaemon(control, command, given, milliseconds).catch((error: unknown) => {
        throw new WebError(503, describeError(error))
      }),
    )
    if (reply === undefined) throw new WebError(503, 'the daemon is not running')
    if (!reply.ok) throw new WebError(400, reply.message)
    return reply.result
  }

  return {
    call,
    follow: (command, given, signal) => openStream(control, command, given, signal),
    status() {
      const now = clock.elapsed()
      if (last && now - last.at < STATUS_MILLISECONDS) return last.status
      const status = call('status', {})
      last = { at: now, status }
      // A failure is tried again.
      status.catch(() => {
        last = undefined
      })
      return status
    },
  }
}
