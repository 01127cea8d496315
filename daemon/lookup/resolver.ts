/** One resolver for all that asks the DNS. */

import type { Clock } from '../policy/clock.ts'
import type { Resolver } from '../policy/dns.ts'

export interface ResolverOptions {
  /** RES_NAMESERVERS and RES_OPTIONS, as resolvers of mtpolicyd's making read them. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** A list is passed over from now on, or asked again. */
  readonly log: (message: string) => void
}

/** For `mtpolicyctl status`. */
export interface ResolverStatus {
  readonly servers: readonly string[]
  readonly cached: number
  readonly questions: number
  readonly failures: number
  /** Lists that are passed over because they stayed silent. */
  readonly silent: readonly { readonly list: string; readonly until: string }[]
}

export interface OpenResolver extends Resolver {
  /** Milliseconds a question may take in all. */
  setDeadline(milliseconds: number): void
  status(): ResolverStatus
  close(): void
}

export function openResolver(_options: ResolverOptions): OpenResolver {
  return {
    ask: () => ({ outcome: 'failed', records: [], problem: 'not built yet' }),
    setDeadline: () => undefined,
    status: () => ({ servers: [], cached: 0, questions: 0, failures: 0, silent: [] }),
    close: () => undefined,
  }
}
