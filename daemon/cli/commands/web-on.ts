/** web on: starts the console in a browser. */

import { freePortAfter } from '../../net/listeners.ts'
import { defineCommand } from '../command.ts'
import { json } from '../options.ts'
import { setPort, showLink, WEB_PORT } from '../web-call.ts'

/** The daemon's own port is 12345; this or the next one that is free. */
const FIRST_PORT = 12_346

export const webOn = defineCommand({
  name: 'web on',
  group: 'web',
  summary: 'start the web console, and print a link that logs in',
  more: `
    Sets mtpolicyd/web/port to a free port, unless it is set already, and prints the address and a
    link that logs in once, within ten minutes, and may change everything. For another one, or one
    that may only look: mtpolicyctl web login.

    The console listens on localhost (mtpolicyd/web/host). From another computer use ssh -L, as the
    output shows, or a reverse proxy that encrypts: set mtpolicyd/web/names to the name under which
    browsers reach it, and mtpolicyd/web/path if it is below a path there. The proxy should pass on
    X-Forwarded-Host, X-Forwarded-Proto and X-Forwarded-For.

    Metrics for Prometheus are at /metrics on the same port: from this host without a login, but
    for a console behind a proxy; otherwise with a token (mtpolicyctl web token add NAME --role
    metrics).
  `,
  json: '{url, minutes}: the link, and how long it is valid.',
  options: { json },
  async run(values, host) {
    const set = host.registry.open().snapshot().merged.get(WEB_PORT) ?? ''
    if (set === '') {
      const port = freePortAfter(FIRST_PORT - 1) ?? FIRST_PORT
      const status = await setPort(host, String(port))
      if (status !== 0) return status
    }
    const running = await host.daemon.status()
    if (typeof running === 'object' && running.origin !== 'variables') {
      throw new Error(
        `host variables have no effect on ${running.configuration}; write web_port = ${FIRST_PORT} into it, then: mtpolicyctl reload; mtpolicyctl web login`,
      )
    }
    return showLink(host, { role: 'change', json: values.json })
  },
})
