/**
 * All that the author of a plugin needs to read.
 *
 * A plugin is a value: its name (the `module` of a configuration), its settings, and `create`,
 * called once per <Plugin> block at load. `create` returns the check that runs per request. A
 * check returns nothing, or the action that ends the chain. It throws only LookupError: a
 * dependency did not answer. What the operator's file says about failures is the chain's business.
 */

import type { Clock } from './clock.ts'
import type { Ledger } from './ledger.ts'
import type { Connections, Outside } from './outside.ts'
import type { MaybePromise } from './ports.ts'
import type { Problem } from './problem.ts'
import type { PolicyRequest } from './request.ts'
import type { Session } from './session.ts'
import type { Section, Settings, SettingValues } from './setting.ts'

export type { MaybePromise }

/** An action of access(5), or nothing: the chain goes on. */
export type Outcome = string | undefined

export type Check = (request: PolicyRequest, context: Context) => MaybePromise<Outcome>

/** What a check may use of the request at hand. */
export interface Context {
  readonly session: Session
  /** Aborted when the request's deadline has passed. */
  readonly signal: AbortSignal
  /** Notes when a plugin began and ended, milliseconds of `Clock.elapsed` (debug 4). For the chain. */
  ran(plugin: string, began: number, ended: number): void
  /** What the verdict's log line shows besides the request, e.g. country=DE. */
  readonly facts: Facts
}

/** Findings for the log line. */
export interface Facts {
  country?: string
  used?: number
  limit?: number
  /** What would have been answered, where `mode = observe` keeps it from being answered. */
  observed?: string
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
  /** Decide, count and log, but refuse nothing. */
  readonly observe: boolean
  /** Work to be done before the first request, and not when a file is only checked. */
  atStart(run: () => MaybePromise<void>): void
  /** Work for `mtpolicyd --cron TASK`, which the package runs with `hourly`. */
  atTask(task: string, run: () => MaybePromise<void>): void
  /**
   * Called while an earlier plugin of the same chain waits: the place to put slow questions early,
   * so that lists are asked at the same time. The answers are asked for again, and found, later.
   */
  ahead(ask: (request: PolicyRequest, context: Context) => void): void
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

export interface Plugin<S extends Settings = Settings> {
  /** As in `module = "..."`. */
  readonly name: string
  readonly summary: string
  readonly settings: S
  /** May it hold <Plugin> blocks? */
  readonly nests?: boolean
  /** Does it count in the ledger? The state directory is opened only for a file that does. */
  readonly usesLedger?: boolean
  /** Types of sub-blocks it reads itself. */
  readonly blocks?: readonly string[]
  create(settings: SettingValues<S>, surroundings: Surroundings): Check
}

/** Keeps the settings' types for `create` while the list of plugins needs only the name. */
export function definePlugin<const S extends Settings>(plugin: Plugin<S>): Plugin {
  // The loader passes what readSettings made of this very declaration.
  return plugin as unknown as Plugin
}
