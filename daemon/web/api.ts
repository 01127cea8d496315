/**
 * Requests and answers of the console's HTTP API, for the server and the page. It imports nothing, so that
 * the page needs no types of Node.
 *
 * All paths are below PREFIX/api/. All times are milliseconds since 1970. All bodies are JSON. Texts that
 * come from mail or from users are plain text, never markup. An error is `Failure` with a status of 4xx or
 * 5xx; `POST` needs the role `change`, but for those that say `read`.
 */

/** Every answer with a status of 400 and more. */
export interface Failure {
  /** A sentence for the user, in English. */
  readonly error: string
}

/** 503: the daemon does not run. 409: no history is kept. 404: there is none of that name. */

export type Role = 'read' | 'change'
export type Language = 'en' | 'de'

/** GET session. 401: nobody has logged in. */
export interface Session {
  readonly user: string
  readonly role: Role
  /** The host's name. */
  readonly host: string
  readonly version: string
}

/* ------------------------------------------------------------------ today */

/** GET today?since=&until= — default: the last 24 hours; at most 366 days. */
export interface Today {
  readonly since: number
  readonly until: number
  /** Undefined: the daemon does not run; then everything below is empty. */
  readonly status: Status | undefined
  /** `off`: no history is kept (mtpolicyd/history/days = 0); series, countries and top are empty. */
  readonly history: HistoryState
  readonly series: Series
  /** Those with the most messages and refusals first. */
  readonly countries: readonly CountrySums[]
  /** Those with the most recipients first; at most 20. */
  readonly top: readonly SenderSums[]
}

export interface HistoryState {
  readonly state: 'ok' | 'off' | 'failed'
  readonly problem?: string | undefined
  readonly days: number
}

/** The daemon's state in short. */
export interface Status {
  readonly version: string
  /** ISO 8601. */
  readonly since: string
  readonly mode: string
  readonly origin: 'file' | 'variables' | 'hand-written'
  readonly configuration: string
  readonly endpoints: readonly string[]
  readonly connections: number
  /** Since it started. */
  readonly requests: number
  readonly refused: number
  readonly deadlines: number
  readonly failures: number
  readonly store: { readonly state: string; readonly durability: string }
  readonly geoip: { readonly state: string; readonly ageDays?: number | undefined }
  readonly measures: number
  readonly nearLimits: readonly NearLimit[]
  readonly warnings: readonly string[]
}

export interface NearLimit {
  readonly account: string
  readonly limits: string
  readonly used: number
  readonly limit: number
  readonly at: number
}

/**
 * Sums by time: column by column, as a plot takes them. Each list is as long as `times`; hours without
 * mail are in it, with 0. Where there would be more than 2000 hours, a step has several of them.
 */
export interface Series {
  /** Length of a step in milliseconds: an hour or a multiple. */
  readonly step: number
  /** When each step begins. */
  readonly times: readonly number[]
  /** Accepted messages. */
  readonly messages: readonly number[]
  /** Recipients of accepted messages. */
  readonly recipients: readonly number[]
  /** Refusals and deferrals, one per request. */
  readonly refused: readonly number[]
}

export interface CountrySums {
  /** ISO 3166-1, two letters; empty: not known. */
  readonly country: string
  readonly messages: number
  readonly recipients: number
  readonly refused: number
}

export interface SenderSums {
  /** Empty: mail without a login. */
  readonly account: string
  readonly messages: number
  readonly recipients: number
  readonly refused: number
  readonly bytes: number
  readonly countries: readonly string[]
  readonly networks: number
}

/* --------------------------------------------------------------- findings */

/** GET findings?lang=en|de — as `mtpolicyctl doctor` finds them, worst first; some seconds old. */
export interface Findings {
  /** When they were looked for. */
  readonly at: number
  readonly findings: readonly Finding[]
  /** What could not be looked at, a sentence each. */
  readonly problems: readonly string[]
  /** What smtpd asks, one per service where users log in. */
  readonly services: readonly AskedService[]
}

export interface Finding {
  readonly id: string
  readonly subject: string
  readonly severity: 'error' | 'warning' | 'note'
  readonly where: string
  readonly service: string
  readonly what: string
  readonly why: string
  /** The line to write or the command to run. */
  readonly remedy: string
}

