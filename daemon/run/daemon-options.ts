/** What a daemon is started with, and the steps of a start or a reload. */

import type { Source } from '../assembly/configuration.ts'
import type { Paths } from '../assembly/paths.ts'
import type { History } from '../policy/ports/history.ts'
import type { Clock } from '../system/clock.ts'
import type { Supervisor } from './supervisor.ts'

export interface DaemonOptions {
  readonly paths: Paths
  /** Where the configuration is; read again at every reload. */
  source(): Source | Promise<Source>
  /** Overrides the file's log_level. */
  readonly debug: number | undefined
  /** Lines begin with their priority: they go to the journal or to syslog. */
  readonly priorities: boolean
  /** Serve the control sockets? Only the daemon of the default configuration does. */
  readonly control: boolean
  readonly supervisor: Supervisor
  readonly clock?: Clock
  /** Where the log goes while no configuration names a file: a descriptor. */
  readonly stderr?: number
  /** Where verdicts are kept; by default in the state directory. */
  readonly history?: () => History | undefined
  /** Called after each step of a start or reload; what it throws is that step's failure. */
  reached?(step: Step): void | Promise<void>
}

/** What a start or a reload does, in this order, before the configuration is in force. */
export const STEPS = [
  'configuration',
  'log file',
  'ledger',
  'plugins',
  'listeners',
  'process id file',
] as const
export type Step = (typeof STEPS)[number]
