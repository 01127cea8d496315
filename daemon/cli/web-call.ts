/** What the commands for the web console have in common. */

import type { WebLink } from '../control/protocol.ts'
import { commitVariables } from '../registry/commit.ts'
import type { ExitStatus } from './command.ts'
import { resultOf } from './daemon-client.ts'
import type { Host } from './host.ts'
import { jsonText } from './json-text.ts'
import { orderedBy } from './ordered-by.ts'
import { commitOptions, report, scopeFor, withRegistry } from './registry-command.ts'

export const WEB_PORT = 'mtpolicyd/web/port'

export const role = {
  type: 'string',
  argument: 'ROLE',
  offers: ['read', 'change'],
  doc: 'read: look at everything. change (default): also order and set.',
} as const

/** Sets the port, or unsets it; the daemon has reloaded when this resolves. */
export function setPort(host: Host, port: string | undefined): Promise<ExitStatus> {
  const set = withRegistry(host, async registry => {
    const scope = scopeFor(registry)
    const changes = new Map([[WEB_PORT, port]])
    return report(
      { ...host, out: () => undefined },
      await commitVariables(commitOptions(host, registry), () => ({ scope, changes })),
    )
  })
  return Promise.resolve(set)
}

/** Makes a link and shows it. */
export async function showLink(
  host: Host,
  given: { readonly role: string; readonly json: boolean },
): Promise<ExitStatus> {
  const link = resultOf(await host.daemon.webLogin({ role: given.role, by: orderedBy(host.env) }))
  host.out(given.json ? jsonText(link) : linkText(link))
  return 0
}

/** The link has its own line: people copy it. */
function linkText({ url, minutes }: WebLink): string {
  const lines = [`This link logs in once, within ${minutes} minutes:`, '', `  ${url}`, '']
  const { hostname, port } = new URL(url)
  if (port !== '' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname)) {
    lines.push(
      'It works in a browser on this computer. On yours, first open a way to it:',
      '',
      `  ssh -L ${port}:localhost:${port} THIS-SERVER`,
      '',
    )
  }
  return `${lines.join('\n').trimEnd()}\n`
}
