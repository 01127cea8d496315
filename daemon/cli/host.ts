/**
 * All that a command touches outside of itself. A command gets it as an argument and reaches for
 * nothing else, so a test hands it another host.
 */

import type { Verdict } from '../assembly/configuration.ts'
import type { Paths } from '../assembly/paths.ts'
import type {
  AlertsArguments,
  AlertTestArguments,
  AnswerName,
  ExplainArguments,
  ForgetArguments,
  HoursArguments,
  OrderArguments,
  PortionArguments,
  PrefixArguments,
  ReleaseArguments,
  RequestsArguments,
  ResetArguments,
  ResultOf,
  TopArguments,
  UserArguments,
  WatchArguments,
  WatchedRequest,
  WatchedVerdict,
  WebLoginArguments,
  WebTokenArguments,
} from '../control/control.ts'
import type {
  AccountReport,
  ControlReply,
  DaemonStatus,
  Explanation,
  Forgotten,
  TopSenders,
  WhyAnswer,
} from '../control/protocol.ts'

import type { HourSums, RefusalKey } from '../policy/ports/history.ts'
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
import type { Screen } from './screen.ts'

export interface Host {
  readonly paths: Paths
  readonly env: NodeJS.ProcessEnv
  readonly clock: Pick<Clock, 'now'>
  out(text: string): void
  err(text: string): void
  /** Undefined: the output is not a terminal. */
  readonly screen: Screen | undefined
  /** Resolves when standard output takes more: for commands that print without end. */
  flushed(): Promise<void>
  /** Is standard error a terminal, which can show how far a command is? */
  readonly isTerminal: boolean
  /** The text of a file; `-`: of standard input. Throws if it cannot be read. */
  read(file: string): string
  /** A password, typed on the terminal and not shown; without a terminal the first line of standard input. */
  askPassword(prompt: string): Promise<string>
  /** Runs another program. */
  readonly run: Run
  readonly daemon: DaemonClient
  readonly registry: RegistryAccess
  readonly configuration: ConfigurationAccess
  readonly past: PastAccess
  /** `status`: of the running daemon, which knows best where it listens. */
  postfix(status?: DaemonStatus | string): RegistrationOptions
}

/** Undefined if no daemon runs. */
type Answered<Name extends AnswerName> = Promise<ControlReply<ResultOf<Name>> | undefined>

/** The running daemon, by its control socket. */
export interface DaemonClient {
  /** The status, or why there is none. */
  status(): Promise<DaemonStatus | string>
  /** The warnings of the new configuration; undefined if no daemon runs. */
  reload(): Promise<ControlReply<readonly string[]> | undefined>
  /** How a request would be answered; undefined if no daemon runs. */
  explain(given: ExplainArguments): Promise<ControlReply<Explanation> | undefined>
  /** Refusals that a key names; undefined if no daemon runs. */
  why(given: RefusalKey): Promise<ControlReply<WhyAnswer> | undefined>
  /** What is ordered for single accounts. */
  order(given: OrderArguments): Answered<'order'>
  release(given: ReleaseArguments): Answered<'release'>
  reset(given: ResetArguments): Answered<'reset'>
  measures(given: PortionArguments): Answered<'measures'>
  endedMeasures(given: PortionArguments): Answered<'endedMeasures'>
  /** Logins to the web console. */
  webLogin(given: WebLoginArguments): Answered<'webLogin'>
  webTokens(): Answered<'webTokens'>
  webTokenAdd(given: WebTokenArguments): Answered<'webTokenAdd'>
  webTokenRemove(given: WebTokenArguments): Answered<'webTokenRemove'>
  /** Who sends most; undefined if no daemon runs. */
  top(given: TopArguments): Promise<ControlReply<TopSenders> | undefined>
  /** What is known of an account; undefined if no daemon runs. */
  user(given: UserArguments): Promise<ControlReply<AccountReport> | undefined>
  /** What the shell offers: at once, and nothing if there is any difficulty. */
  accounts(given: PrefixArguments): Promise<readonly string[]>
  codes(given: PrefixArguments): Promise<readonly string[]>
  /** What was deleted of an account, if anything; undefined if no daemon runs. */
  forget(given: ForgetArguments): Promise<ControlReply<Forgotten | undefined> | undefined>
  /** What accounts have sent, in portions. Throws if there is no daemon, or no history. */
  hours(given: HoursArguments): AsyncIterable<readonly HourSums[]>
  /** What was told of late, and what holds now. */
  alerts(given: AlertsArguments): Answered<'alerts'>
  /** A test alert: what became of it. */
  alertTest(given: AlertTestArguments): Answered<'alertTest'>
  /** Verdicts from now on. Throws if there is no daemon, and when it ends. */
  watch(given: WatchArguments): AsyncIterable<WatchedVerdict>
  /** Requests from the moment it resolves, until the signal is aborted. Rejects if there is no daemon. */
  requests(given: RequestsArguments, signal: AbortSignal): Promise<AsyncIterable<WatchedRequest>>
}

/** The host variables and what follows from a change of them. */
export interface RegistryAccess {
  /** Read again at each call. */
  open(): Registry
  /** Names of all variables that are set, unchecked: at once, however many there are. */
  names(): Iterable<string>
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