export interface AskedService {
  /** `submission/inet` */
  readonly service: string
  /** `asked`: the daemon is queried about all mail of users; or `not asked`, `perhaps`, `refuses`, `no logins`, `return path`. */
  readonly answer: string
}

/* ---------------------------------------------------------------- account */

/** GET accounts?prefix=&most= — names for a search field, the busiest first; at most 100. */
export interface Accounts {
  readonly accounts: readonly string[]
}

/** GET account/NAME — NAME with encodeURIComponent. Any name has an answer. */
export interface Account {
  /** Folded as for counting. */
  readonly account: string
  /** In observe mode nothing is refused. */
  readonly observes: boolean
  readonly limits: readonly LimitStanding[]
  readonly measures: readonly Measure[]
  readonly history: HistoryState
  /** Each list: the last one first, at most 100. */
  readonly countries: readonly Seen[]
  readonly networks: readonly Seen[]
  readonly messages: readonly SeenMessage[]
  readonly refusals: readonly RefusalLine[]
}

export interface LimitStanding {
  readonly name: string
  readonly per: string
  /** recipients, messages or megabytes. */
  readonly unit: string
  /** `day`, `1h`, `24h` … */
  readonly window: string
  readonly subject: string
  /** Null: not known, see `problem`. */
  readonly used: number | null
  readonly limit: number | 'unlimited' | null
  /** When there is room again; null: now, or never. */
  readonly again: number | null
  /** The verb that further mail would get; undefined: it passes. */
  readonly next?: string | undefined
  readonly problem?: string | undefined
}

export interface Measure {
  readonly account: string
  readonly kind: 'block' | 'allow' | 'limit' | 'reset'
  /** `ES,PT`, `5000 per day`; empty for a block. */
  readonly value: string
  /** ISO 8601. */
  readonly at: string
  /** ISO 8601; null: until it is released. */
  readonly until: string | null
  readonly by: string
  readonly why: string
}

export interface Seen {
  readonly name: string
  readonly first: number
  readonly last: number
  readonly messages: number
}

export interface SeenMessage {
  readonly at: number
  readonly instance: string
  readonly queueId: string
  readonly client: string
  readonly country: string
  readonly recipients: number
  readonly bytes: number
  readonly action: string
  readonly by: string
  readonly code: string
}

/** GET account/NAME/series?since=&until= — default: the last 14 days. */
export interface AccountSeries {
  readonly account: string
  readonly since: number
  readonly until: number
  readonly series: Series
}

/** GET account/NAME/audit — what was ordered for the account, the latest first. */
export interface Audit {
  readonly entries: readonly AuditEntry[]
}

export interface AuditEntry extends Measure {
  /** `in force`, or how it ended; `done`: a reset. */
  readonly state: 'in force' | 'released' | 'replaced' | 'expired' | 'done'
  /** ISO 8601; null: it is in force. */
  readonly ended: string | null
  /** Empty: nobody, it expired. */
  readonly endedBy: string
}

/* --------------------------------------------------------------- refusals */

/**
 * GET refusals?account=&code=&country=&rule=&since=&until=&before=&most= — each may be missing. `account`:
 * that account; `code`: its beginning; `rule`: the name of the plugin that decided; `most`: 1 to 200,
 * default 50; `before`: `next` of the page before.
 */
export interface Refusals {
  /** The newest first. */
  readonly refusals: readonly RefusalLine[]
  /** For the next page; undefined: there is none. A page may be short, or empty, and have a next one. */
  readonly next: string | undefined
  /** Undefined with `next`; refusals are looked through up to here. */
  readonly reached: number | undefined
  readonly days: number
}

export interface RefusalLine {
  readonly code: string
  readonly at: number
  readonly account: string
  readonly country: string
  readonly recipients: number
  readonly bytes: number
  readonly client: string
  /** Sender and HELO as they were told. */
  readonly sender: string
  readonly helo: string
  /** At RCPT; else empty. */
  readonly recipient: string
  readonly action: string
  /** The rule: the plugin that decided; empty if none did. */
  readonly by: string
}

