/** mtpolicyctl's view of the running daemon. */

import { callDaemon, followDaemon } from '../control/client.ts'
import { describeError } from '../system/errors.ts'
import type { DaemonClient } from './host.ts'

/** A daemon that takes longer hangs, for all practical purposes. */
const STATUS_MILLISECONDS = 3000
/** A plugin may wait for its servers as long as a request has time. */
const EXPLAIN_MILLISECONDS = 65_000

export const NOT_RUNNING = 'not running'

export function daemonClient(controlSocket: string): DaemonClient {
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
    reload: () => callDaemon(controlSocket, 'reload', {}),
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
