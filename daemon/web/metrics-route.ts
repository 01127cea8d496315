/**
 * /metrics: without a login from this host, else with a token of its own. What comes through a proxy is not
 * from this host, and where one may be, as a prefix, a name or a unix socket tells, a token is always needed.
 */

import type { IncomingMessage } from 'node:http'
import { isLoopbackAddress } from '../net/loopback.ts'
import type { WebSettings } from '../run/web-messages.ts'
import type { Daemon } from './daemon.ts'
import { isPath } from './listening.ts'
import { METRICS_TYPES, metricsFormatOf, renderMetrics } from './metrics.ts'
import { bearerIn, isForwarded } from './origin.ts'
import { WebError, type WholeReply } from './reply.ts'
import { type Doors, tokenOf } from './who.ts'

export interface MetricsRequest {
  readonly request: IncomingMessage
  readonly settings: WebSettings
  readonly daemon: Daemon
  readonly doors: Doors
  readonly client: string
}

export async function metricsReply({
  request,
  settings,
  daemon,
  doors,
  client,
}: MetricsRequest): Promise<WholeReply> {
  const secret = bearerIn(request.headers)
  if (secret !== undefined) {
    const { role } = tokenOf(secret, client, doors)
    if (role !== 'metrics') throw new WebError(403, 'this token is not for /metrics')
  } else if (!isFromThisHost(request, settings)) {
    const hint = 'mtpolicyctl web token add prometheus --role metrics'
    throw new WebError(401, `a token is needed: ${hint}`, { 'www-authenticate': 'Bearer' })
  }
  const format = metricsFormatOf(request.headers.accept)
  const body = renderMetrics(await daemon.status(), format)
  return { kind: 'whole', status: 200, headers: { 'content-type': METRICS_TYPES[format] }, body }
}

function isFromThisHost({ headers, socket }: IncomingMessage, settings: WebSettings): boolean {
  const mayBeProxied = settings.path !== '' || settings.names.length > 0 || isPath(settings.host)
  return !mayBeProxied && !isForwarded(headers) && isLoopbackAddress(socket.remoteAddress ?? '')
}
