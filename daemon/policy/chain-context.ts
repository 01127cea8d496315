/** What a chain knows of the request it runs, besides what it tells its plugins. */

import type { Counting, Source } from './counting.ts'
import type { Facts } from './facts.ts'
import type { Link } from './link.ts'
import type { Context, MaybePromise, Outcome } from './plugin.ts'
import type { PolicyRequest } from './request.ts'
import type { Decision } from './verdict.ts'

/** A plugin of the chain, or what decided in its stead, which is not written anywhere. */
export type Ran = Pick<Link, 'name' | 'module'> & Partial<Pick<Link, 'place'>>

export interface ChainContext extends Context {
  /** The limit whose turn it is, those that came up, and whether nothing is let through any more. */
  limit: Source<ChainContext> | undefined
  readonly counting: Counting<ChainContext> | undefined
  readonly isTakenBack: boolean
  /** When the last plugin ended. */
  readonly endedAt: number
  /** An objection in observe mode. */
  object(objection: Decision): void
  /** How the plugin whose turn it is failed, or why it was not run; before it `ran`. */
  failed(why: string): void
  skipped(why: string): void
  /** Is every plugin's step noted? */
  readonly isTraced: boolean
  /**
   * When a plugin began and ended, milliseconds of `Clock.elapsed`. `saw`: what it has found out, for its
   * step; undefined: the facts that were noted since the step before.
   */
  ran(link: Ran, outcome: Outcome, began: number, ended: number, saw?: Facts): void
}

/** `began`: now, milliseconds of `elapsed`. */
export type Chain = (
  request: PolicyRequest,
  context: ChainContext,
  began?: number,
) => MaybePromise<Decision | undefined>
