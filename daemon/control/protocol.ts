/**
 * What mtpolicyctl and the running daemon say to each other over the control socket: one line of
 * JSON each way. The socket lies in the daemon's run directory; who may open it is the file
 * system's business.
 */

export type ControlCommand = 'status' | 'reload'

export type ControlReply<T = unknown> =
  | { readonly ok: true; readonly result: T }
  | { readonly ok: false; readonly message: string }

export interface PluginStatus {
  readonly host: string
  readonly plugin: string
  readonly module: string
  readonly runs: number
  readonly failures: number
  readonly lastFailure: string
  readonly milliseconds: number
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
  /** What the resolver did since the daemon's start. */
  readonly dns: {
    readonly servers: readonly string[]
    readonly cached: number
    readonly questions: number
    readonly failures: number
    /** Block lists that are passed over because they stayed silent. */
    readonly silent: readonly { readonly list: string; readonly until: string }[]
    /** Block lists whose last answer was no listing. */
    readonly refusing: readonly { readonly list: string; readonly answer: string }[]
  }
  readonly recipientOnlyServices: readonly string[]
  readonly plugins: readonly PluginStatus[]
  readonly warnings: readonly string[]
  readonly droppedLogLines: number
}

/** No command is longer. */
export const MOST_COMMAND_BYTES = 64 * 1024
