/** mtpolicyctl's view of the running daemon. */

import { callDaemon, followDaemon, openStream } from '../control/client.ts'
import type { PrefixArguments } from '../control/control.ts'
import type { ControlReply } from '../control/protocol.ts'
import { describeError } from '../system/errors.ts'
import type { DaemonClient } from './host.ts'

/** A daemon that takes longer hangs, for all practical purposes. */
const STATUS_MILLISECONDS = 3000
/** A plugin may wait for its servers as long as a request has time. */
const EXPLAIN_MILLISECONDS = 65_000
/** All hours of all days are looked through. */
const FORGET_MILLISECONDS = 300_000

/** Somebody has pressed TAB, and waits. */
const OFFER_MILLISECONDS = 500

/** Each delivery has a minute, and may have to end what it is doing. */
const ALERT_TEST_MILLISECONDS = 130_000

export const NOT_RUNNING = 'not running'

/** What the daemon has answered. Throws if it does not run, or has refused. */
export function resultOf<T>(reply: ControlReply<T> | undefined): T {
  if (!reply) throw new Error(`the daemon is ${NOT_RUNNING}`)
  if (!reply.ok) throw new Error(reply.message)
  return reply.result
}

export function daemonClient(controlSocket: string): DaemonClient {
  async function offered(what: 'accounts' | 'codes', given: PrefixArguments) {
    try {
      const reply = await callDaemon(controlSocket, what, given, OFFER_MILLISECONDS)
      return reply?.ok ? reply.result : []
    } catch {
      return []
    }
  }

  return {
    async status() {
      try {
        const reply = await callDaemon(controlSocket, 'status', {}, STATUS_MILLISECONDS)
        if (!reply) return NOT_RUNNING
        return reply.ok ? reply.result : reply.message
      } catch (error) {
        return describeError(error)
      }
    },
    watch: given => followDaemon(controlSocket, 'watch', given, new AbortController().signal),
    requests: (given, signal) => openStream(controlSocket, 'requests', given, signal),
    reload: () => callDaemon(controlSocket, 'reload', {}),
    why: given => callDaemon(controlSocket, 'why', given),
    order: given => callDaemon(controlSocket, 'order', given),
    release: given => callDaemon(controlSocket, 'release', given),
    reset: given => callDaemon(controlSocket, 'reset', given),
    measures: given => callDaemon(controlSocket, 'measures', given),
    endedMeasures: given => callDaemon(controlSocket, 'endedMeasures', given),
    webLogin: given => callDaemon(controlSocket, 'webLogin', given),
    webTokens: () => callDaemon(controlSocket, 'webTokens', {}),
    webTokenAdd: given => callDaemon(controlSocket, 'webTokenAdd', given),
    webTokenRemove: given => callDaemon(controlSocket, 'webTokenRemove', given),
    top: given => callDaemon(controlSocket, 'top', given),
    user: given => callDaemon(controlSocket, 'user', given),
    accounts: given => offered('accounts', given),
    codes: given => offered('codes', given),
    forget: given => callDaemon(controlSocket, 'forget', given, FORGET_MILLISECONDS),
    alerts: given => callDaemon(controlSocket, 'alerts', given),
    alertTest: given => callDaemon(controlSocket, 'alertTest', given, ALERT_TEST_MILLISECONDS),
    async *hours(given) {
      const portions = followDaemon(controlSocket, 'hours', given, new AbortController().signal)
      for await (const portion of portions) {
        if (portion.length === 0) return
        yield portion
      }
    },
    explain: given => callDaemon(controlSocket, 'explain', given, EXPLAIN_MILLISECONDS),
  }
}
