/** A plugin of a chain, at work. */

import type { Check, Context } from './plugin.ts'
import type { Place } from './problem.ts'
import type { PolicyRequest } from './request.ts'

/** Runs, failures and time of one plugin since start. */
export interface Tally {
  runs: number
  failures: number
  milliseconds: number
  lastFailure: string
}

export interface Link {
  readonly name: string
  readonly module: string
  /** Where its block is written. */
  readonly place: Place
  readonly check: Check
  /** Starts the plugin's slow lookups early; it fetches the results later. */
  readonly ahead?: ((request: PolicyRequest, context: Context) => void) | undefined
  readonly onError: 'fail' | 'continue'
  /** Does it act on something outside, such as a firewall? */
  readonly hasEffects: boolean
  /** Is it a limit, which is judged together with the others? */
  readonly isLimit: boolean
  readonly tally: Tally
}

export function newTally(): Tally {
  return { runs: 0, failures: 0, milliseconds: 0, lastFailure: '' }
}
