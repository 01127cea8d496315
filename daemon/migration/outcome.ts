/** What came of it, and why the copy is not in use where it is not. */

import type { Endpoint } from '../net/endpoint.ts'
import type { Problem } from '../policy/problem.ts'

export type Reason =
  /** Nobody ever changed the original: it is as its package shipped it. */
  | { readonly kind: 'unchanged' }
  /** A hand-written configuration of ours is in use. */
  | { readonly kind: 'own-configuration'; readonly file: string }
  /** Something that this version cannot do. */
  | { readonly kind: 'problem'; readonly problem: Problem }
  /** Sockets of the original lie where the daemon's unit may not write. */
  | { readonly kind: 'socket'; readonly endpoint: Endpoint }

export type Outcome =
  /** There is nothing to take over. */
  | { readonly kind: 'none' }
  /** It was done earlier. */
  | { readonly kind: 'before' }
  /** The copy is the configuration now. */
  | { readonly kind: 'used' }
  | { readonly kind: 'left'; readonly why: readonly Reason[] }

export interface Circumstances {
  readonly isChanged: boolean
  /** The hand-written configuration instead of ours. */
  readonly ownConfiguration: string | undefined
  readonly problems: readonly Problem[]
  readonly endpoints: readonly Endpoint[]
}

export function outcomeOf(circumstances: Circumstances): Outcome {
  const why = reasonsOf(circumstances)
  return why.length === 0 ? { kind: 'used' } : { kind: 'left', why }
}

function reasonsOf({ isChanged, ownConfiguration, problems, endpoints }: Circumstances): Reason[] {
  const errors = problems.filter(({ severity }) => severity !== 'warning')
  const sockets = endpoints.filter(({ kind }) => kind === 'unix')
  return [
    ...(isChanged ? [] : [{ kind: 'unchanged' } as const]),
    ...(ownConfiguration === undefined
      ? []
      : [{ kind: 'own-configuration', file: ownConfiguration } as const]),
    ...errors.map(problem => ({ kind: 'problem', problem }) as const),
    ...sockets.map(endpoint => ({ kind: 'socket', endpoint }) as const),
  ]
}
