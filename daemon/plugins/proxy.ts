/**
 * Proxy - ask another policy service and answer what it answers.
 *
 *   <Plugin postgrey>
 *     module = "Proxy"
 *     host   = "127.0.0.1:10023"
 *   </Plugin>
 *
 * The service is named by `host`, HOST:PORT, or by the path of its socket, `socket_path`. It gets
 * the request as Postfix sent it, each attribute once (mtpolicyd sent `request` twice), and its
 * action ends the chain, `dunno` included; put it into an Eval block to go on. Attributes of the
 * answer other than `action` are ignored. A service that cannot be reached, hangs up, answers
 * something else, or takes longer than the request may, is a failure of the plugin.
 *
 * With `keepalive = 1` a few connections are kept for the next requests. With mtpolicyd every such
 * request waited until its time was over; here it is answered with the first empty line.
 *
 * Neither `host` nor `socket_path`, or a `host` that is not HOST:PORT: mtpolicyd found that out
 * with the first request, here it is reported at start, and the plugin fails whenever it is asked.
 * A service that asks this daemon back ends, with a failure, at 500 questions under way.
 */

import { describeError, LookupError } from '../policy/errors.ts'
import type { PolicyService } from '../policy/peers.ts'
import { definePlugin, type Surroundings } from '../policy/plugin.ts'
import { boolean, optional, text } from '../policy/setting.ts'

export const proxy = definePlugin({
  name: 'Proxy',
  summary: 'Ask another policy service and answer what it answers.',
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
  /** The daemon starts without it. */
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
