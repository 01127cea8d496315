/** Alerts as commands, status and the web console see them; `alerts/` makes and delivers them. */

import type { Severity } from '../finding.ts'

/** French only of what users are told, too; English where it is missing. */
export interface AlertWords {
  readonly en: string
  readonly de: string
  readonly fr?: string
}

export type AlertLanguage = keyof AlertWords

/** raised: it has just become true. cleared: it was, and is not any more. */
export type AlertState = 'raised' | 'cleared'

export interface Alert {
  /** Unique, also over restarts; in the order of their time: `1764575000123-1`. */
  readonly id: string
  /** Milliseconds since 1970. */
  readonly at: number
  readonly state: AlertState
  /** One of ACCOUNT_KINDS and LIMIT_KINDS (alerts/alert.ts), `test`, or the id of a finding. */
  readonly kind: string
  /** Which condition of its kind: raised and cleared have the same. */
  readonly key: string
  readonly severity: Severity
  /** Whose mail it is about (policy/account.ts: folded, without the default domain); or empty. */
  readonly account: string
  /** Each a sentence without its period, on one line. */
  readonly what: AlertWords
  readonly why: AlertWords
  /** The command to run or what to do. */
  readonly remedy: AlertWords
  /** `user`: as the client logged in, where known. Texts are of one line, 256 characters at most. */
  readonly facts: Readonly<Record<string, string | number>>
}

/** What is wrong with a server, told as an alert: everything but its id, time and state. */
export type Condition = Omit<Alert, 'id' | 'at' | 'state'>

/** How one way of telling alerts is doing. */
export interface DeliveryStatus {
  readonly name: string
  /** Alerts that have not been taken yet. */
  readonly waiting: number
  /** When the oldest of them was raised, milliseconds since 1970; undefined: none waits. */
  readonly oldest: number | undefined
  /** Since the daemon started. */
  readonly done: number
  /** Given up since the daemon started: refused, a day old, or too many. */
  readonly lost: number
  /** Why the last attempt failed; undefined: it did not, or there was none. */
  readonly problem: string | undefined
}

export interface AlertsStatus {
  readonly state: 'on' | 'off'
  readonly deliveries: readonly DeliveryStatus[]
  /** Conditions that hold now. */
  readonly inForce: number
  /** Why alerts are kept in memory only; undefined: they are on the disk. */
  readonly problem: string | undefined
  /** Since when Postfix has not asked although it used to, milliseconds since 1970. */
  readonly silentSince: number | undefined
  /** Starts without an orderly stop before them, within the last quarter of an hour. */
  readonly crashes: number
}

/** An alert, with those that have not taken it yet. */
export interface ListedAlert extends Alert {
  readonly waitsFor: readonly string[]
}

export interface AlertList {
  readonly state: 'on' | 'off'
  /** The newest first. */
  readonly alerts: readonly ListedAlert[]
  /** Conditions that hold now, as they were raised; the newest first. */
  readonly inForce: readonly Alert[]
}

/** What became of a test alert. */
export interface AlertTested {
  readonly name: string
  /** Addresses, the host of a webhook, or a program; may be empty. */
  readonly to: string
  /** done: it was taken. later: it is tried again. refused: it never will be. */
  readonly outcome: 'done' | 'later' | 'refused'
  /** Why it was not taken. */
  readonly why: string
}
