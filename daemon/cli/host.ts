/**
 * All that a command touches outside of itself. A command gets it as an argument and reaches for
 * nothing else, so a test hands it another host.
 */

import type { Verdict } from '../assembly/configuration.ts'
import type { Paths } from '../assembly/paths.ts'
import type {
  ExplainArguments,
  HoursArguments,
  WatchArguments,
  WatchedVerdict,
} from '../control/control.ts'
import type { ControlReply, DaemonStatus, Explanation } from '../control/protocol.ts'
import type { HourSums } from '../policy/ports/history.ts'
import type { Problem } from '../policy/problem.ts'
import type { RegistrationOptions } from '../postfix/registration/registration.ts'
import type { CommitOptions } from '../registry/commit.ts'
import type { Registry } from '../registry/registry.ts'
import type { ReadOptions } from '../replay/read-records.ts'
import type { Recorded } from '../replay/record.ts'
import type { ReplayClock } from '../replay/replay-clock.ts'
import type { LogFile } from '../replay/rotation.ts'
import type { Trial } from '../replay/trial.ts'
import type { Clock } from '../system/clock.ts'
import type { Run } from '../system/external-program.ts'

export interface Host {
  readonly paths: Paths
  readonly env: NodeJS.ProcessEnv
  readonly clock: Pick<Clock, 'now'>
  out(text: string): void
  err(text: string): void
  /** Resolves when standard output takes more: for commands that print without end. */
  flushed(): Promise<void>
  /** Is standard error a terminal, which can show how far a command is? */
  readonly isTerminal: boolean
  /** The text of a file; `-`: of standard input. Throws if it cannot be read. */
  read(file: string): string
  /** Runs another program. */
  readonly run: Run
  readonly daemon: DaemonClient
  readonly registry: RegistryAccess
  readonly configuration: ConfigurationAccess
  readonly past: PastAccess
  /** `status`: of the running daemon, which knows best where it listens. */
  postfix(status?: DaemonStatus | string): RegistrationOptions
}

/** The running daemon, by its control socket. */
export interface DaemonClient {
  /** The status, or why there is none. */
  status(): Promise<DaemonStatus | string>
  /** The warnings of the new configuration; undefined if no daemon runs. */
  reload(): Promise<ControlReply<readonly string[]> | undefined>
  /** How a request would be answered; undefined if no daemon runs. */
  explain(given: ExplainArguments): Promise<ControlReply<Explanation> | undefined>
  /** What accounts have sent, in portions. Throws if there is no daemon, or no history. */
  hours(given: HoursArguments): AsyncIterable<readonly HourSums[]>
  /** Verdicts from now on. Throws if there is no daemon, and when it ends. */
  watch(given: WatchArguments): AsyncIterable<WatchedVerdict>
}

/** The host variables and what follows from a change of them. */
export interface RegistryAccess {
  /** Read again at each call. */
  open(): Registry
  /** The directory of templates/. */
  readonly templates: string
  readonly check: CommitOptions['check']
  readonly reload: CommitOptions['reload']
}

export interface ConfigurationAccess {
  /** Everything wrong with this file, or with the configuration in force; renders that if need be. */
  check(file: string | undefined): Promise<Verdict>
  /** The same for a text, as if it stood in the file. */
  checkText(file: string, text: string): Promise<readonly Problem[]>
  /** Everything wrong with the configuration as it is on disk; unlike `check`, nothing is rendered. */
  onDisk(): Promise<readonly Problem[]>
}

/** Requests of the past, and configurations on trial (`replay/`). */
export interface PastAccess {
  /** In the order of their contents, with rotated ones. */
  files(names: readonly string[]): Promise<readonly LogFile[]>
  records(options: ReadOptions): AsyncIterable<readonly Recorded[]>
  /** A file, or the configuration in use with some values changed. Without a trial it cannot be used. */
  trial(
    what: string | ReadonlyMap<string, string>,
    clock: ReplayClock,
  ): Promise<{ readonly trial: Trial | undefined; readonly notices: readonly string[] }>
}
