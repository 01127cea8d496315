/**
 * The frames on the control socket. A request is one line of JSON, `{"command":"status"}`, with
 * `"arguments":{…}` where a command takes some; there is one request per connection. An answer is one
 * line, a stream is a line that accepts it and a line per item.
 *
 * Daemon and mtpolicyctl may be of different versions for a while: each reports what it
 * does not know, and neither guesses. `status` and `reload` have had these lines in all versions.
 *
 * The level is in the socket, because the kernel checks who may open it: `control.sock` (mode 0600, every
 * command) belongs to the daemon's user, `control-read.sock` (mode 0660, commands that change nothing) is
 * open to its group as well. Node cannot ask a unix socket for the user at its other end.
 */

import { dirname, join } from 'node:path'
import type { FactValue } from '../policy/facts.ts'
import type { HistoryStatus } from '../policy/ports/history.ts'
import type { Reading } from '../policy/ports/meters.ts'

export interface ControlRequest {
  readonly command: string
  readonly arguments?: unknown
}

export type ControlReply<T = unknown> = { readonly ok: true; readonly result: T } | ControlRefusal

export interface ControlRefusal {
  readonly ok: false
  readonly message: string
}

/** After the line that accepts a stream; a refusal ends it. */
export type StreamFrame<T = unknown> = { readonly item: T } | ControlRefusal

export const readSocketBeside = (control: string): string =>
  join(dirname(control), 'control-read.sock')

/** How every version of the daemon begins the refusal of a command that it does not have. */
export const UNKNOWN_COMMAND = 'unknown command'

export interface PluginStatus {
  readonly host: string
  readonly plugin: string
  readonly module: string
  readonly runs: number
  readonly failures: number
  readonly lastFailure: string
  readonly milliseconds: number
}

/** Postfix's log, read for mail that was refused after the daemon had accepted it. */
export interface MailLogStatus {
  /** `off`: nothing is counted, or it is switched off by `maillog = none`. */
  readonly state: 'reading' | 'unreadable' | 'off'
  /** The option `maillog`: auto, none, journal or a path. */
  readonly setting: string
  /** A path, or `journal`; empty if there is none. */
  readonly source: string
  readonly problem: string | undefined
  /** Messages whose counts were given back since the daemon started. */
  readonly givenBack: number
}

/** An account that has come near a limit (`warn_at`) within the last day. */
export interface NearLimitStatus {
  readonly account: string
  /** Names of the limits, separated by commas. */
  readonly limits: string
  /** What is used of the limit that is closest to its end, in its unit. */
  readonly used: number
  readonly limit: number
  /** When it was noticed, milliseconds since 1970. */
  readonly at: number
}

export interface DaemonStatus {
  readonly version: string
  readonly pid: number
  readonly since: string
  readonly configuration: string
  readonly origin: 'file' | 'variables' | 'hand-written'
  readonly mode: string
  readonly endpoints: readonly string[]
  readonly connections: number
  readonly requests: number
  readonly refused: number
  readonly deadlines: number
  readonly failures: number
  readonly store: { readonly path: string; readonly state: string; readonly durability: string }
  readonly geoip: {
    readonly path: string
    readonly builtAt: string | undefined
    readonly ageDays: number | undefined
    readonly state: string
    readonly problem: string | undefined
  }
  /** What the resolver has done since the daemon started. */
  readonly dns: {
    readonly servers: readonly string[]
    readonly cached: number
    readonly questions: number
    readonly failures: number
    /** Block lists that are skipped because they did not answer. */
    readonly silent: readonly { readonly list: string; readonly until: string }[]
    /** Block lists whose last answer was not a listing. */
    readonly refusing: readonly { readonly list: string; readonly answer: string }[]
  }
  readonly recipientOnlyServices: readonly string[]
  /** Absent from daemons older than 0.2. */
  readonly mailLog?: MailLogStatus
  /** Absent from daemons older than 0.2. */
  readonly history?: HistoryStatus
  /** The newest first; absent from daemons older than 0.2. */
  readonly nearLimits?: readonly NearLimitStatus[]
  readonly plugins: readonly PluginStatus[]
  readonly warnings: readonly string[]
  readonly droppedLogLines: number
  /** Everything that is counted, with unit and meaning; absent from daemons older than 0.1. */
  readonly meters?: readonly Reading[]
}

/** What a request would be answered, and how that comes about. */
export interface Explanation {
  /** What Postfix would be told; `close`: nothing, the connection is closed. */
  readonly action: string
  /** Name of the plugin that decided; empty if none did. */
  readonly by: string
  readonly steps: readonly ExplainedStep[]
  /** In observe mode: what would be refused otherwise. */
  readonly objections: readonly { readonly by: string; readonly action: string }[]
}

export interface ExplainedStep {
  readonly plugin: string
  readonly module: string
  /** What it has found out. */
  readonly saw: Readonly<Record<string, FactValue | undefined>>
  /** `nothing`, or one of `action: `, `failed: ` and `skipped: ` with a text. */
  readonly outcome: string
  readonly ms: number
}

/** No request is longer. */
export const MOST_REQUEST_LENGTH = 64 * 1024
/** No answer and no item is longer: a status with thousands of plugins has some hundred KiB. */
export const MOST_FRAME_LENGTH = 16 * 1024 * 1024
