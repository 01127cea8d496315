/**
 * All that the author of a plugin needs to read.
 *
 * A plugin is a value: its name (the `module` of a configuration), its settings, and `create`,
 * called once per <Plugin> block at load. `create` returns the check that runs per request. A
 * check returns nothing, or the action that ends the chain. It throws only LookupError: a
 * dependency did not answer. What the operator's file says about failures is the chain's business.
 */

import type { Clock } from '../system/clock.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import type { AccountLimit } from './account-limit.ts'
import type { FactDeclarations, Facts } from './facts.ts'
import type { Claim, Ledger, LedgerEvent, Standing, Unit } from './ports/ledger.ts'
import type { AccountMeasures } from './ports/measures.ts'
import type { Connections, Outside } from './ports/outside.ts'
import type { Problem } from './problem.ts'
import type { PolicyRequest } from './request.ts'
import type { Session } from './session.ts'
import type { Section, Settings, SettingValues } from './setting.ts'

export type { MaybePromise }

/** An action of access(5), or nothing: the chain continues. */
export type Outcome = string | undefined

export type Check<F extends FactDeclarations = FactDeclarations> = (
  request: PolicyRequest,
  context: Context<F>,
) => MaybePromise<Outcome>

/** What a check may use of the request it is given. */
export interface Context<F extends FactDeclarations = FactDeclarations> {
  readonly session: Session
  /** Aborted when the request's deadline has passed. */
  readonly signal: AbortSignal
  /**
   * Milliseconds since 1970: when a plugin first asked for it while the request was decided. All limits
   * of a mail judge it at one moment.
   */
  readonly now: number
  /** What an administrator has ordered for the account, for a time; undefined, as a rule: nothing. */
  readonly measures: AccountMeasures | undefined
  /** The facts this plugin declares, to be noted here; what others have noted may be read. */
  readonly facts: Facts<F>
  /**
   * This mail is to be judged by a limit, together with all others of its chain: before the next plugin
   * that is not a limit, and when the chain is done. It is counted if the mail is let through, and only
   * then. `subject`: whose count, as in Claim. A counter may occur once per request; a second limit that has
   * it is ignored.
   */
  count(limit: Limit, subject: string, window: Claim['window']): void
  /**
   * What to undo if in the end nothing is let through, whatever was decided on the way. Called at once
   * if that is known already; what it throws, or rejects with, is logged.
   */
  onTakeBack(undo: () => MaybePromise<void>): void
}

/** The part of a limit that is the same for all requests: one per <Plugin> block. */
export interface Limit {
  readonly ledger: Ledger
  /** As in Claim. */
  readonly counter: string
  readonly unit: Unit
  /** What a subject may send in a window, in the unit; Infinity for no limit. */
  readonly most: number
  /** At RCPT: recipients that a message may have; Infinity for no cap. */
  readonly mostRecipients: number
  /**
   * What to do, now that it is known where the claim stands: if it is refused, an action that refuses the
   * mail; else nothing, or an action that lets it pass, such as HOLD.
   */
  react(
    standing: Standing,
    claim: Claim,
    event: LedgerEvent,
    context: Context,
  ): MaybePromise<Outcome>
  /** At RCPT: the message has as many recipients as it may have (`mostRecipients`). */
  overCap(event: LedgerEvent, context: Context): Outcome
  /** How much of it is used: 1 is all of it. */
  share(standing: Standing): number
  /** Notes where the claim stands among the facts: of all limits of a mail, the one that is closest to its end does. */
  note(standing: Standing, claim: Claim, context: Context): void
  /** What it knows of a claim alone. */
  saw?(standing: Standing, claim: Claim): Facts
}

/** What a plugin is given when it is created. */
export interface Surroundings extends Outside, Connections {
  /** The operator's name of this block. */
  readonly name: string
  /** The block's place in the configuration, e.g. `default/outer/inner`: unique, for keys. */
  readonly path: string
  /** Sub-blocks the plugin declared, e.g. <User alice>. */
  readonly section: Section
  readonly clock: Clock
  readonly ledger: Ledger
  /** The <Plugin> blocks inside this one; undefined if there are none. */
  readonly nested: Check | undefined
  /** Time zone of calendar windows, IANA name; undefined is the host's. */
  readonly timezone: string | undefined
  /** Work to be done before the first request, and not when a file is only checked. */
  atStart(run: () => MaybePromise<void>): void
  /** Work for `mtpolicyd --cron TASK`, which the package runs with `hourly`. */
  atTask(task: string, run: () => MaybePromise<void>): void
  /**
   * Called while an earlier plugin of the same chain waits: the place to start slow lookups early, so
   * that several lists are queried at the same time. The check repeats the lookup and finds the result.
   */
  ahead(ask: (request: PolicyRequest, context: Context) => void): void
  /** For a limit: what it tells of accounts, apart from any mail. */
  declareLimit(limit: AccountLimit): void
  /** A message at the plugin's own log level; it costs nothing when that level is not logged. */
  note(message: () => string): void
  /** Where mistakes are collected; `warn`, `fail` and `refuse` add to it. */
  readonly problems: Problem[]
  /** Taken as written, but probably not meant. Shown at the option's place, else the block's. */
  warn(message: string, option?: string): void
  /** The daemon starts, and the plugin counts as failed whenever it needs what is missing. */
  fail(message: string, option?: string): void
  /** The daemon does not start with this. */
  refuse(message: string, option?: string): void
}

/** A <Plugin> block and its name, which its options may say. */
export interface NamedBlock {
  readonly name: string
  readonly block: Section
}

export interface Plugin<
  S extends Settings = Settings,
  F extends FactDeclarations = FactDeclarations,
> {
  /** As in `module = "..."`. */
  readonly name: string
  readonly summary: string
  readonly settings: S
  /** What it may note about a mail: `fact('client', '…')`. */
  readonly facts?: F
  /** Does it act on something outside that nothing takes back? In observe mode it is not run. */
  readonly hasEffects?: boolean
  /** May it hold <Plugin> blocks? */
  readonly nests?: boolean
  /** Does it keep their action instead of returning it? */
  readonly keepsAction?: boolean
  /** Is it a limit, whose check does nothing but `Context.count`, or refuse? The state directory is opened only for a file that has one. */
  readonly isLimit?: boolean
  /** Types of sub-blocks it reads itself. */
  readonly blocks?: readonly string[]
  /** Called once with all blocks of this plugin in a file: what is wrong only because of another one. */
  compare?(blocks: readonly NamedBlock[], problems: Problem[]): void
  create(settings: SettingValues<S>, surroundings: Surroundings): Check<F>
}

/** Keeps the settings' and facts' types for `create` while the list of plugins needs only the name. */
export function definePlugin<
  const S extends Settings,
  const F extends FactDeclarations = Record<never, never>,
>(plugin: Plugin<S, F>): Plugin {
  // The loader passes what readSettings made of this very declaration.
  return plugin as unknown as Plugin
}
