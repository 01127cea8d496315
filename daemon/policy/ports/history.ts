/**
 * What is kept of the verdicts: who sent how much, from where, and every refusal whole; `history/` does it.
 *
 * `note` and `explained` belong to the request's path: they never wait, throw or fail. Whatever goes wrong
 * behind them is a gap of the history, which its status tells. Queries are answered elsewhere, and
 * may take their time. All times are milliseconds since 1970.
 */

import type { FactValue } from '../facts.ts'
import type { VerdictRecord, Why } from '../verdict-record.ts'

/** What one account has sent in a time. */
export interface SenderSums {
  /** As folded for counting; empty: mail without a login. */
  readonly account: string
  /** Accepted, once each, whatever number of requests they took. */
  readonly messages: number
  /** Accepted. */
  readonly recipients: number
  /** Refusals and deferrals: one per request. */
  readonly refused: number
  /** Bytes of accepted messages whose size Postfix told. */
  readonly bytes: number
  /** Countries it has connected from in that time, ISO 3166-1; the most used first. */
  readonly countries: readonly string[]
  /** How many networks (/24, IPv6: /64) it has connected from in that time. */
  readonly networks: number
}

/** A country, a network or a name of a client that an account was seen with. */
export interface Seen {
  readonly name: string
  readonly first: number
  readonly last: number
  /** Accepted messages. */
  readonly messages: number
}

export interface SeenMessage {
  readonly at: number
  readonly instance: string
  readonly queueId: string
  readonly client: string
  /** Empty: not known. */
  readonly country: string
  readonly recipients: number
  readonly bytes: number
  /** What Postfix was told, without the code. */
  readonly action: string
  /** The plugin that decided; empty if none did. */
  readonly by: string
  /** The code of the decision, if it was a refusal; else empty. */
  readonly code: string
}

/** A plugin's step of a refusal. */
export interface SeenStep {
  readonly plugin: string
  readonly module: string
  readonly saw: Readonly<Record<string, FactValue | undefined>>
  /** `nothing`, or one of `action: `, `failed: ` and `skipped: ` with a text. */
  readonly outcome: string
  /**
   * Where the plugin's block is written: `file:line`; or the name of the host variable that it is generated
   * from. Empty if it is not known.
   */
  readonly place: string
}

/** A refusal or deferral, whole. */
export interface Refusal {
  /** As people are told it: `K3F-9QT`. */
  readonly code: string
  readonly at: number
  readonly account: string
  readonly country: string
  readonly recipients: number
  readonly bytes: number
  /** Name of the <VirtualHost>. */
  readonly host: string
  /** What Postfix was told, without the code. */
  readonly action: string
  readonly by: string
  readonly why: Why
  /** What the plugins noted: `used`, `limit`, `country` and so on. */
  readonly facts: Readonly<Record<string, FactValue | undefined>>
  /** The request as Postfix sent it, the password-free attributes of SMTPD_POLICY_README. */
  readonly attributes: Readonly<Record<string, string>>
  /** Undefined: they were not noted, because there were too many refusals at once. */
  readonly steps: readonly SeenStep[] | undefined
}

/** What is known of an account. Each list: the last one first. */
export interface AccountHistory {
  readonly account: string
  readonly countries: readonly Seen[]
  /** /24, or /64 of IPv6, as `192.0.2.0/24`. */
  readonly networks: readonly Seen[]
  readonly clients: readonly Seen[]
  readonly messages: readonly SeenMessage[]
  readonly refusals: readonly Refusal[]
}

export interface TopQuery {
  readonly since: number
  readonly until: number
  readonly by: 'recipients' | 'messages' | 'refused'
  /** How many senders; at least 1. */
  readonly most: number
}

/** How a refusal is named. */
export type RefusalKey =
  | { readonly code: string }
  | { readonly queueId: string }
  | { readonly instance: string }

/** What an account has sent within one hour. */
export interface HourSums {
  readonly account: string
  /** When the hour began. */
  readonly hour: number
  readonly messages: number
  readonly recipients: number
  readonly refused: number
}

/** Sums of each hour from `first` on, hours without mail included. */
export interface HourlySums {
  /** When the first hour began. */
  readonly first: number
  readonly messages: readonly number[]
  readonly recipients: readonly number[]
  readonly refused: readonly number[]
}