/** GET why/CODE — 404: no such refusal is known (any more). */
export interface Why {
  readonly refusal: Refusal
  /** Other refusals of the same message. */
  readonly others: readonly OtherRefusal[]
  readonly days: number
  /** `limit (SendingLimit)`; empty: no plugin decided. */
  readonly rule: string
  /** A host variable, or FILE:LINE; empty: not known. */
  readonly place: string
  /** What a lookup has found, such as which list has the client; else empty. */
  readonly found: string
  readonly remedies: readonly Remedy[]
  /** What would refuse such mail next, as the account stands now. */
  readonly further: readonly FurtherRuling[]
}

export type FactValue = string | number | boolean

export interface Refusal {
  readonly code: string
  readonly at: number
  readonly account: string
  readonly country: string
  readonly recipients: number
  readonly bytes: number
  readonly host: string
  readonly action: string
  readonly by: string
  readonly why: string
  readonly facts: Readonly<Record<string, FactValue | undefined>>
  readonly attributes: Readonly<Record<string, string>>
  /** Undefined: they were not noted. */
  readonly steps?: readonly Step[] | undefined
}

export interface Step {
  readonly plugin: string
  readonly module: string
  readonly saw: Readonly<Record<string, FactValue | undefined>>
  /** `nothing`, or one of `action: `, `failed: ` and `skipped: ` with a text. */
  readonly outcome: string
  readonly place: string
}

export interface OtherRefusal {
  readonly code: string
  readonly at: number
  readonly recipient: string
  readonly action: string
}

export interface Remedy {
  readonly text: string
  /** As it can be pasted into a shell. */
  readonly command: string
}

export interface FurtherRuling {
  readonly rule: string
  readonly place: string
  readonly remedies: readonly Remedy[]
  readonly used?: number | undefined
  readonly limit?: number | undefined
}

/* --------------------------------------------------------------- measures */

/** POST account/NAME/block */
export interface BlockRequest extends Ordered {}
/** POST account/NAME/allow */
export interface AllowRequest extends Ordered {
  /** `ES,PT` */
  readonly countries: string
}
/** POST account/NAME/limit */
export interface LimitRequest extends Ordered {
  /** A whole number, or `unlimited`. */
  readonly threshold: string
  /** day, hour, minute, rolling, a window such as 2h, or the limit's name; default: day. */
  readonly window?: string | undefined
}
export interface Ordered {
  /** For the audit trail. */
  readonly reason?: string | undefined
  /** ISO 8601, or a time from now: +3d, +2h; missing or empty: until it is released. */
  readonly until?: string | undefined
}
/** The answer to block, allow and limit. */
export interface OrderAnswer {
  readonly measure: Measure
  /** Those of its kind that it has ended. */
  readonly replaced: readonly Measure[]
}

/** POST account/NAME/release: ends all measures of the account. Body: {}. */
export interface ReleaseAnswer {
  readonly released: readonly Measure[]
}

/** POST account/NAME/reset: counts begin again. */
export interface ResetRequest {
  readonly reason?: string | undefined
  /** Missing or empty: all counts. */
  readonly window?: string | undefined
}
export interface ResetAnswer {
  readonly counts: readonly {
    readonly name: string
    readonly window: string
    readonly unit: string
    readonly used: number
  }[]
}

/* -------------------------------------------------------------- variables */

/** GET variables */
export interface Variables {
  readonly variables: readonly Variable[]
  /** Undefined: they can be set; otherwise why not. */
  readonly fixed?: string | undefined
  /** Variables of users and domains that are set, beyond the 1,000 in the list: GET variables?search= finds them. */
  readonly left?: number | undefined
}

export interface Variable {
  /** `mtpolicyd/threshold`; with `.*` in it: a pattern, of which `name` of others may be one. */
  readonly name: string
  readonly isPattern: boolean
  /** The pattern that declares it, of a name that is set for a user or a domain. */
  readonly pattern?: string | undefined
  /** limit, countries, bool, portnumber, choice … */
  readonly type: string
  readonly choices?: readonly string[] | undefined
  readonly min?: string | undefined
  readonly max?: string | undefined
  /** What an empty value means. */
  readonly emptyMeans?: string | undefined
  readonly default: string
  readonly description: { readonly en: string; readonly de: string }
  /** As it is in force; undefined: it is a pattern, or not set. */
  readonly value?: string | undefined
  /** The layer it comes from: default, ldap, normal, forced, schedule, custom, environment; undefined: none. */
  readonly layer?: string | undefined
  /** What is set in the layer that `set` writes to (normal); undefined: nothing. */
  readonly set?: string | undefined
  /** Why the console may not set it; undefined: it may. */
  readonly locked?: string | undefined
}

