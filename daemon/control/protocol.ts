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
import type { AlertsStatus } from '../policy/ports/alerts.ts'
import type {
  Deleted,
  HistoryStatus,
  Refusal,
  RefusalPage,
  Seen,
  SeenMessage,
  SenderSums,
} from '../policy/ports/history.ts'
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

/** What was deleted of an account, and what was not. */
export interface Forgotten extends Deleted {
  /** Measures that had ended. */
  readonly measures: number
  /** When the last of what it has used of its limits is deleted: ISO 8601. */
  readonly countsUntil: string
  /** Measures in force, which stay. */
  readonly inForce: number
  /** Damaged files beside the ledger, which may have it as well. */
  readonly setAside: readonly string[]
}

/** What an administrator has ordered for an account. */
export interface OrderedMeasure {
  readonly account: string
  /** `reset` has ended as soon as it was ordered. */
  readonly kind: 'block' | 'allow' | 'limit' | 'reset'
  /** `ES,PT`, `5000 per day`; empty for a block. */
  readonly value: string
  /** When it was ordered; ISO 8601. */
  readonly at: string
  /** ISO 8601; null: until it is released. */
  readonly until: string | null
  readonly by: string
  /** Empty: not told. */
  readonly why: string
}

export interface EndedMeasure extends OrderedMeasure {
  /** `done`: a reset. */
  readonly how: 'released' | 'replaced' | 'expired' | 'done'
  /** ISO 8601. */
  readonly ended: string
  /** Empty: nobody, it expired. */
  readonly endedBy: string
}

/** Some of a list, in its order. */
export interface Portion<T> {
  readonly items: readonly T[]
  readonly hasMore: boolean
}

/** A count that has begun again. */
export interface ResetCount {
  /** The limit's block. */
  readonly name: string
  readonly window: string
  readonly unit: 'recipients' | 'messages' | 'megabytes'
  /** What was counted until then. */
  readonly used: number
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
  /** What is ordered for single accounts; absent from daemons older than 0.2. */
  readonly measures?: { readonly inForce: number; readonly problem: string | undefined }
  /** Absent from daemons older than 0.2. */
  readonly history?: HistoryStatus
  /** The newest first; absent from daemons older than 0.2. */
  readonly nearLimits?: readonly NearLimitStatus[]
  /** Absent from daemons older than 0.2. */
  readonly alerts?: AlertsStatus
  /** Absent from daemons older than 0.3. */
  readonly web?: WebStatus
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

/** A refusal, and what decided it. */
export interface WhyAnswer {
  /** The latest that was meant; undefined: none is known. */
  readonly refusal: Refusal | undefined
  /** Other refusals of the same message, if that was meant; the latest first. */
  readonly others: readonly OtherRefusal[]
  /** How many days refusals are kept. */
  readonly days: number
  readonly origin: DaemonStatus['origin']
  /** Undefined: no plugin decided, or the configuration in force does not have it. */
  readonly decider: Decider | undefined
}

export interface OtherRefusal {
  readonly code: string
  /** Milliseconds since 1970. */
  readonly at: number
  /** At RCPT; else empty. */
  readonly recipient: string
  readonly action: string
}

/** The plugin that decided, in the configuration in force. */
export interface Decider {
  readonly module: string
  /** As `SeenStep.place`. */
  readonly place: string
  /** Options of a limit as they are written; undefined: its default. */
  readonly per: string | undefined
  readonly window: string | undefined
  readonly unit: string | undefined
}

/** A page of refusals. */
export interface RefusalList extends RefusalPage {
  /** How many days refusals are kept. */
  readonly days: number
}

/** Who has sent most in a time; milliseconds since 1970. */
export interface TopSenders {
  /** The beginning of an hour. */
  readonly since: number
  readonly until: number
  /** The largest first. */
  readonly senders: readonly SenderSums[]
}

/** Where an account stands in a limit. Amounts are in its unit; null: not known, see `problem`. */
export interface LimitStanding {
  /** Name of the <Plugin> block. */
  readonly name: string
  /** Options of the block. */
  readonly per: string
  readonly unit: string
  readonly window: string
  /** Whose count it is: the account, its domain; empty for one that all share. */
  readonly subject: string
  readonly used: number | null
  readonly limit: number | 'unlimited' | null
  /**
   * When a calendar window ends, or a rolling one has room again: milliseconds since 1970. Null: it has
   * room now, or never will have.
   */
  readonly again: number | null
  /** The verb of access(5) that further mail would get; undefined: it passes. */
  readonly next?: string | undefined
  readonly problem?: string
}

/** All that is known of an account. Each list: the last one first. */
export interface AccountReport {
  /** Folded as for counting. */
  readonly account: string
  /** In observe mode nothing is refused. */
  readonly observes: boolean
  readonly limits: readonly LimitStanding[]
  readonly measures: readonly OrderedMeasure[]
  /** Whether the lists below say anything. */
  readonly history:
    | { readonly state: 'ok' | 'off' }
    | { readonly state: 'failed'; readonly problem: string }
  readonly countries: readonly Seen[]
  readonly networks: readonly Seen[]
  readonly messages: readonly SeenMessage[]
  readonly refusals: readonly Refusal[]
}

/** The console in a browser. */
export interface WebStatus {
  /** failed: it listens nowhere, see `problem`. */
  readonly state: 'off' | 'starting' | 'listening' | 'failed'
  /** Where a browser finds it: a URL, or the path of a unix socket. */
  readonly address: string
  readonly problem?: string | undefined
}

/** What logs in to the console; `metrics`: reads /metrics, and nothing else. */
export interface WebToken {
  readonly name: string
  readonly role: 'read' | 'change' | 'metrics'
  /** When it was made, milliseconds since 1970. */
  readonly at: number
}

export interface NewWebToken extends WebToken {
  /** Known to nobody but the caller from now on. */
  readonly secret: string
}

/** Logs in once. */
export interface WebLink {
  readonly url: string
  /** How long it is valid. */
  readonly minutes: number
}

/** No request is longer. */
export const MOST_REQUEST_LENGTH = 64 * 1024
/** No answer and no item is longer: a status with thousands of plugins has some hundred KiB. */
export const MOST_FRAME_LENGTH = 16 * 1024 * 1024
