/** Which <VirtualHost> answers a request: by `policy_context`, else by the socket it came in on. */

import type { MaybePromise } from '../system/maybe-promise.ts'
import type { Context } from './plugin.ts'
import type { PolicyRequest } from './request.ts'
import type { Decision } from './verdict.ts'

export interface VirtualHost {
  readonly name: string
  /** Port or socket path it serves. */
  readonly key: string
  /** `began`: now, milliseconds of `Clock.elapsed`. */
  run(request: PolicyRequest, context: Context, began: number): MaybePromise<Decision | undefined>
}

export interface VirtualHostsOptions {
  readonly hosts: readonly VirtualHost[]
  readonly byPolicyContext: boolean
  /** Keys an earlier configuration listened on: open connections there are served by the first host. */
  readonly retiredKeys: ReadonlySet<string>
}

/** The host of a request, or undefined if none serves its socket. */
export function virtualHosts(
  options: VirtualHostsOptions,
): (request: PolicyRequest) => VirtualHost | undefined {
  const byKey = new Map<string, VirtualHost>()
  const byName = new Map<string, VirtualHost>()
  for (const host of options.hosts) {
    // If several have the same key or name, the first in the file serves.
    if (!byKey.has(host.key)) byKey.set(host.key, host)
    if (!byName.has(host.name)) byName.set(host.name, host)
  }
  return request => {
    if (options.byPolicyContext) {
      const named = byName.get(request.text('policy_context'))
      if (named) return named
    }
    const { endpoint } = request.connection
    return byKey.get(endpoint) ?? (options.retiredKeys.has(endpoint) ? options.hosts[0] : undefined)
  }
}