/** Mail of all accounts from one country. */
export interface CountrySums {
  /** ISO 3166-1; empty: not known. */
  readonly country: string
  readonly messages: number
  readonly recipients: number
  readonly refused: number
}

/** Refusals that are looked for; what is undefined may be anything. */
export interface RefusalQuery {
  /** Names of the account, folded. */
  readonly accounts?: readonly string[] | undefined
  /** How the code begins. */
  readonly code?: string | undefined
  readonly country?: string | undefined
  /** The plugin that decided. */
  readonly rule?: string | undefined
  readonly since?: number | undefined
  /** Before that. */
  readonly until?: number | undefined
  /** `next` of the page before. */
  readonly before?: string | undefined
  /** At least 1. */
  readonly most: number
}

/** A refusal in a list. */
export interface RefusalLine {
  readonly code: string
  readonly at: number
  readonly account: string
  readonly country: string
  readonly recipients: number
  readonly bytes: number
  /** Address. */
  readonly client: string
  readonly sender: string
  readonly helo: string
  /** At RCPT; else empty. */
  readonly recipient: string
  readonly action: string
  readonly by: string
}

export interface RefusalPage {
  /** The latest first. */
  readonly refusals: readonly RefusalLine[]
  /** Undefined: there are no more. A page may be short, or empty, and have a next one: so much is looked through at once. */
  readonly next: string | undefined
  /** Refusals were looked through back to this time; undefined: all were. */
  readonly reached: number | undefined
}

/** A time of which not everything is known. */
export interface Gap {
  readonly from: number
  readonly to: number
  /** Verdicts that are missing; refusals and others. */
  readonly missing: number
  readonly why: string
}

export interface HistoryStatus {
  /** `off`: `history_days = 0`. */
  readonly state: 'off' | 'ok' | 'failed'
  readonly problem: string | undefined
  readonly days: number
  /** The latest last, at most a hundred. */
  readonly gaps: readonly Gap[]
}

/** What was deleted of an account. */
export interface Deleted {
  /** Folded, as it was kept. */
  readonly account: string
  /** Hours in which it had sent something. */
  readonly hours: number
  /** How many of its last messages. */
  readonly messages: number
  readonly refusals: number
}

export interface History {
  /**
   * A code for a refusal (`policy/decision-code.ts`), which none has had that is kept, also over restarts.
   * For the same message it is to be asked for once.
   */
  nextCode(): string
  /** A verdict has left. To be called once, at that moment; the record's texts are copied. */
  note(record: VerdictRecord): void
  /** The steps that led to a refusal, which was noted before. */
  explained(code: string, steps: readonly SeenStep[]): void
  /** Senders of that time, the largest first. `since` is rounded down to the hour. */
  top(query: TopQuery): Promise<readonly SenderSums[]>
  /** Undefined: an account of that name, folded, is not known. */
  account(name: string): Promise<AccountHistory | undefined>
  /** The latest first; at most 100. Empty: there is none. */
  refusals(key: RefusalKey): Promise<readonly Refusal[]>
  /** Names that begin so, the busiest of late first; at most `most`. For the completion of the shell. */
  accounts(prefix: string, most: number): Promise<readonly string[]>
  /** Codes of refusals that begin so, the latest first; at most `most`. For the completion of the shell. */
  recentCodes(prefix: string, most: number): Promise<readonly string[]>
  /** Every account's hours of that time, in no order; in portions, so that a slow reader holds up nothing. */
  hours(since: number, until: number): AsyncIterable<readonly HourSums[]>
  /** Sums of each hour, of all accounts or of those; of a longer time than MOST_HOURS its end. */
  series(since: number, until: number, accounts: readonly string[] | undefined): Promise<HourlySums>
  /** By hours, as a whole; those with the most mail first. */
  countries(since: number, until: number): Promise<readonly CountrySums[]>
  /** Rejects if `before` is of no page. */
  refusalPage(query: RefusalQuery): Promise<RefusalPage>
  /** Deletes everything that is kept of an account; undefined: there was nothing. */
  forget(account: string): Promise<Deleted | undefined>
  status(): HistoryStatus
}