/** POST variables/check (role read) — by the parser that `set` uses. */
export interface CheckRequest {
  readonly name: string
  readonly value: string
}
export type CheckAnswer =
  /** `value` in its normal form. */
  { readonly ok: true; readonly value: string } | { readonly ok: false; readonly expected: string }

/** One or more assignments; null: unset. */
export type Changes = Readonly<Record<string, string | null>>

/** POST variables/preview (role read) */
export interface PreviewRequest {
  readonly changes: Changes
}
export interface PreviewAnswer {
  /** Files that would be rendered with another text. */
  readonly files: readonly { readonly file: string; readonly diff: string }[]
  /** What is wrong with it; if one is an error, it cannot be set. */
  readonly notices: readonly Notice[]
  readonly canBeSet: boolean
}
export interface Notice {
  readonly severity: 'error' | 'warning'
  readonly message: string
}

/** POST variables/set. 400: it was refused, nothing has changed. */
export interface SetRequest {
  readonly changes: Changes
}
export interface SetAnswer {
  readonly change: ConsoleChange
  readonly notices: readonly Notice[]
}

/** GET variables/undo: what the console has changed, the latest first; at most 50. */
export interface UndoList {
  readonly changes: readonly ConsoleChange[]
}
export interface ConsoleChange {
  readonly id: string
  readonly at: number
  readonly by: string
  /** `before` and `after`: null: was, or is, not set. */
  readonly values: readonly {
    readonly name: string
    readonly before: string | null
    readonly after: string | null
  }[]
  /** It has been undone. */
  readonly undone: boolean
  readonly undoneBy?: string | undefined
}
/** POST variables/undo. 409: a variable has changed since. Answers `SetAnswer`. */
export interface UndoRequest {
  readonly id: string
}

/* ----------------------------------------------------------------- tryout */

/**
 * POST tryout (role read). One at a time for all consoles: 429 while another one runs. It ends when the
 * client leaves.
 */
export interface TryoutRequest {
  /** Variables as in `variables/set`. */
  readonly changes: Changes
  /** 1 to 90; default 7. */
  readonly days?: number | undefined
}
export interface TryoutAnswer {
  /**
   * `mail log`: every accepted message of that time was judged again. `history`: the sums per hour were compared
   * with thresholds only, so it is an estimate.
   */
  readonly source: 'mail log' | 'history'
  /** Why the mail log was not used; undefined with `mail log`. */
  readonly because?: string | undefined
  readonly since: number
  readonly until: number
  /** Messages (mail log) or hours with mail (history) that were looked at. */
  readonly looked: number
  /** Time or memory ended before it had seen everything; `until` is how far it came. */
  readonly isPartial: boolean
  /** By the settings in force, and by those on trial. */
  readonly now: TryoutSums
  readonly tried: TryoutSums
  /** Those with the most recipients stopped under trial first; at most 500. */
  readonly accounts: readonly TriedAccount[]
  /** What could not be tried, a sentence each. */
  readonly notes: readonly string[]
}
export interface TryoutSums {
  /** Accounts, messages (history: hours or days) and recipients that are stopped. */
  readonly accounts: number
  readonly times: number
  readonly recipients: number
}
export interface TriedAccount {
  readonly account: string
  readonly now: Stopped
  readonly tried: Stopped
}
export interface Stopped {
  readonly times: number
  readonly recipients: number
  /** When first; null: never. */
  readonly first: number | null
  /** Rules that stop it. */
  readonly by: readonly string[]
}

/* ----------------------------------------------------------------- events */

/**
 * GET events: server-sent events. `status` every two seconds, `verdict` as they are given, at most 20 a
 * second; the data are JSON. A client that does not read loses events, not its connection.
 */
export interface Events {
  readonly status: StatusEvent
  readonly verdict: VerdictEvent
}
export interface StatusEvent {
  readonly at: number
  /** Null: the daemon does not run. */
  readonly status: Status | null
  /** Verdicts that were left out since the last one. */
  readonly left: number
}
export interface VerdictEvent {
  readonly at: number
  readonly account: string
  readonly client: string
  readonly country: string
  readonly recipients: number
  readonly action: string
  readonly isRefused: boolean
  readonly by: string
  readonly code: string
}
