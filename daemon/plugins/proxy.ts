/**
 * Proxy - query another policy service and return its answer.
 *
 *   <Plugin postgrey>
 *     module = "Proxy"
 *     host   = "127.0.0.1:10023"
 *   </Plugin>
 *
 * The service is named by `host`, HOST:PORT, or by the path of its socket, `socket_path`. It receives
 * the request as Postfix sent it, and its action ends the chain, even `dunno`; put the block into an
 * Eval block to continue. Attributes of the answer other than `action` are ignored. The plugin fails
 * if the service cannot be reached, closes the connection, answers something else, or takes longer
 * than the request may.
 *
 * With `keepalive = 1` a few connections are kept open for further requests.
 *
 * If there is neither `host` nor `socket_path`, or `host` is not HOST:PORT, that is reported at start,
 * and the plugin fails with every request. A service that queries this daemon in turn causes a loop,
 * which ends with a failure at 500 open queries.
 *
 * Differences from mtpolicyd
 *
 * - With `keepalive = 1` every request to mtpolicyd waited until it timed out. Here the answer ends
 *   with the first empty line.
 * - mtpolicyd noticed a wrong `host` only with the first request.
 * - mtpolicyd sent the attribute `request` twice.
 */

import { definePlugin, type Surroundings } from '../policy/plugin.ts'
import type { PolicyService } from '../policy/ports/peers.ts'
import { boolean, optional, text } from '../policy/setting.ts'
import { describeError, LookupError } from '../system/errors.ts'

export const proxy = definePlugin({
  name: 'Proxy',
  summary: 'Query another policy service and return its answer.',
  settings: {
    host: optional(text({ doc: 'HOST:PORT of the service.' })),
    socket_path: optional(text({ doc: 'Path of its socket, instead of host.' })),
    keepalive: boolean({ doc: 'Keep connections for the next requests.', fallback: false }),
  },
  create({ host, socket_path, keepalive }, surroundings) {
    const service = openService(host, socket_path, keepalive, surroundings)
    return (request, { signal }) => service.ask(request.attributes, signal)
  },
})

function openService(
  host: string | undefined,
  socket: string | undefined,
  keepalive: boolean,
  { policyService, fail, warn }: Surroundings,
): PolicyService {
  /** The daemon starts, and the plugin fails with every request. */
  function broken(message: string, option?: string): PolicyService {
    fail(message, option)
    return { ask: () => Promise.reject(new LookupError(message)) }
  }
  if (socket !== undefined) {
    if (host !== undefined) warn('"socket_path" is used, not "host"', 'host')
    return policyService({ socket }, keepalive)
  }
  if (host === undefined) return broken('"host" or "socket_path" is needed')
  try {
    return policyService({ host }, keepalive)
  } catch (error) {
    if (!(error instanceof LookupError)) throw error
    return broken(describeError(error), 'host')
  }
}
